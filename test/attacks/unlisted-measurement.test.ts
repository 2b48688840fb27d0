/** Attack: the gateway offers a worker whose measurements the client's policy does not list. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appOf, assertError, WHOLE } from '../support/hostile.ts';
import { memoryGateway } from '../support/memory-gateway.ts';

test('it is never sealed to: alone it gets an error, beside others nothing', async () => {
  const gateway = await memoryGateway([{ unlisted: true }]);
  const ask = appOf(gateway);
  assertError(await ask('unary'), ['attestation_failed']);
  assert.ok(!gateway.asked.includes('/sx/v1/exchange'));
  const good = await gateway.addWorker();
  let kids = '';
  gateway.mischief.request = (sealed) => {
    const n = sealed[3] ?? 0;
    kids = Buffer.from(sealed.subarray(112, 112 + 16 * n)).toString('hex');
    return sealed;
  };
  assert.deepEqual(await ask('unary'), WHOLE);
  assert.equal(kids, good.kid);
  assert.equal(gateway.workers[0]?.opened.length, 0);
});

test('what the gateway says of a worker counts for nothing', async () => {
  const gateway = await memoryGateway([{ unlisted: true }]);
  gateway.mischief.evidence = ({ candidates }) => ({
    candidates: candidates.map((entry) => ({ ...entry, verdict: { decision: 'admitted' } })),
  });
  assertError(await appOf(gateway)('unary'), ['attestation_failed']);
});
