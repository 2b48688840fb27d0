/**
 * D5. Attack: many connections that say almost nothing, stopped before a request line, in the headers, before a key was
 * shown, in the clear head of a request, in its body, or in front of an answer that nobody reads. They are ended by the
 * gateway, in their time and number, and whoever asks meanwhile is served. @module
 */

import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { exchange, openLab, type Lab } from '../support/gateway-lab.ts';
import type { SxWorker } from '../support/sx-worker.ts';

const SLOW = 40;
const HEAD_BYTES = 112;

let lab: Lab;
let worker: SxWorker;
before(async () => {
  lab = await openLab({
    deps: { listenerLimits: { headersTimeoutMs: 300, requestTimeoutMs: 600 } },
  });
  worker = await lab.worker();
});
after(() => lab.close());

function post(authorization: string, length: number): string {
  return [
    'POST /sx/v1/exchange HTTP/1.1',
    'host: x',
    `authorization: ${authorization}`,
    'content-type: application/vnd.sx1.req',
    `content-length: ${length}`,
    '',
    '',
  ].join('\r\n');
}

/** Says so much, and then nothing; resolves when the gateway has ended it. */
async function slow(said: readonly (string | Uint8Array)[]): Promise<void> {
  const socket: Socket = connect(lab.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.resume();
  await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
  for (const part of said) socket.write(part);
  await once(socket, 'close');
}

async function isServed(): Promise<void> {
  const { status } = await exchange(lab, lab.seal(lab.keysOf(worker)).bytes);
  assert.equal(status, 200);
}

const PHASES: readonly (readonly [where: string, said: () => readonly (string | Uint8Array)[]])[] =
  [
    ['before a word', () => []],
    ['in the request line', () => ['POST /sx/v1']],
    ['in the headers', () => ['POST /sx/v1/exchange HTTP/1.1\r\nhost: x\r\nx-a: ']],
    ['before a key was shown', () => [post('Bearer vg_nobody', 5000).slice(0, -2)]],
    ['behind a key that is none', () => [post('Bearer vg_nobody', 5000)]],
    [
      'in the clear head of a request',
      () => [
        post(`Bearer ${lab.apiKey}`, 5000),
        lab.seal(lab.keysOf(worker)).bytes.subarray(0, 50),
      ],
    ],
    [
      'in front of its keys',
      () => {
        const { bytes } = lab.seal(lab.keysOf(worker));
        return [post(`Bearer ${lab.apiKey}`, bytes.length), bytes.subarray(0, HEAD_BYTES)];
      },
    ],
    [
      'one byte before its end',
      () => {
        const { bytes } = lab.seal(lab.keysOf(worker));
        return [post(`Bearer ${lab.apiKey}`, bytes.length), bytes.subarray(0, -1)];
      },
    ],
  ];

for (const [where, said] of PHASES) {
  test(`D5: ${SLOW} that stop ${where} are ended, and others are served meanwhile`, async () => {
    const before = worker.seen.count;
    const ends = Array.from({ length: SLOW }, () => slow(said()));
    await isServed();
    await Promise.all(ends);
    await isServed();
    assert.equal(worker.seen.count, before + 2);
  });
}

test('D5: a head that comes byte by byte has its time as a whole, not per byte', async () => {
  const socket = connect(lab.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.resume();
  const drip = setInterval(() => socket.write('a'), 20);
  socket.write('GET /v1/gateway HTTP/1.1\r\nx-a: ');
  await once(socket, 'close');
  clearInterval(drip);
});
