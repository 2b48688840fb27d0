/**
 * The worker card: who owns the machine, which model it serves within which limits, what it costs and where to pay.
 * The statement covers it by digest; without a card nobody is admitted.
 * Spec: overview "Statement and card", "Identities"; ton-settlement §4.1 (prices).
 * @module
 */

import { sha256 } from '#primitives';
import { z } from 'zod';
import { ascii, concat, toBase64Url, utf8, type Bytes } from '../core/bytes.ts';
import { VeilError } from '../core/errors.ts';
import { canonicalJson, parseStrictJson, type Json } from '../core/json.ts';
import { base64UrlField } from './byte-fields.ts';
import { cardError } from './errors.ts';
import { describeIssues } from './issues.ts';
import type { PriceList, WorkerLimits } from './verdict.ts';

export const CARD_FORMAT = 'veilgate.card/1';
export const CARD_MAX_BYTES = 8192;
const CARD_MAX_DEPTH = 4;
const MODEL_ID_MAX_CHARS = 128;
const CAPABILITIES_MAX = 16;
/** Limits travel as u32 in the prelude of a request. */
const U32_MAX = 0xffff_ffff;

export interface Card {
  readonly fmt: typeof CARD_FORMAT;
  /** Ed25519; its private half stays outside the machine and signs SHA-256(statement) at registration. */
  readonly owner: Bytes<32>;
  readonly model: {
    readonly id: string;
    readonly contextLength: number;
    readonly capabilities: readonly string[];
    /** SHA-256 of the weights. */
    readonly weights: Bytes<32>;
  };
  readonly limits: WorkerLimits;
  readonly prices: PriceList;
  /** A TON address as text, checked in form only; null while nothing is paid out. */
  readonly payout: string | null;
}

export type CardFields = Omit<Card, 'fmt'>;

/** Names of models wherever one is written: cards, policies, requests. */
export const MODEL_ID = z
  .string()
  .max(MODEL_ID_MAX_CHARS)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]*$/, 'want letters, digits and . _ : / -');

const COUNT = z.int().min(1).max(U32_MAX);
const PRICE = z
  .int()
  .min(0)
  .transform((units) => BigInt(units));

const SCHEMA = z.strictObject({
  fmt: z.literal(CARD_FORMAT),
  owner: base64UrlField(32),
  model: z.strictObject({
    id: MODEL_ID,
    contextLength: COUNT,
    capabilities: z
      .array(z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'want a short lower-case word'))
      .max(CAPABILITIES_MAX)
      .refine((words) => new Set(words).size === words.length, 'a capability stands twice'),
    weights: base64UrlField(32),
  }),
  limits: z.strictObject({
    maxPromptTokens: COUNT,
    maxOutputTokens: COUNT,
    maxConcurrent: COUNT,
  }),
  prices: z
    .strictObject({
      asset: z.enum(['TON', 'USDT']),
      base: PRICE,
      prompt: PRICE,
      cached: PRICE,
      completion: PRICE,
      reasoning: PRICE,
    })
    // Nobody outside can recount what was reused: where it is never dearer, calling it reused gains nothing.
    .refine(({ prompt, cached }) => cached <= prompt, 'cached: want no more than prompt'),
  payout: z
    .string()
    .regex(/^(?:[A-Za-z0-9_-]{48}|-?\d{1,3}:[0-9a-f]{64})$/, 'want a TON address')
    .nullable(),
});

/** Throws `card.malformed`, `card.format`, `card.schema`. */
export function parseCard(bytes: Uint8Array): Card {
  const value = strictJson(bytes);
  const format = z.looseObject({ fmt: z.string() }).safeParse(value);
  if (format.success && format.data.fmt !== CARD_FORMAT) {
    throw cardError('card.format', `want ${CARD_FORMAT}`);
  }
  const decoded = SCHEMA.safeParse(value);
  if (!decoded.success) throw cardError('card.schema', describeIssues(decoded.error));
  return decoded.data;
}

function strictJson(bytes: Uint8Array): Json {
  try {
    return parseStrictJson(bytes, {
      maxBytes: CARD_MAX_BYTES,
      maxDepth: CARD_MAX_DEPTH,
      numbers: 'integers',
    }).value;
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    throw cardError('card.malformed', error.code, { cause: error });
  }
}

/** RFC 8785 bytes. Throws as `parseCard`, also for prices beyond what JSON integers hold. */
export function encodeCard(card: CardFields): Uint8Array {
  const { model, limits, prices } = card;
  const bytes = utf8(
    canonicalJson({
      fmt: CARD_FORMAT,
      owner: toBase64Url(card.owner),
      model: {
        id: model.id,
        contextLength: model.contextLength,
        capabilities: model.capabilities,
        weights: toBase64Url(model.weights),
      },
      limits: {
        maxPromptTokens: limits.maxPromptTokens,
        maxOutputTokens: limits.maxOutputTokens,
        maxConcurrent: limits.maxConcurrent,
      },
      prices: {
        asset: prices.asset,
        base: priceNumber(prices.base),
        prompt: priceNumber(prices.prompt),
        cached: priceNumber(prices.cached),
        completion: priceNumber(prices.completion),
        reasoning: priceNumber(prices.reasoning),
      },
      payout: card.payout,
    }),
  );
  parseCard(bytes);
  return bytes;
}

function priceNumber(units: bigint): number {
  if (units < 0n || units > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw cardError('card.schema', 'a price outside the integers of JSON');
  }
  return Number(units);
}

const WORKER_ID_TAG = concat(ascii('veilgate.worker/1'), Uint8Array.of(0));

/** The worker's name everywhere: outlives its keys. Spec: overview "Identities". */
export function workerIdOf(owner: Bytes<32>): Bytes<32> {
  return sha256(WORKER_ID_TAG, owner);
}

/** What the owner's key signs at registration: SHA-256 of the statement bytes, as they are. */
export function ownerSignatureInput(hashOfStatement: Bytes<32>): Uint8Array {
  return hashOfStatement;
}

/** `priceDigest`: names the card, and with it the price list, in receipts. */
export function cardDigestOf(cardBytes: Uint8Array): Bytes<32> {
  return sha256(cardBytes);
}
