/** Attack: the gateway sends a request a second time, or shows an old answer again. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appOf, assertError, MODES, WHOLE } from '../support/hostile.ts';
import { memoryGateway, sealedResponse } from '../support/memory-gateway.ts';

test('a request repeated at its worker is opened once', async () => {
  const gateway = await memoryGateway();
  let kept: Uint8Array | undefined;
  gateway.mischief.request = (sealed) => (kept = sealed);
  assert.deepEqual(await appOf(gateway)('unary'), WHOLE);
  const [worker] = gateway.workers;
  assert.ok(worker !== undefined && kept !== undefined);
  const again = kept;
  assert.throws(() => worker.serve(again), { code: 'sx.replay' });
  assert.equal(worker.opened.length, 1);
});

test('a request kept past its life is refused', async () => {
  const gateway = await memoryGateway();
  gateway.mischief.request = (sealed) => {
    gateway.advance(121_000);
    return sealed;
  };
  assertError(await appOf(gateway)('unary'), ['sealed_request_refused']);
  assert.equal(gateway.workers[0]?.opened.length, 0);
});

for (const mode of MODES) {
  test(`an earlier answer shown for a new request is noticed (${mode})`, async () => {
    const gateway = await memoryGateway();
    const ask = appOf(gateway);
    let kept: readonly Uint8Array[] = [];
    gateway.mischief.answer = (pieces) => (kept = pieces);
    assert.deepEqual(await ask(mode), WHOLE);
    gateway.mischief.respond = () => sealedResponse(kept);
    assertError(await ask(mode), ['answer_broken', 'sx.response']);
  });
}
