/**
 * What a gateway tells a worker after it has settled: up to which receipt it has settled, what this worker has earned and
 * been paid in all, and the newest voucher. Signed by nothing: it travels on the link, whose mutual TLS names the gateway,
 * and so proves nothing to anybody else. The voucher in it is signed and can be shown to the chain.
 * Spec: P§15; ton-settlement §4.7.
 * @module
 */

import { z } from 'zod';
import {
  equalPublic,
  fixed,
  fromBase64Url,
  fromHex,
  toBase64Url,
  toHex,
  utf8,
  type Bytes,
} from '../core/bytes.ts';
import { defineErrors } from '../core/errors.ts';
import { canonicalJson, parseStrictJson } from '../core/json.ts';
import type { PriceList } from '../attestation/verdict.ts';

export const settledError = defineErrors({
  /** Not strict canonical JSON of this form, or sums that cannot be. */
  'settled.format': {
    status: 400,
    recovery: 'fix_request',
    public: 'The notice of settlement is malformed.',
  },
});

export const SETTLED_FORMAT = 'veilgate.settled/1';
export const SETTLED_TYPE = 'application/vnd.veilgate.settled+json';
export const SETTLED_MAX_BYTES = 4096;
const SETTLED_MAX_DEPTH = 3;
/** Ledgers keep 64-bit signed integers. */
const AMOUNT_MAX = 2n ** 63n - 1n;
const U64_END = 2n ** 64n;

/** Shape of settlement/channel-terms.ts, whose readers take it as it is. */
export interface SettledTerms {
  readonly network: string;
  readonly payer: string;
  readonly payee: string;
  readonly payerKey: Bytes<32>;
  /** Zeros: a single lock, which the voucher alone opens. */
  readonly payeeKey: Bytes<32>;
  readonly withdrawDelayS: number;
  readonly salt: bigint;
}

export interface SettledChannel {
  /** Account id in workchain 0. Whoever reads this computes it from the terms. */
  readonly channel: Bytes<32>;
  readonly terms: SettledTerms;
  /** settlement/voucher.ts, as sent; null while nothing was promised on it. */
  readonly voucher: Bytes<115> | null;
}

export interface Settled {
  readonly statementHash: Bytes<32>;
  /** The highest receipt of that statement that is settled. */
  readonly workerSeq: bigint;
  readonly asset: PriceList['asset'];
  /** The worker's part of everything settled, in all, in atomic units. */
  readonly earned: bigint;
  /** In all, by transfers. What was claimed from a channel is not in it: the voucher stands for that. */
  readonly paid: bigint;
  readonly channel: SettledChannel | null;
  /** Rises from one notice to the next, so that one that was late on its way is known as such. */
  readonly atMs: number;
}

const VOUCHER_BYTES = 115;

function bytesField<N extends number>(size: N) {
  const message = `want canonical base64url of ${size} bytes`;
  return (
    z
      .string()
      .length(Math.ceil((size * 4) / 3), message)
      .regex(/^[A-Za-z0-9_-]+$/, message)
      // Loose bits at the end are refused with everything else that is not canonical.
      .transform((text): Bytes<N> => fixed(fromBase64Url(text), size))
  );
}

const DIGEST = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .transform((text): Bytes<32> => fixed(fromHex(text), 32));
const ADDRESS = z.string().regex(/^0:[0-9a-f]{64}$/);

function integer(end: bigint) {
  return z
    .string()
    .regex(/^(0|[1-9]\d{0,19})$/)
    .transform((digits) => BigInt(digits))
    .refine((value) => value < end);
}

const TERMS = z.strictObject({
  network: z.string().regex(/^tvm:-?\d{1,10}$/),
  payer: ADDRESS,
  payee: ADDRESS,
  payerKey: bytesField(32),
  payeeKey: bytesField(32),
  withdrawDelayS: z.int().min(0).max(0xffff_ffff),
  salt: integer(U64_END),
});
const BODY = z.strictObject({
  fmt: z.literal(SETTLED_FORMAT),
  statementHash: DIGEST,
  workerSeq: integer(U64_END),
  asset: z.enum(['TON', 'USDT']),
  earned: integer(AMOUNT_MAX + 1n),
  paid: integer(AMOUNT_MAX + 1n),
  channel: z
    .strictObject({
      channel: DIGEST,
      terms: TERMS,
      voucher: bytesField(VOUCHER_BYTES).nullable(),
    })
    .nullable(),
  atMs: z.int().min(0),
});

export function encodeSettled(settled: Settled): Uint8Array {
  const { channel } = settled;
  return utf8(
    canonicalJson({
      fmt: SETTLED_FORMAT,
      statementHash: toHex(settled.statementHash),
      workerSeq: settled.workerSeq.toString(),
      asset: settled.asset,
      earned: settled.earned.toString(),
      paid: settled.paid.toString(),
      channel: channel === null ? null : channelJson(channel),
      atMs: settled.atMs,
    }),
  );
}

function channelJson({ channel, terms, voucher }: SettledChannel) {
  return {
    channel: toHex(channel),
    terms: {
      network: terms.network,
      payer: terms.payer,
      payee: terms.payee,
      payerKey: toBase64Url(terms.payerKey),
      payeeKey: toBase64Url(terms.payeeKey),
      withdrawDelayS: terms.withdrawDelayS,
      salt: terms.salt.toString(),
    },
    voucher: voucher === null ? null : toBase64Url(voucher),
  };
}

/** Form only: who sent it, and whether its channel and voucher are sound, the caller checks. Throws `settled.format`. */
export function parseSettled(bytes: Uint8Array): Settled {
  const { fmt: _, ...settled } = decodedBody(bytes);
  if (!equalPublic(encodeSettled(settled), bytes)) {
    throw settledError('settled.format', 'not canonical');
  }
  return settled;
}

function decodedBody(bytes: Uint8Array): z.output<typeof BODY> {
  try {
    const { value } = parseStrictJson(bytes, {
      maxBytes: SETTLED_MAX_BYTES,
      maxDepth: SETTLED_MAX_DEPTH,
      numbers: 'integers',
    });
    return BODY.parse(value);
  } catch (cause) {
    throw settledError('settled.format', 'body', { cause });
  }
}
