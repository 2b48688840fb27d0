/**
 * A client pays step by step and says in clear that its answer is streamed; under the seal it asks for all of it in one
 * piece, which has no steps. The gateway would reserve for the first of them, and no more is settled than is reserved: the
 * worker refuses it before it generates anything. Spec: P§10.7; ton-settlement §4.4.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonOf, MODEL_ID, openWire } from '../enclave-worker/exchange-fixture.ts';
import { paidWorker, wordsEngine } from '../enclave-worker/paid-worker.ts';

const BODY = { model: MODEL_ID, messages: [{ role: 'user', content: 'Go.' }] };
const BOUNDS = { maxAmount: 10n ** 15n, maxPrompt: 150, maxOutput: 50, asset: 0 } as const;

test('in one piece nothing is generated for a gateway that counts along', async () => {
  const { fixture } = paidWorker({ engine: wordsEngine(50) });
  for (const body of [BODY, { ...BODY, stream: false }]) {
    const sealed = fixture.seal(body, { bounds: BOUNDS, stream: true });
    const answer = await fixture.exchange(sealed, openWire({ meterEvery: 1 }));
    assert.equal(answer.status, 400);
    assert.match(JSON.stringify(jsonOf(answer.text)), /"param":"stream"/);
    assert.equal(answer.receipt?.receipt.amount, 0n);
  }
});

test('streamed it is counted, and in one piece it is served to whom has reserved all of it', async () => {
  const { fixture } = paidWorker({ engine: wordsEngine(5) });
  const streamed = fixture.seal({ ...BODY, stream: true }, { bounds: BOUNDS });
  assert.equal((await fixture.exchange(streamed, openWire({ meterEvery: 1 }))).status, 200);
  assert.equal((await fixture.exchange(fixture.seal(BODY, { bounds: BOUNDS }))).status, 200);
});
