/**
 * Lost requests in the written form of a payer's count. Recipients are listed once: most requests go to the same few.
 * @module
 */

import { z } from 'zod';
import { toBase64, toHex } from '../../core/bytes.ts';
import type { JsonObject } from '../../core/json.ts';
import { base64Field, hexField } from '../../attestation/byte-fields.ts';
import { RECIPIENTS_MAX } from '../../protocol/sx/limits.ts';
import { encodePrelude, parsePrelude, PRELUDE_BYTES } from '../../protocol/sx/prelude.ts';
import { AMOUNT_MAX, amount } from '../../settlement/money.ts';
import { LOST_KEPT } from '../limits.ts';
import type { LostRequest, Witness, WitnessKey } from './lost.ts';

const DIGITS = z
  .string()
  .regex(/^(0|[1-9]\d{0,19})$/)
  .transform((digits) => BigInt(digits));
const AMOUNT = DIGITS.refine((value) => value <= AMOUNT_MAX).transform((value) => amount(value));
const INSTANT = z.int().min(0);

const PRICES = z.strictObject({
  asset: z.enum(['TON', 'USDT']),
  base: DIGITS,
  prompt: DIGITS,
  cached: DIGITS,
  completion: DIGITS,
  reasoning: DIGITS,
});

const KEY = z.strictObject({
  workerId: hexField(32),
  statementHash: hexField(32),
  kid: hexField(16),
  receiptKey: hexField(32),
  model: hexField(32),
  prices: PRICES,
  priceDigest: hexField(32),
  policyDigest: hexField(32),
  simulated: z.boolean(),
});

const LOST = z
  .strictObject({
    id: hexField(16),
    most: AMOUNT,
    covered: AMOUNT,
    word: z.enum(['open', 'unknown']),
    admittedUntilMs: INSTANT,
    untilMs: INSTANT,
    witness: z
      .strictObject({
        prelude: base64Field(PRELUDE_BYTES),
        th: hexField(32),
        keys: z.array(z.int().min(0)).max(RECIPIENTS_MAX),
      })
      .nullable(),
  })
  .refine(({ most, covered }) => covered <= most);

export const LOST_FIELDS = {
  lost: z.array(LOST).max(LOST_KEPT),
  keys: z.array(KEY).max(LOST_KEPT * RECIPIENTS_MAX),
} as const;

interface Written {
  readonly lost: readonly z.output<typeof LOST>[];
  readonly keys: readonly z.output<typeof KEY>[];
}

export function lostJson(lost: readonly LostRequest[]): JsonObject {
  const names = new Map<string, { readonly at: number; readonly json: JsonObject }>();
  const indexOf = (key: WitnessKey): number => {
    const name = `${toHex(key.kid)} ${toHex(key.policyDigest)}`;
    const known = names.get(name);
    if (known !== undefined) return known.at;
    names.set(name, { at: names.size, json: keyJson(key) });
    return names.size - 1;
  };
  const entries = lost.map(({ id, most, covered, word, admittedUntilMs, untilMs, witness }) => ({
    id: toHex(id),
    most: most.toString(),
    covered: covered.toString(),
    word,
    admittedUntilMs,
    untilMs,
    witness:
      witness === undefined
        ? null
        : {
            prelude: toBase64(encodePrelude(witness.prelude)),
            th: toHex(witness.th),
            keys: witness.keys.map(indexOf),
          },
  }));
  return {
    lost: entries,
    keys: [...names.values()].map(({ json }) => json),
  };
}

function keyJson({ prices, model, ...key }: WitnessKey): JsonObject {
  return {
    workerId: toHex(key.workerId),
    statementHash: toHex(key.statementHash),
    kid: toHex(key.kid),
    receiptKey: toHex(key.receiptKey),
    model: toHex(model.digest),
    prices: {
      asset: prices.asset,
      base: prices.base.toString(),
      prompt: prices.prompt.toString(),
      cached: prices.cached.toString(),
      completion: prices.completion.toString(),
      reasoning: prices.reasoning.toString(),
    },
    priceDigest: toHex(key.priceDigest),
    policyDigest: toHex(key.policyDigest),
    simulated: key.simulated,
  };
}

/** Throws `sx.refused` for a prelude that is none. */
export function lostOf({ lost, keys }: Written): readonly LostRequest[] {
  const known = keys.map(({ model, ...key }) => ({ ...key, model: { digest: model } }));
  return lost.map(({ witness, ...each }) => ({
    ...each,
    witness: witness === null ? undefined : witnessOf(witness, known),
  }));
}

function witnessOf(
  { prelude, th, keys }: { prelude: Uint8Array; th: Witness['th']; keys: readonly number[] },
  known: readonly WitnessKey[],
): Witness {
  const named = keys.map((at) => known[at]).filter((key) => key !== undefined);
  return { prelude: parsePrelude(prelude), th, keys: named };
}
