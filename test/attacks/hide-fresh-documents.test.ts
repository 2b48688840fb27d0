/** C2. Attack: the gateway keeps serving documents whose time is over, or none. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appOf, assertError, WHOLE } from '../support/hostile.ts';
import { memoryGateway } from '../support/memory-gateway.ts';

test('evidence that has expired admits nobody', async () => {
  const gateway = await memoryGateway([{ issuedAgoS: 601 }]);
  assertError(await appOf(gateway)('unary'), ['attestation_failed']);
  assert.ok(!gateway.asked.includes('/sx/v1/exchange'));
});

test('a session ends with its last key when only old evidence is shown', async () => {
  const gateway = await memoryGateway();
  const ask = appOf(gateway);
  assert.deepEqual(await ask('unary'), WHOLE);
  await gateway.addWorker();
  gateway.mischief.evidence = ({ candidates }) => ({ candidates: candidates.slice(0, 1) });
  gateway.advance(601_000);
  assertError(await ask('unary'), ['attestation_failed']);
});

test('a gateway document that has expired is refused', async () => {
  const gateway = await memoryGateway();
  let kept: unknown;
  gateway.mischief.gateway = (json) => (kept ??= json);
  const ask = appOf(gateway);
  assert.deepEqual(await ask('unary'), WHOLE);
  gateway.advance(3_600_000);
  assertError(await ask('unary'), ['attestation_failed']);
});

test('a gateway that changes its identity in the middle of a session is refused', async () => {
  const gateway = await memoryGateway();
  const other = await memoryGateway();
  const ask = appOf(gateway);
  assert.deepEqual(await ask('unary'), WHOLE);
  const response = await other.fetch('https://other.test/v1/gateway', {
    headers: {},
    redirect: 'error',
    credentials: 'omit',
    cache: 'no-store',
    signal: AbortSignal.timeout(1000),
  });
  const document: unknown = await response.json();
  gateway.mischief.gateway = () => document;
  gateway.advance(601_000);
  assertError(await ask('unary'), ['attestation_failed']);
});

test('no evidence at all is a retriable absence of workers', async () => {
  const gateway = await memoryGateway();
  gateway.mischief.evidence = () => ({ candidates: [] });
  assertError(await appOf(gateway)('unary'), ['no_attested_worker']);
});
