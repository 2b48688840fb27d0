/** C1. Attack: key names in the request or in the answer are exchanged for others. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, fromHex } from '../../core/bytes.ts';
import { appOf, assertError, MODES, splitAnswer } from '../support/hostile.ts';
import { memoryGateway } from '../support/memory-gateway.ts';

const KIDS_AT = 112;
const KID_BYTES = 16;

test('two key names exchanged in the request: no worker opens it', async () => {
  const gateway = await memoryGateway([{}, {}]);
  gateway.mischief.request = (sealed) => {
    const out = sealed.slice();
    out.set(sealed.subarray(KIDS_AT + KID_BYTES, KIDS_AT + 2 * KID_BYTES), KIDS_AT);
    out.set(sealed.subarray(KIDS_AT, KIDS_AT + KID_BYTES), KIDS_AT + KID_BYTES);
    return out;
  };
  assertError(await appOf(gateway)('unary'), ['sealed_request_refused']);
  assert.ok(gateway.workers.every((worker) => worker.opened.length === 0));
});

test("a stranger's key name in the request: the stranger cannot open it", async () => {
  const gateway = await memoryGateway();
  const stranger = await gateway.addWorker({ unlisted: true });
  gateway.mischief.request = (sealed) => {
    const out = sealed.slice();
    out.set(fromHex(stranger.kid), KIDS_AT);
    return out;
  };
  gateway.mischief.route = () => [stranger];
  assertError(await appOf(gateway)('unary'), ['sealed_request_refused']);
  assert.equal(stranger.opened.length, 0);
});

for (const mode of MODES) {
  test(`another candidate's name on the answer is noticed (${mode})`, async () => {
    const gateway = await memoryGateway([{}, {}]);
    const [, second] = gateway.workers;
    assert.ok(second !== undefined);
    gateway.mischief.answer = (pieces) => {
      const { opening, frames } = splitAnswer(concat(...pieces));
      const relabelled = concat(fromHex(second.kid), opening.subarray(KID_BYTES));
      return [relabelled, ...frames.map((frame) => frame.bytes)];
    };
    assertError(await appOf(gateway)(mode), ['answer_broken', 'sx.response']);
  });
}
