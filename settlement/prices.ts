/**
 * What a gateway offers, as one document: the price of every token kind for every model and card, the gateway's fee and
 * until when it holds. Each entry names the card that it repeats, because a receipt's `priceDigest` is that card's; the
 * digest of the list names the list. Spec: ton-settlement §4.1, §4.2; overview "Statement and card" (the fee is the
 * worker's, never added).
 * @module
 */

import { z } from 'zod';
import { equalPublic, toBase64Url, toHex, utf8, type Bytes } from '../core/bytes.ts';
import { assert, VeilError } from '../core/errors.ts';
import { canonicalJson, parseStrictJson, type Json } from '../core/json.ts';
import { sha256 } from '#primitives';
import type { PriceList } from '../attestation/verdict.ts';
import { base64UrlField } from '../attestation/byte-fields.ts';
import { settlementError } from './errors.ts';
import { amount, type Amount, type Asset } from './money.ts';
import { ceilingOf } from './price.ts';

export const PRICES_FORMAT = 'veilgate.prices/1';
export const PRICES_MAX_BYTES = 1_048_576;
const PRICES_MAX_DEPTH = 4;
const ENTRIES_MAX = 2048;
const MODEL_MAX_CHARS = 128;
const FEE_BPS_MAX = 10_000;

export interface PriceEntry {
  readonly model: string;
  /** SHA-256 of the worker card that promises these prices. */
  readonly card: Bytes<32>;
  readonly prices: PriceList;
}

export interface PriceBook {
  readonly asset: Asset;
  readonly feeBps: number;
  readonly validUntilMs: number;
  /** Sorted by model, then card; no pair twice. */
  readonly entries: readonly PriceEntry[];
}

const PRICE = z
  .int()
  .min(0)
  .transform((units) => BigInt(units));
const SCHEMA = z.strictObject({
  fmt: z.literal(PRICES_FORMAT),
  asset: z.enum(['TON', 'USDT']),
  feeBps: z.int().min(0).max(FEE_BPS_MAX),
  validUntilMs: z.int().min(0),
  entries: z
    .array(
      z.strictObject({
        model: z.string().min(1).max(MODEL_MAX_CHARS),
        card: base64UrlField(32),
        base: PRICE,
        prompt: PRICE,
        cached: PRICE,
        completion: PRICE,
        reasoning: PRICE,
      }),
    )
    .max(ENTRIES_MAX),
});

/** RFC 8785 bytes, whatever the order of the entries handed in. Throws `settlement.prices`. */
export function encodePriceBook(book: PriceBook): Uint8Array {
  const { asset, feeBps, validUntilMs } = book;
  const entries = book.entries.toSorted(byName).map(encodeEntry);
  const bytes = utf8(canonicalJson({ fmt: PRICES_FORMAT, asset, feeBps, validUntilMs, entries }));
  parsePriceBook(bytes);
  return bytes;
}

function encodeEntry({ model, card, prices }: PriceEntry): Json {
  const number = (value: bigint): number => {
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw settlementError('settlement.prices', 'beyond what JSON integers hold');
    }
    return Number(value);
  };
  return {
    model,
    card: toBase64Url(card),
    base: number(prices.base),
    prompt: number(prices.prompt),
    cached: number(prices.cached),
    completion: number(prices.completion),
    reasoning: number(prices.reasoning),
  };
}

/** Only canonical bytes are a list: one list, one digest. Throws `settlement.prices`. */
export function parsePriceBook(bytes: Uint8Array): PriceBook {
  const decoded = SCHEMA.safeParse(strictJson(bytes));
  if (!decoded.success) throw settlementError('settlement.prices', 'schema');
  const { asset, feeBps, validUntilMs } = decoded.data;
  const entries = decoded.data.entries.map(({ model, card, ...prices }) => ({
    model,
    card,
    prices: { asset, ...prices },
  }));
  entries.forEach((entry, at) => {
    const before = entries[at - 1];
    if (before !== undefined && byName(before, entry) >= 0) {
      throw settlementError('settlement.prices', 'not sorted, or twice');
    }
  });
  return { asset, feeBps, validUntilMs, entries };
}

function strictJson(bytes: Uint8Array): Json {
  const options = { maxBytes: PRICES_MAX_BYTES, maxDepth: PRICES_MAX_DEPTH } as const;
  try {
    const { value } = parseStrictJson(bytes, { ...options, numbers: 'integers' });
    if (equalPublic(utf8(canonicalJson(value)), bytes)) return value;
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    throw settlementError('settlement.prices', error.code);
  }
  throw settlementError('settlement.prices', 'not canonical');
}

function byName(a: PriceEntry, b: PriceEntry): number {
  const [one, other] = [a, b].map(({ model, card }) => `${model} ${toHex(card)}`);
  assert(one !== undefined && other !== undefined, 'two entries');
  return one < other ? -1 : one > other ? 1 : 0;
}

export function priceBookDigest(bytes: Uint8Array): Bytes<32> {
  return sha256(bytes);
}

export function isValidAt(book: PriceBook, nowMs: number): boolean {
  return nowMs <= book.validUntilMs;
}

export interface Bounds {
  /** Declared in the prelude, and enforced by the worker. */
  readonly maxPrompt: number;
  /** All choices together, reasoning included. */
  readonly maxOutput: number;
}

/**
 * What a gateway reserves: the most that the dearest of the sealed recipients can ask for. Throws `settlement.amount`
 * when no ledger could hold it.
 */
export function needOf(offers: readonly PriceList[], { maxPrompt, maxOutput }: Bounds): Amount {
  assert(offers.length > 0, 'a request has recipients');
  const needs = offers.map((prices) => ceilingOf(prices, maxPrompt, maxOutput));
  return amount(needs.reduce((dearest, need) => (need > dearest ? need : dearest)));
}
