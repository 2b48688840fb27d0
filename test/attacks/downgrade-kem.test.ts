/** C9. Attack: the gateway offers only workers with the weaker key agreement. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appOf, assertError, WHOLE } from '../support/hostile.ts';
import { memoryGateway } from '../support/memory-gateway.ts';

const KEM_AT = 38;

function kemOf(sealed: Uint8Array): number {
  return new DataView(sealed.buffer, sealed.byteOffset).getUint16(KEM_AT);
}

test('with X25519 alone on offer nothing is sealed, unless the app allows it', async () => {
  const gateway = await memoryGateway([{ kem: 'X25519' }]);
  assertError(await appOf(gateway)('unary'), ['attestation_failed']);
  assert.ok(!gateway.asked.includes('/sx/v1/exchange'));
  const willing = appOf(gateway, { allowedKems: ['X25519', 'X-Wing'] });
  assert.deepEqual(await willing('unary'), WHOLE);
});

test('where a better worker is there the weaker one gets nothing, even if allowed', async () => {
  const gateway = await memoryGateway([{ kem: 'X25519' }, { kem: 'X-Wing' }, { kem: 'X25519' }]);
  let kem = 0;
  gateway.mischief.request = (sealed) => {
    kem = kemOf(sealed);
    return sealed;
  };
  const ask = appOf(gateway, { allowedKems: ['X25519', 'X-Wing'] });
  assert.deepEqual(await ask('unary'), WHOLE);
  assert.equal(kem, 0x647a);
  assert.deepEqual(
    gateway.workers.map((worker) => worker.opened.length),
    [0, 1, 0],
  );
});

test('another KEM written into a sealed request opens nothing', async () => {
  const gateway = await memoryGateway();
  gateway.mischief.request = (sealed) => {
    const out = sealed.slice();
    new DataView(out.buffer).setUint16(KEM_AT, 0x0020);
    return out;
  };
  assertError(await appOf(gateway)('unary'), ['sealed_request_refused', 'invalid_value']);
  assert.equal(gateway.workers[0]?.opened.length, 0);
});
