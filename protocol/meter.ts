/**
 * VGM1, frame 0x13: what a worker signs about an exchange that still runs, so that a gateway can ask for the next part of
 * the payment before the next part of the answer. A step on the way and never a bill: the receipt decides. Spec: P§10.7.
 * @module
 */

import {
  ascii,
  concat,
  equalPublic,
  fixed,
  Reader,
  u128be,
  u32be,
  type Bytes,
} from '../core/bytes.ts';
import type { AttestedKey } from '../attestation/verdict.ts';
import { verifyEd25519 } from '#primitives';
import { amountOf } from './price.ts';
import { sxError } from './sx/errors.ts';
import type { Prelude } from './sx/prelude.ts';

const MAGIC = ascii('VGM1');
const VGM1_BYTES = 80;
const SIGNATURE_BYTES = 64;
/** signature ‖ VGM1: the payload of frame 0x13. */
export const METER_BYTES = 144;
/** By which a gateway asks its worker for meters, on the link. */
export const METER_HEADER = 'sx-meter';

/** As parsed. Says nothing about who signed it. */
export interface Meter {
  readonly msgId: Bytes<16>;
  readonly statementHash: Bytes<32>;
  /** Tokens of output so far, reasoning included. */
  readonly completion: number;
  /** The price of the prompt and of them. */
  readonly amount: bigint;
  /** From 1, without holes. */
  readonly seq: number;
  /** Sealed frames of the answer before it: whoever brings it sooner has moved it, and its worker counted no text ahead. */
  readonly frames: number;
}

export interface SignedMeter {
  readonly meter: Meter;
  readonly signature: Bytes<64>;
  /** The VGM1 bytes. */
  readonly signed: Bytes<80>;
}

export function encodeMeter(meter: Meter): Bytes<80> {
  const bytes = concat(
    MAGIC,
    meter.msgId,
    meter.statementHash,
    u32be(meter.completion),
    u128be(meter.amount),
    u32be(meter.seq),
    u32be(meter.frames),
  );
  return fixed(bytes, VGM1_BYTES, 'VGM1');
}

const malformed = (what: string) =>
  sxError('sx.meter', what, { facts: { check: `format.${what}` } });

/** Throws `sx.meter`. Checks no signature. Copies. */
export function parseMeterUnverified(payload: Uint8Array): SignedMeter {
  if (payload.length !== METER_BYTES) throw malformed('size');
  const bytes = payload.slice();
  const reader = new Reader(bytes, malformed);
  const signature = reader.bytes(SIGNATURE_BYTES, 'signature'); // +0
  if (!equalPublic(reader.bytes(4, 'magic'), MAGIC)) throw malformed('magic'); // VGM1 +0
  const msgId = reader.bytes(16, 'msgId'); // +4
  const statementHash = reader.bytes(32, 'statementHash'); // +20
  const completion = reader.u32be('completion'); // +52
  const amount = reader.u128be('amount'); // +56
  const seq = reader.u32be('seq'); // +72
  const frames = reader.u32be('frames'); // +76
  const signed = fixed(bytes.subarray(SIGNATURE_BYTES), VGM1_BYTES);
  return { meter: { msgId, statementHash, completion, amount, seq, frames }, signature, signed };
}

export interface MeterExpectation {
  /** The worker that answers, as attested. */
  readonly key: AttestedKey;
  readonly prelude: Prelude;
  /** The one before it in the same answer. */
  readonly previous: Meter | undefined;
  /** Sealed frames that were read before it. Absent: for whoever does not act on what they say. */
  readonly frames?: number;
}

/**
 * Throws `sx.meter` with the name of the first check that failed. That the count is true nobody outside the worker can
 * tell; the client compares it with what it has read.
 */
export function verifyMeter(payload: Uint8Array, expected: MeterExpectation): Meter {
  const { meter, signature, signed } = parseMeterUnverified(payload);
  const { key, prelude, previous } = expected;
  const { completion, amount, seq } = meter;
  const output = { cached: 0, completion: 0, reasoning: 0, prompt: 0 };
  // Whichever of two kinds the tokens were, they cost no less than the cheaper one and no more than the dearer one.
  const priced = (prompt: number) => [
    amountOf(key.prices, { ...output, prompt, completion }),
    amountOf(key.prices, { ...output, prompt, reasoning: completion }),
    amountOf(key.prices, { ...output, cached: prompt, completion }),
    amountOf(key.prices, { ...output, cached: prompt, reasoning: completion }),
  ];
  const checks = [
    ['signature', () => verifyEd25519(key.receiptKey, signature, signed)],
    ['msgId', () => equalPublic(meter.msgId, prelude.msgId)],
    ['statementHash', () => equalPublic(meter.statementHash, key.statementHash)],
    ['seq', () => seq === (previous?.seq ?? 0) + 1],
    ['place', () => expected.frames === undefined || meter.frames === expected.frames],
    ['completion', () => completion >= (previous?.completion ?? 0)],
    ['maxOutput', () => completion <= prelude.maxOutput],
    ['rises', () => amount >= (previous?.amount ?? 0n)],
    ['maxAmount', () => amount <= prelude.maxAmount],
    ['cheapest', () => priced(0).some((least) => amount >= least)],
    ['dearest', () => priced(prelude.maxPrompt).some((most) => amount <= most)],
  ] as const;
  for (const [check, holds] of checks) {
    if (!holds()) throw sxError('sx.meter', check, { facts: { check } });
  }
  return meter;
}
