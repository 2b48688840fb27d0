/** Attack: the request goes to a worker that the client did not choose. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appOf, assertError, MODES } from '../support/hostile.ts';
import { memoryGateway } from '../support/memory-gateway.ts';

for (const mode of MODES) {
  test(`an admitted worker outside the sealed set reads nothing (${mode})`, async () => {
    const gateway = await memoryGateway([{}, {}]);
    gateway.mischief.evidence = ({ candidates }) => ({ candidates: candidates.slice(0, 1) });
    gateway.mischief.route = (workers) => workers.slice(1);
    assertError(await appOf(gateway)(mode), ['no_attested_worker']);
    assert.ok(gateway.workers.every((worker) => worker.opened.length === 0));
  });
}

test('never more recipients than asked for are sealed to', async () => {
  const gateway = await memoryGateway([{}, {}, {}, {}]);
  const counts: number[] = [];
  gateway.mischief.request = (sealed) => {
    counts.push(sealed[3] ?? 0);
    return sealed;
  };
  await appOf(gateway)('unary');
  await appOf(gateway, { recipients: 1 })('unary');
  await appOf(gateway, { recipients: 99 })('unary');
  assert.deepEqual(counts.slice(0, 1), [3]);
  assert.ok(counts.includes(4));
});
