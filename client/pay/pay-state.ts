/**
 * The written form of a payer's count: JSON, strict, bounded. It holds no secret and no content.
 * @module
 */

import { z } from 'zod';
import { equalPublic, toBase64, toHex, utf8, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { canonicalJson, parseStrictJson } from '../../core/json.ts';
import { base64Field, hexField } from '../../attestation/byte-fields.ts';
import { AMOUNT_MAX, amount, NOTHING, type Amount } from '../../settlement/money.ts';
import {
  parseStatementUnverified,
  STATEMENT_BYTES,
  type SignedStatement,
} from '../../settlement/statement.ts';
import { clientError } from '../errors.ts';
import { FAULTS_MAX, PAY_STATE_MAX_BYTES, STATEMENTS_KEPT } from '../limits.ts';
import type { LostRequest } from './lost.ts';
import { LOST_FIELDS, lostJson, lostOf } from './lost-json.ts';

export const PAY_STATE_FORMAT = 'veilgate.pay-state/2';
/** Had a number of requests in place of their names. */
const FORMAT_BEFORE = 'veilgate.pay-state/1';
const DEPTH_MAX = 5;
const STRANDED_COUNT_MAX = 0xffff_ffff;

export interface PayState {
  readonly channel: Bytes<32>;
  /** Of the chain. Never taken from a gateway: a voucher for an epoch to come would outlive a withdraw. */
  readonly epoch: number;
  /** Whether this count began with the channel. `unknown`: the first line says what came before. */
  readonly baseline: 'known' | 'unknown';
  /** The highest signed in this epoch. */
  readonly ceiling: Amount;
  /** The highest sum of a ledger line. */
  readonly charged: Amount;
  /** What is known to be charged, and for which requests. */
  readonly confirmed: Amount;
  /** The most that may be charged for what has no name here: what a token may spend, bills that did not hold, a lost count. */
  readonly stranded: Amount;
  readonly strandedUntilMs: number;
  /** Requests that may have run and whose line was not seen. */
  readonly lost: readonly LostRequest[];
  /** Number of the line with the highest sum. */
  readonly lastN: bigint;
  /** Lines up to this number are in `confirmed`, whatever they were for. */
  readonly countedN: bigint;
  /** The latest lines that verified, in the order in which they came. */
  readonly statements: readonly SignedStatement[];
  /** Not empty: halted. */
  readonly faults: readonly string[];
}

export function newPayState(channel: Bytes<32>, baseline: PayState['baseline']): PayState {
  return {
    channel,
    epoch: 0,
    baseline,
    ceiling: NOTHING,
    charged: NOTHING,
    confirmed: NOTHING,
    stranded: NOTHING,
    strandedUntilMs: 0,
    lost: [],
    lastN: 0n,
    countedN: 0n,
    statements: [],
    faults: [],
  };
}

/** After the chain has said so: vouchers of the epoch before are worth nothing, and nothing is under way any more. */
export function inEpoch(state: PayState, epoch: number, charged: Amount): PayState {
  return {
    ...state,
    epoch,
    baseline: 'known',
    ceiling: NOTHING,
    charged,
    confirmed: charged,
    stranded: NOTHING,
    strandedUntilMs: 0,
    lost: [],
    countedN: state.lastN,
  };
}

/** By somebody's decision. Where the sums did not agree they never will: the next line says where they stand. */
export function resumed(state: PayState): PayState {
  const baseline = state.faults.includes('unrequested') ? 'unknown' : state.baseline;
  return { ...state, baseline, faults: [] };
}

const COUNT = z
  .string()
  .regex(/^(0|[1-9]\d{0,19})$/)
  .transform((digits) => BigInt(digits));
const AMOUNT = z
  .string()
  .regex(/^(0|[1-9]\d{0,18})$/)
  .transform((digits) => BigInt(digits))
  .refine((value) => value <= AMOUNT_MAX)
  .transform((value) => amount(value));

const FIELDS = {
  channel: hexField(32),
  epoch: z.int().min(0).max(0xffff),
  baseline: z.enum(['known', 'unknown']),
  ceiling: AMOUNT,
  charged: AMOUNT,
  confirmed: AMOUNT,
  stranded: AMOUNT,
  strandedUntilMs: z.int().min(0),
  lastN: COUNT,
  statements: z.array(base64Field(STATEMENT_BYTES)).max(STATEMENTS_KEPT),
  faults: z.array(z.string().regex(/^[a-z_]{1,32}$/)).max(FAULTS_MAX),
} as const;

const BEFORE = z
  .strictObject({
    fmt: z.literal(FORMAT_BEFORE),
    ...FIELDS,
    strandedCount: z.int().min(0).max(STRANDED_COUNT_MAX),
    confirmedN: COUNT,
  })
  .transform((written) => {
    const { fmt: _, strandedCount: __, confirmedN: countedN, ...fields } = written;
    return { ...fields, countedN, lost: [] };
  });

const CURRENT = z
  .strictObject({ fmt: z.literal(PAY_STATE_FORMAT), ...FIELDS, ...LOST_FIELDS, countedN: COUNT })
  .transform((written) => {
    const { fmt: _, lost, keys, ...fields } = written;
    return { ...fields, lost: lostOf({ lost, keys }) };
  });

const SCHEMA = z.union([CURRENT, BEFORE]);

export function encodePayState(state: PayState): Uint8Array {
  return utf8(
    canonicalJson({
      fmt: PAY_STATE_FORMAT,
      channel: toHex(state.channel),
      epoch: state.epoch,
      baseline: state.baseline,
      ceiling: state.ceiling.toString(),
      charged: state.charged.toString(),
      confirmed: state.confirmed.toString(),
      stranded: state.stranded.toString(),
      strandedUntilMs: state.strandedUntilMs,
      ...lostJson(state.lost),
      lastN: state.lastN.toString(),
      countedN: state.countedN.toString(),
      statements: state.statements.map(({ payload }) => toBase64(payload)),
      faults: state.faults,
    }),
  );
}

/** Throws `client.channel_file`: a count that cannot be read is not one to begin anew, it may hide what was signed. */
export function decodePayState(bytes: Uint8Array, channel: Bytes<32>): PayState {
  try {
    const options = { maxBytes: PAY_STATE_MAX_BYTES, maxDepth: DEPTH_MAX } as const;
    const { value } = parseStrictJson(bytes, { ...options, numbers: 'integers' });
    const fields = SCHEMA.parse(value);
    if (!equalPublic(fields.channel, channel)) {
      throw clientError('client.channel_file', 'the count is of another channel');
    }
    return { ...fields, statements: fields.statements.map(parseStatementUnverified) };
  } catch (cause) {
    if (cause instanceof VeilError && cause.code === 'client.channel_file') throw cause;
    if (!(cause instanceof VeilError) && !(cause instanceof z.ZodError)) throw cause;
    throw clientError('client.channel_file', 'the count cannot be read', { cause });
  }
}
