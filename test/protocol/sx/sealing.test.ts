/** What a client will not seal, and what sizes show. Spec: P§4.3, P§6.4, P§10.4. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../../core/bytes.ts';
import { randomBytes } from '#primitives';
import { padmeBytes } from '../../../protocol/sx/padding.ts';
import type { SealInput } from '../../../protocol/sx/seal.ts';
import { FREE_PRICES, TEST_PRICES } from '../../support/attested-key.ts';
import {
  answer,
  framesOf,
  KEMS,
  layout,
  NOW_MS,
  pick,
  refuses,
  seal,
  stageWorkers,
  StageWorker,
} from './stage.ts';

test('recipients: none, nine, the same twice', () => {
  const workers = stageWorkers('X25519', 9);
  refuses(() => seal([]), 'sx.input');
  refuses(() => seal(workers), 'sx.input');
  refuses(() => seal([pick(workers, 0), pick(workers, 0)]), 'sx.input');
});

test('the suite is never negotiated down: X25519 only where the policy allows it', () => {
  const classic = new StageWorker('X25519');
  const hybrid = new StageWorker('X-Wing');
  const input = { allowedKems: ['X-Wing'] as const };
  refuses(() => seal([classic], input), 'sx.kem');
  refuses(() => seal([hybrid, classic], input), 'sx.kem');
  refuses(() => seal([hybrid, classic]), 'sx.kem');
  seal([hybrid], input);
});

test('a key that no appraisal minted, and one past its expiry', () => {
  const worker = new StageWorker('X25519');
  const copy = { ...worker.attested.key };
  refuses(() => seal([worker], { keys: [copy] }), 'internal.invariant');
  const old = new StageWorker('X25519', { expiresAtMs: NOW_MS });
  refuses(() => seal([old]), 'internal.invariant');
});

test('recipients of two models, two policies, two assets', () => {
  const worker = new StageWorker('X25519');
  const { model } = worker.attested.key;
  const others = [
    new StageWorker('X25519', { model: { ...model, id: 'other/model' } }),
    new StageWorker('X25519', { policyDigest: randomBytes(32) }),
    new StageWorker('X25519', { prices: { ...TEST_PRICES, asset: 'USDT' } }),
  ];
  for (const other of others) refuses(() => seal([worker, other]), 'sx.input');
});

const BOUNDS = { maxAmount: 1n, maxPrompt: 1, maxOutput: 1, asset: 0 } as const;
const BAD_INPUTS: readonly (readonly [string, Partial<SealInput>])[] = [
  ['a ceiling of zero for a priced worker', { bounds: { ...BOUNDS, maxAmount: 0n } }],
  ['a ceiling beyond u64', { bounds: { ...BOUNDS, maxAmount: 1n << 64n } }],
  ['a negative ceiling', { bounds: { ...BOUNDS, maxAmount: -1n } }],
  ['no prompt', { bounds: { ...BOUNDS, maxPrompt: 0 } }],
  ['no output', { bounds: { ...BOUNDS, maxOutput: 0 } }],
  ['half a token', { bounds: { ...BOUNDS, maxOutput: 1.5 } }],
  ['ttl 0', { ttlS: 0 }],
  ['ttl 301', { ttlS: 301 }],
  ['deadline 0', { deadlineMs: 0 }],
  ['deadline beyond 30 minutes', { deadlineMs: 1_800_001 }],
];

for (const [what, change] of BAD_INPUTS) {
  test(`not sealed: ${what}`, () => {
    refuses(() => seal([new StageWorker('X25519')], change), 'sx.input');
  });
}

test('a ceiling of zero is for free workers', () => {
  const worker = new StageWorker('X25519', { prices: FREE_PRICES });
  seal([worker], { bounds: { ...BOUNDS, maxAmount: 0n } });
});

test('Padmé: floor 256, at most 12 % more, powers of two unchanged', () => {
  assert.equal(padmeBytes(0), 256);
  assert.equal(padmeBytes(256), 256);
  assert.equal(padmeBytes(257), 272);
  assert.equal(padmeBytes(9), 256);
  assert.equal(padmeBytes(2 ** 23), 2 ** 23);
  let sizes = 0;
  for (let length = 257, last = 0; length < 200_000; length += 7) {
    const padded = padmeBytes(length);
    assert.ok(padded >= length && padded <= length * 1.12);
    assert.ok(padded >= last);
    if (padded !== last) sizes++;
    last = padded;
  }
  assert.ok(sizes < 200, `${sizes} sizes for 200 000 lengths`);
});

for (const kem of KEMS) {
  test(`${kem}: prompts of one size class make requests of one size`, () => {
    const worker = new StageWorker(kem);
    const sizeOf = (bytes: number) =>
      seal([worker], {
        request: { path: '/v1/chat/completions', headers: [], body: new Uint8Array(bytes) },
      }).bytes.length;
    assert.equal(sizeOf(1), sizeOf(100));
    assert.equal(sizeOf(1000), sizeOf(1001));
    assert.notEqual(sizeOf(100), sizeOf(1000));
    assert.equal(sizeOf(1), layout(kem, 1).frames + 4 + 3 + 256 + 16 + 4 + 3 + 16);
  });
}

test('answers: tokens of any length up to 123 bytes look alike, all frames are multiples of 128', () => {
  const worker = new StageWorker('X25519');
  const { bytes } = seal([worker]);
  const writes = answer(worker, worker.open(bytes), ['a', 'b'.repeat(60), 'c'.repeat(123)]);
  assert.deepEqual(
    writes.slice(1, 4).map((wire) => wire.length),
    [148, 148, 148],
  );
  const long = answer(worker, worker.open(seal([worker]).bytes), ['d'.repeat(200_000)]);
  for (const frame of framesOf(long[1] ?? utf8(''))) assert.equal((frame.length - 20) % 128, 0);
});
