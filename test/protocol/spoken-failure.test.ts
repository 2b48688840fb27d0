/** Whoever speaks in place of a worker speaks as the surface does that was asked. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromUtf8 } from '../../core/bytes.ts';
import { openAiFailure } from '../../protocol/openai/errors.ts';
import { spokenEnd, spokenFailure, spokenSettlement } from '../../protocol/spoken-failure.ts';

const FAILURE = openAiFailure('timeout', { param: 'x' });
const { message } = FAILURE.body.error;

test('before an answer: an OpenAI error everywhere but at Messages', () => {
  for (const path of ['/v1/chat/completions', '/v1/responses', '/v1/models', '']) {
    assert.deepEqual(spokenFailure(path, FAILURE), FAILURE);
  }
  assert.deepEqual(spokenFailure('/v1/messages', FAILURE), {
    status: 504,
    body: { type: 'error', error: { type: 'timeout_error', message: `x: ${message}` } },
    headers: FAILURE.headers,
  });
});

test('in a stream: each surface has its own last word', () => {
  const said = (path: string): string => fromUtf8(spokenEnd(path, FAILURE));
  assert.ok(said('/v1/chat/completions').startsWith('data: {"error":{"message":'));
  assert.ok(
    said('/v1/responses').startsWith('event: error\ndata: {"type":"error","code":"timeout"'),
  );
  const ours = 'event: error\ndata: {"type":"error","error":{"type":"timeout_error"';
  assert.ok(said('/v1/messages').startsWith(ours));
});

test('what it cost is a comment of one line', () => {
  const said = fromUtf8(spokenSettlement({ amount: '1', note: 'a\nb' }));
  assert.equal(said, ': x_settlement {"amount":"1","note":"a\\nb"}\n\n');
});
