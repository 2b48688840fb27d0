/**
 * Attack: an answer over HTTP/1.0 ends where its connection ends, so one that was cut looks whole to whoever asked that way:
 * by default that is a reverse proxy, which then tells the app of a proper end. @module
 */

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { toHex, utf8 } from '../../core/bytes.ts';
import { beginStream, EHBP_CONFIG, ehbpCaller } from '../support/ehbp-lab.ts';
import { openLab } from '../support/gateway-lab.ts';

test('what could not tell that it was cut is not served', async (context) => {
  const lab = await openLab({ config: EHBP_CONFIG });
  context.after(() => lab.close());
  const worker = await lab.worker(undefined, {
    onEhbp: (turn) => {
      beginStream(turn);
      setImmediate(() => turn.response.destroy());
    },
  });
  const caller = await ehbpCaller(lab, worker);
  const { enc, body } = await caller.seal();
  const head = [
    `POST ${caller.path} HTTP/1.0`,
    'host: gateway',
    `authorization: Bearer ${lab.apiKey}`,
    'content-type: application/json',
    `ehbp-encapsulated-key: ${toHex(enc)}`,
    `content-length: ${body.length}`,
  ];
  const answer = await toItsEnd(lab.port, utf8(`${head.join('\r\n')}\r\n\r\n`), body);
  assert.match(answer, /^HTTP\/1\.1 505 /);
  assert.match(answer, /^sx-error: gateway\.http_version\r$/m);
  assert.equal(worker.seen.count, 0);
});

function toItsEnd(port: number, ...parts: readonly Uint8Array[]): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect(port, '127.0.0.1');
  const got: Buffer[] = [];
  socket.on('data', (part) => got.push(part));
  socket.once('end', () => resolve(Buffer.concat(got).toString('latin1')));
  socket.once('error', reject);
  for (const part of parts) socket.write(part);
  return promise;
}
