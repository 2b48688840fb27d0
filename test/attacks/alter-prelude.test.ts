/** C5. Attack: bytes of the clear head of a request are changed: flags, times, route, ceilings, payer. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appOf, assertError, WHOLE } from '../support/hostile.ts';
import { memoryGateway } from '../support/memory-gateway.ts';

const PRELUDE_BYTES = 112;

test('no byte of the prelude can be changed: nothing is opened', async () => {
  const gateway = await memoryGateway();
  const ask = appOf(gateway);
  for (let at = 0; at < PRELUDE_BYTES; at++) {
    gateway.mischief.request = (sealed) => {
      const out = sealed.slice();
      out[at] = (out[at] ?? 0) ^ 1;
      return out;
    };
    assertError(await ask('unary'), [
      'sealed_request_refused',
      'invalid_value',
      'no_attested_worker',
    ]);
  }
  assert.equal(gateway.workers[0]?.opened.length, 0);
  delete gateway.mischief.request;
  assert.deepEqual(await ask('unary'), WHOLE);
});

test('the flag that demands a receipt cannot be stripped', async () => {
  const gateway = await memoryGateway();
  gateway.mischief.request = (sealed) => {
    const out = sealed.slice();
    out[5] = (out[5] ?? 0) & ~0b1000;
    return out;
  };
  assertError(await appOf(gateway)('unary'), ['sealed_request_refused']);
});

test('no byte after the prelude can be changed either', async () => {
  const gateway = await memoryGateway();
  const ask = appOf(gateway);
  const STEPS = 60;
  for (let step = 0; step < STEPS; step++) {
    gateway.mischief.request = (sealed) => {
      const out = sealed.slice();
      const at = PRELUDE_BYTES + Math.floor(((sealed.length - PRELUDE_BYTES) * step) / STEPS);
      out[at] = (out[at] ?? 0) ^ 1;
      return out;
    };
    assertError(await ask('unary'), [
      'sealed_request_refused',
      'invalid_value',
      'no_attested_worker',
    ]);
  }
  assert.equal(gateway.workers[0]?.opened.length, 0);
});
