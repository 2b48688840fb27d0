/**
 * What is accepted off chain is accepted on chain: the edge cases of Ed25519 against the contract itself.
 * Spec: ton-settlement §3.4, §7 S2.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ed25519 } from '@noble/curves/ed25519.js';
import { signEd25519, verifyEd25519 } from '#primitives';
import * as portable from '../../../core/primitives.ts';
import { concat, fixed, fromHex, type Bytes } from '../../../core/bytes.ts';
import { CHANNEL_EXIT } from '../../../settlement/ton/contracts/exit-codes.ts';
import { claimBody } from '../../../settlement/ton/contracts/pay-channel.ts';
import { amount } from '../../../settlement/money.ts';
import { appraisePayerKey } from '../../../settlement/payer-key.ts';
import { encodeVoucherTerms } from '../../../settlement/voucher.ts';
import { ChannelLab, PAYER_SEED, STRANGER, TON } from '../../support/ton/channel-lab.ts';

const L = (1n << 252n) + 27742317777372353535851937790883648493n;
const P = (1n << 255n) - 19n;

function littleEndian(value: bigint): Uint8Array {
  return fromHex(value.toString(16).padStart(64, '0')).reverse();
}

function key(value: bigint): Bytes<32> {
  return fixed(littleEndian(value), 32);
}

const X_ODD = 1n << 255n;
const ORDER_8 = [...new Set(smallOrderEncodings())];

/** The y of the points of order 8, from the library that we do not otherwise use here. */
function smallOrderEncodings(): readonly bigint[] {
  const y8 = BigInt('0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7');
  return [y8, y8 | X_ODD, P - y8, (P - y8) | X_ODD];
}

const SMALL = [1n, P - 1n, 0n, X_ODD, ...ORDER_8];
const NON_CANONICAL = [
  P,
  P + 1n,
  P | X_ODD,
  (P + 1n) | X_ODD,
  1n | X_ODD,
  (P - 1n) | X_ODD,
  P + 3n,
];

test('keys that everybody can sign for, or that have two encodings, open no channel', () => {
  for (const value of SMALL) assert.equal(appraisePayerKey(key(value)), 'small_order');
  for (const value of NON_CANONICAL) assert.equal(appraisePayerKey(key(value)), 'non_canonical');
  assert.equal(appraisePayerKey(key(2n)), 'not_a_point');
});

test('the check of keys agrees with strict decoding of another library', () => {
  for (let n = 0; n < 200; n++) {
    const bytes = fixed(Uint8Array.from(portable.sha256(Uint8Array.of(n)), identity), 32);
    assert.equal(appraisePayerKey(bytes) === 'sound', isSoundByNoble(bytes), `${n}`);
  }
  for (const value of [...SMALL, ...NON_CANONICAL, 2n, 3n, 4n, 5n, 6n, 7n]) {
    assert.equal(appraisePayerKey(key(value)) === 'sound', isSoundByNoble(key(value)));
  }
});

function identity(byte: number): number {
  return byte;
}

function isSoundByNoble(bytes: Uint8Array): boolean {
  try {
    const point = ed25519.Point.fromBytes(bytes, false);
    return !point.isSmallOrder();
  } catch {
    return false; // does not decode strictly
  }
}

interface Case {
  readonly name: string;
  readonly payerKey: Bytes<32>;
  readonly signature: (message: Uint8Array) => Bytes<64>;
}

const HONEST = portable.ed25519PublicKey(PAYER_SEED);
const IDENTITY = littleEndian(1n);

function honest(message: Uint8Array): Bytes<64> {
  return signEd25519(PAYER_SEED, message);
}

function withS(signature: Uint8Array, change: (s: bigint) => bigint): Bytes<64> {
  const s = BigInt(`0x${Buffer.from(signature.slice(32)).reverse().toString('hex')}`);
  return fixed(concat(signature.slice(0, 32), littleEndian(change(s))), 64);
}

function constant(r: Uint8Array, s: bigint): () => Bytes<64> {
  return () => fixed(concat(r, littleEndian(s)), 64);
}

const CASES: readonly Case[] = [
  { name: 'honest', payerKey: HONEST, signature: honest },
  { name: 'S + L', payerKey: HONEST, signature: (m) => withS(honest(m), (s) => s + L) },
  { name: 'S + 2L', payerKey: HONEST, signature: (m) => withS(honest(m), (s) => s + 2n * L) },
  { name: 'S = L', payerKey: HONEST, signature: constant(IDENTITY, L) },
  { name: 'R of identity, S = 0', payerKey: HONEST, signature: constant(IDENTITY, 0n) },
  ...[...SMALL, ...NON_CANONICAL, 2n].flatMap((value) =>
    [1n, P - 1n, P + 1n, 0n].map((r) => ({
      name: `key ${value.toString(16)}, R ${r.toString(16)}, S = 0`,
      payerKey: key(value),
      signature: constant(littleEndian(r), 0n),
    })),
  ),
  ...[0, 31, 32, 63].map((at) => ({
    name: `a bit of byte ${at} turned`,
    payerKey: HONEST,
    signature: (m: Uint8Array) => {
      const bytes = Uint8Array.from(honest(m));
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      return fixed(bytes, 64);
    },
  })),
];

test('off-chain acceptance lies within on-chain acceptance', async () => {
  const { chain } = await ChannelLab.create();
  const seen = { both: 0, chainOnly: 0, refused: 0 };
  for (const [n, { name, payerKey, signature }] of CASES.entries()) {
    const terms = { payerKey, payeeKey: 'single-lock', salt: BigInt(n) } as const;
    const lab = await ChannelLab.create(terms, chain);
    await lab.deposit(2n * TON);
    const voucher = encodeVoucherTerms({ channel: lab.id, epoch: 0, ceiling: amount(TON) });
    const claim = { ...lab.signed({ charged: TON }), voucherSignature: signature(voucher) };
    const { exitCode } = await lab.send(claimBody(claim, 1n), STRANGER);
    const onChain = exitCode === 0;
    assert.ok(onChain || exitCode === CHANNEL_EXIT.payerSignature, `${name}: ${exitCode}`);
    const isSound = appraisePayerKey(payerKey) === 'sound';
    for (const verify of [verifyEd25519, portable.verifyEd25519]) {
      const offChain = isSound && accepts(verify, payerKey, claim.voucherSignature, voucher);
      assert.ok(onChain || !offChain, `${name}: accepted off chain only`);
      if (name === 'honest') assert.ok(offChain && onChain);
    }
    seen[onChain ? (isSound ? 'both' : 'chainOnly') : 'refused'] += 1;
  }
  assert.equal(seen.both, 1);
  assert.ok(seen.chainOnly > 0, 'the corpus reaches the divergence that the check of keys closes');
});

function accepts(
  verify: typeof verifyEd25519,
  payerKey: Bytes<32>,
  signature: Bytes<64>,
  message: Uint8Array,
): boolean {
  try {
    return verify(payerKey, signature, message);
  } catch {
    return false; // the portable one throws for keys that do not decode
  }
}
