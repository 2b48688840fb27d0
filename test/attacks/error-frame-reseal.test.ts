/** C8. Attack: after a worker has begun to answer, the gateway says "no such key" to have the request sealed and run again. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../core/bytes.ts';
import { openSession } from '../../client/index.ts';
import { gatewayErrorFrame } from '../../protocol/sx/clear.ts';
import { appOf, assertError, MODES, onFrames } from '../support/hostile.ts';
import { memoryGateway, MODEL, PROMPT } from '../support/memory-gateway.ts';

/** Cuts the first answer after its head and two pieces; a second worker stands ready for whoever seals anew. */
async function cuttingGateway(code: string) {
  const gateway = await memoryGateway();
  const second = await gateway.addWorker();
  gateway.workers.pop();
  let answers = 0;
  gateway.mischief.answer = (pieces) => {
    answers += 1;
    if (answers > 1) return pieces;
    gateway.workers.splice(0, gateway.workers.length, second);
    const error = { type: 0x1f, bytes: gatewayErrorFrame(code) };
    return onFrames((frames) => [...frames.slice(0, 3), error])(pieces);
  };
  return { gateway, second };
}

for (const code of ['sx.key_unknown', 'no_recipient']) {
  for (const mode of MODES) {
    test(`${code} in the middle of an answer ends it and runs nowhere else (${mode})`, async () => {
      const { gateway, second } = await cuttingGateway(code);
      assertError(await appOf(gateway)(mode), ['answer_broken', 'sx.truncated']);
      assert.equal(second.opened.length, 0);
    });
  }

  test(`${code} in the middle of a stream never puts two answers together`, async () => {
    const { gateway, second } = await cuttingGateway(code);
    const { fetch, policy, clock } = gateway;
    const session = await openSession({
      baseUrl: 'https://gateway.test/v1',
      apiKey: 'sk-test-key',
      fetch,
      policy,
      clock,
    });
    const messages = [{ role: 'user', content: PROMPT }];
    const call = {
      path: '/v1/chat/completions',
      headers: [['content-type', 'application/json']] as const,
      body: utf8(JSON.stringify({ model: MODEL, stream: true, messages })),
    };
    await assert.rejects(session.complete(call), { code: 'sx.truncated' });
    assert.equal(second.opened.length, 0);
  });
}
