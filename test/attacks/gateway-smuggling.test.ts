/**
 * D6. Attack: requests that the gateway and whatever stands before it would take apart differently: two lengths, length and
 * chunks, odd spellings, folded lines, bare line feeds, and a second request hidden in the first. Exactly one answer comes
 * back, it is a refusal, and the hidden request reaches nobody. Spec: RFC 9112 §6.3, §11.2. @module
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { plainModeSealer } from '../../cli/plain-mode.ts';
import { openLab, type Lab } from '../support/gateway-lab.ts';
import { portOf } from '../support/relay.ts';
import type { SxWorker } from '../support/sx-worker.ts';

let lab: Lab;
let worker: SxWorker;
before(async () => {
  lab = await openLab({
    config: { plaintext: 'operator-can-read' },
    deps: {
      sealer: plainModeSealer,
      listenerLimits: { headersTimeoutMs: 1000, requestTimeoutMs: 2000 },
    },
  });
  worker = await lab.worker();
});
after(() => lab.close());

/** The hidden one would be answered 200 with the gateway's document. */
const HIDDEN = 'GET /v1/gateway HTTP/1.1\r\nhost: x\r\n\r\n';

async function said(text: string): Promise<string> {
  const socket = connect(lab.port, '127.0.0.1');
  let back = '';
  socket.on('data', (bytes: Uint8Array) => (back += Buffer.from(bytes).toString('latin1')));
  socket.on('error', () => undefined);
  socket.write(text);
  await once(socket, 'close');
  return back;
}

const SPELLINGS: readonly (readonly [what: string, headers: string, body: string])[] = [
  ['a length and chunks', 'content-length: 4\r\ntransfer-encoding: chunked', `0\r\n\r\n${HIDDEN}`],
  ['chunks and a length', 'transfer-encoding: chunked\r\ncontent-length: 4', `0\r\n\r\n${HIDDEN}`],
  ['two lengths', 'content-length: 0\r\ncontent-length: 44', HIDDEN],
  ['a list of lengths', 'content-length: 0, 44', HIDDEN],
  ['a length with a sign', 'content-length: +0', HIDDEN],
  ['a length in hex', 'content-length: 0x0', HIDDEN],
  ['a length below zero', 'content-length: -1', HIDDEN],
  ['a length with a space in it', 'content-length: 0 0', HIDDEN],
  ['a length too large to count', `content-length: ${'9'.repeat(40)}`, HIDDEN],
  ['a space before the colon', 'transfer-encoding : chunked', `0\r\n\r\n${HIDDEN}`],
  ['a coding nobody has', 'transfer-encoding: xchunked', `0\r\n\r\n${HIDDEN}`],
  ['chunked and another', 'transfer-encoding: chunked, identity', `0\r\n\r\n${HIDDEN}`],
  [
    'chunked twice',
    'transfer-encoding: chunked\r\ntransfer-encoding: chunked',
    `0\r\n\r\n${HIDDEN}`,
  ],
  ['chunked in quotes', 'transfer-encoding: "chunked"', `0\r\n\r\n${HIDDEN}`],
  ['a folded line', 'x-a: b\r\n transfer-encoding: chunked\r\ncontent-length: 0', HIDDEN],
  ['a vertical tab', 'transfer-encoding:\x0bchunked', `0\r\n\r\n${HIDDEN}`],
  ['a null in a value', 'x-a: b\0c\r\ncontent-length: 0', HIDDEN],
  [
    'a bare line feed in a value',
    'x-a: b\ntransfer-encoding: chunked\r\ncontent-length: 0',
    HIDDEN,
  ],
  ['a bare carriage return', 'x-a: b\rtransfer-encoding: chunked\r\ncontent-length: 0', HIDDEN],
  ['a chunk size in another base', 'transfer-encoding: chunked', `0x0\r\n\r\n${HIDDEN}`],
  ['a chunk size with a sign', 'transfer-encoding: chunked', `-1\r\n\r\n${HIDDEN}`],
  ['a chunk longer than said', 'transfer-encoding: chunked', `1\r\nab\r\n0\r\n\r\n${HIDDEN}`],
  [
    'a chunk size too large to count',
    'transfer-encoding: chunked',
    `${'f'.repeat(20)}\r\n${HIDDEN}`,
  ],
];

for (const path of ['/sx/v1/exchange', '/v1/chat/completions']) {
  for (const [what, headers, body] of SPELLINGS) {
    test(`D6: ${what} at ${path} is one refusal, and nothing behind it is read`, async () => {
      const type = path.startsWith('/sx') ? 'application/vnd.sx1.req' : 'application/json';
      const before = worker.seen.count;
      const back = await said(
        `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${lab.apiKey}\r\ncontent-type: ${type}\r\n${headers}\r\n\r\n${body}`,
      );
      const answers = back.match(/^HTTP\/1\.1 \d{3}/gm) ?? [];
      assert.ok(answers.length <= 1, answers.join());
      assert.doesNotMatch(back, /HTTP\/1\.1 2/);
      assert.ok(!back.includes('"identity"'), 'the hidden request was answered');
      assert.equal(worker.seen.count, before);
    });
  }
}

for (const [what, line] of [
  ['a target without a slash', 'GET v1/gateway HTTP/1.1'],
  ['CONNECT', 'CONNECT 127.0.0.1:1 HTTP/1.1'],
  ['HTTP/3 in words', 'GET /v1/gateway HTTP/3.0'],
] as const) {
  test(`D6: ${what} opens nothing`, async () => {
    const back = await said(`${line}\r\nhost: x\r\nconnection: close\r\n\r\n`);
    assert.doesNotMatch(back, /HTTP\/1\.1 2/);
  });
}

test('D6: a target that is a whole URL is a path of this gateway, and nobody is contacted for it', async (context) => {
  const elsewhere = createServer(() => assert.fail('contacted'));
  elsewhere.listen(0, '127.0.0.1');
  await once(elsewhere, 'listening');
  context.after(() => elsewhere.close());
  const target = `http://127.0.0.1:${portOf(elsewhere)}/v1/nowhere`;
  const back = await said(`GET ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
  assert.match(back, /^HTTP\/1\.1 404/);
});
