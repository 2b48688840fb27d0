/** Request bodies as hostile clients send them. @module */

import assert from 'node:assert/strict';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { readJsonBody } from '../../../gateway/openai/body.ts';

const MAX_BYTES = 1_000_000;
/** More than a function call takes arguments. */
const PIECES = 300_000;

function incoming(pieces: number): IncomingMessage {
  const request = new IncomingMessage(new Socket());
  request.headers['content-type'] = 'application/json';
  for (let i = 0; i < pieces; i++) request.push(Uint8Array.of(0x20));
  request.push(null);
  return request;
}

test('a body that comes byte by byte is read like any other', async () => {
  const body = await readJsonBody(incoming(PIECES), MAX_BYTES);
  assert.equal(body.length, PIECES);
});

test('the limit holds while the body arrives', async () => {
  await assert.rejects(readJsonBody(incoming(11), 10), { code: 'body.too_large' });
});
