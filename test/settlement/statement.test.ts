/** The ledger line: layout, strictness, every field signed, and what two of them prove. Spec: ton-settlement §4.3. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { generateEd25519, randomBytes } from '#primitives';
import { fixed, concat, u128be, u64be } from '../../core/bytes.ts';
import { AMOUNT_MAX, amount } from '../../settlement/money.ts';
import {
  contradictionBetween,
  isStatementSignedBy,
  parseStatementUnverified,
  signStatement,
  statementSigner,
  type Statement,
} from '../../settlement/statement.ts';

const REFUSED = { code: 'settlement.artefact' };
const LEDGER = generateEd25519();
const sign = statementSigner(LEDGER.secretKey);
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => fixed(bytes, 32));
const statementArbitrary: fc.Arbitrary<Statement> = fc
  .record({
    channel: bytes32,
    epoch: fc.integer({ min: 0, max: 0xffff }),
    n: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
    requestId: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => fixed(bytes, 16)),
    receiptHash: bytes32,
    sums: fc.tuple(
      fc.bigInt({ min: 0n, max: AMOUNT_MAX }),
      fc.bigInt({ min: 0n, max: AMOUNT_MAX }),
    ),
    atMs: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    policyDigest: bytes32,
  })
  .map(({ sums: [a, b], ...rest }) => ({
    ...rest,
    amount: amount(a < b ? a : b),
    cum: amount(a < b ? b : a),
  }));

function line(n: bigint, part: bigint, cum: bigint, change: Partial<Statement> = {}): Statement {
  return {
    channel: fixed(new Uint8Array(32).fill(1), 32),
    epoch: 0,
    n,
    requestId: fixed(concat(u64be(n), u64be(0n)), 16),
    receiptHash: fixed(new Uint8Array(32).fill(2), 32),
    amount: amount(part),
    cum: amount(cum),
    atMs: 5,
    policyDigest: fixed(new Uint8Array(32).fill(3), 32),
    ...change,
  };
}

test('every statement comes back from its payload, signed', () => {
  fc.assert(
    fc.property(statementArbitrary, (statement) => {
      const signed = signStatement(statement, sign);
      assert.deepEqual(parseStatementUnverified(signed.payload), signed);
      assert.ok(isStatementSignedBy(signed, LEDGER.publicKey));
    }),
    { numRuns: 50 },
  );
});

test('one changed bit anywhere is refused or is not signed', () => {
  const { payload } = signStatement(line(7n, 5n, 9n), sign);
  for (let bit = 0; bit < payload.length * 8; bit++) {
    const changed = payload.slice();
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    let read;
    try {
      read = parseStatementUnverified(changed);
    } catch {
      continue; // tag or a range
    }
    assert.ok(!isStatementSignedBy(read, LEDGER.publicKey), `bit ${bit}`);
  }
});

test('a wrong size, a number zero, an amount beyond its sum and ranges are refused', () => {
  const { payload } = signStatement(line(7n, 5n, 9n), sign);
  const put = (at: number, bytes: Uint8Array) => {
    const out = payload.slice();
    out.set(bytes, at);
    return out;
  };
  for (const wrong of [
    payload.subarray(1),
    concat(payload, Uint8Array.of(0)),
    put(38, u64be(0n)),
    put(94, u128be(10n)),
    put(110, u128be(AMOUNT_MAX + 1n)),
    put(126, u64be(2n ** 53n)),
  ]) {
    assert.throws(() => parseStatementUnverified(wrong), REFUSED);
  }
});

test('honest neighbours do not contradict each other, in either order', () => {
  const [a, b, c] = [line(1n, 5n, 5n), line(2n, 3n, 8n), line(9n, 1n, 20n, { epoch: 1 })];
  for (const [one, other] of [
    [a, b],
    [b, a],
    [a, c],
    [c, b],
    [a, { ...a }],
  ] as const) {
    assert.equal(contradictionBetween(one, other), undefined);
  }
});

test('each kind of contradiction is named', () => {
  const first = line(1n, 5n, 5n);
  for (const change of [
    { amount: amount(4n) },
    { cum: amount(6n) },
    { requestId: randomBytes(16) },
    { receiptHash: randomBytes(32) },
    { atMs: 6 },
    { policyDigest: randomBytes(32) },
  ]) {
    assert.equal(contradictionBetween(first, { ...first, ...change }), 'same_number');
  }
  const again = line(2n, 5n, 10n, { requestId: first.requestId });
  assert.equal(contradictionBetween(again, first), 'charged_twice');
  assert.equal(contradictionBetween(first, line(2n, 3n, 9n)), 'broken_interval');
  assert.equal(contradictionBetween(first, line(4n, 3n, 7n)), 'broken_interval');
  assert.equal(
    contradictionBetween(line(1n, 5n, 5n, { epoch: 1 }), line(3n, 1n, 9n)),
    'broken_interval',
  );
  assert.equal(contradictionBetween(first, { ...first, channel: randomBytes(32) }), undefined);
});
