/** Lost requests in the written form of a payer's count: what comes back, what is bounded, what the form before had. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomBytes } from '#primitives';
import { utf8 } from '../../core/bytes.ts';
import { canonicalJson, parseJson } from '../../core/json.ts';
import { z } from 'zod';
import { LOST_KEPT, PAY_STATE_MAX_BYTES } from '../../client/limits.ts';
import type { LostRequest, WitnessKey } from '../../client/pay/lost.ts';
import { decodePayState, encodePayState, newPayState } from '../../client/pay/pay-state.ts';
import { RECIPIENTS_MAX } from '../../protocol/sx/limits.ts';
import { AMOUNT_MAX, amount } from '../../settlement/money.ts';

const CHANNEL = randomBytes(32);
const U64 = 2n ** 64n - 1n;

function key(): WitnessKey {
  return {
    workerId: randomBytes(32),
    statementHash: randomBytes(32),
    kid: randomBytes(16),
    receiptKey: randomBytes(32),
    model: { digest: randomBytes(32) },
    prices: { asset: 'TON', base: U64, prompt: U64, cached: U64, completion: U64, reasoning: U64 },
    priceDigest: randomBytes(32),
    policyDigest: randomBytes(32),
    simulated: true,
  };
}

function lost(keys: readonly WitnessKey[]): LostRequest {
  const id = randomBytes(16);
  const prelude = {
    recipientCount: keys.length,
    flags: { stream: true, constantRate: false, singleRecipient: false, receiptRequired: true },
    msgId: id,
    issuedAtMs: 1,
    ttlS: 120,
    deadlineMs: 600_000,
    kem: 'X-Wing',
    routeTag: randomBytes(16),
    maxAmount: U64,
    maxPrompt: 1,
    maxOutput: 1,
    asset: 0,
    payerRef: randomBytes(32),
  } as const;
  return {
    id,
    most: amount(AMOUNT_MAX),
    covered: amount(1n),
    word: 'unknown',
    admittedUntilMs: Number.MAX_SAFE_INTEGER,
    untilMs: Number.MAX_SAFE_INTEGER,
    witness: { prelude, th: randomBytes(32), keys },
  };
}

test('what was asked and of whom comes back as it was, each recipient written once', () => {
  const [one, other] = [key(), key()];
  const requests = [lost([one, other]), lost([other]), { ...lost([]), witness: undefined }];
  const written = encodePayState({ ...newPayState(CHANNEL, 'known'), lost: requests });
  assert.deepEqual(decodePayState(written, CHANNEL).lost, requests);
  const { keys } = z.looseObject({ keys: z.array(z.unknown()) }).parse(parseJson(written, 100_000));
  assert.equal(keys.length, 2);
});

test('as many as are kept, each with recipients of its own, can be read again', () => {
  const requests = Array.from({ length: LOST_KEPT }, () =>
    lost(Array.from({ length: RECIPIENTS_MAX }, key)),
  );
  const written = encodePayState({ ...newPayState(CHANNEL, 'known'), lost: requests });
  assert.ok(written.length < PAY_STATE_MAX_BYTES, String(written.length));
  assert.equal(decodePayState(written, CHANNEL).lost.length, LOST_KEPT);
});

const FIELDS = z.record(z.string(), z.json());

test('a count of the form before is read, and what was stranded stays a sum', () => {
  const {
    lost: _,
    keys: __,
    countedN,
    ...fields
  } = FIELDS.parse(parseJson(encodePayState(newPayState(CHANNEL, 'known')), 10_000));
  const before = {
    ...fields,
    fmt: 'veilgate.pay-state/1',
    confirmedN: countedN ?? '0',
    stranded: '7',
    strandedCount: 2,
    strandedUntilMs: 5,
  };
  const state = decodePayState(utf8(canonicalJson(before)), CHANNEL);
  assert.deepEqual([state.stranded, state.strandedUntilMs, state.lost], [7n, 5, []]);
});

test('a request that was covered for more than it may cost is no count', () => {
  const wrong = { ...lost([key()]), most: amount(1n), covered: amount(2n) };
  const written = encodePayState({ ...newPayState(CHANNEL, 'known'), lost: [wrong] });
  assert.throws(() => decodePayState(written, CHANNEL), { code: 'client.channel_file' });
});
