/** A surface's voice says a failure once, and never calls a broken answer whole. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromUtf8 } from '../../core/bytes.ts';
import { frontVoice } from '../../enclave-worker/answer-voice.ts';
import { messagesFront } from '../../protocol/anthropic/messages.ts';
import { openAiFailure } from '../../protocol/openai/errors.ts';
import { chunkOf, chunksOf, decodedBy, ROLE_CHUNK } from '../support/chat-front.ts';

const BODY = { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'x' }] };

function voice(): ReturnType<typeof frontVoice> {
  return frontVoice(messagesFront, decodedBy(messagesFront, { ...BODY, stream: true }));
}

test('a whole stream ends well', () => {
  const said = voice();
  for (const chunk of chunksOf({ text: 'Hello' })) said.object(chunk);
  assert.match(fromUtf8(said.done()), /event: message_stop\n/);
});

test('an answer that broke within is not done, and its failure is said once', () => {
  const said = voice();
  said.object(ROLE_CHUNK);
  assert.match(fromUtf8(said.object(chunkOf({}, 'bored'))), /^event: error\n/);
  assert.equal(said.object(chunkOf({ content: 'x' })).length, 0);
  assert.throws(() => said.done(), { code: 'chat.answer' });
  assert.equal(said.failed(openAiFailure('answer_broken')).length, 0);
});
