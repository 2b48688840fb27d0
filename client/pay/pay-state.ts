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

export const PAY_STATE_FORMAT = 'veilgate.pay-state/1';
const DEPTH_MAX = 3;
export const UNCOUNTED = 0xffff_ffff;

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
  /** The most that requests can cost which may have run and whose line was not seen. */
  readonly stranded: Amount;
  /** How many those are; `UNCOUNTED` where only their sum is known. */
  readonly strandedCount: number;
  readonly strandedUntilMs: number;
  /** Number of the line with the highest sum. */
  readonly lastN: bigint;
  /** How many lines `confirmed` stands for, by the gateway's numbers. */
  readonly confirmedN: bigint;
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
    strandedCount: 0,
    strandedUntilMs: 0,
    lastN: 0n,
    confirmedN: 0n,
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
    strandedCount: 0,
    strandedUntilMs: 0,
    confirmedN: state.lastN,
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

const SCHEMA = z.strictObject({
  fmt: z.literal(PAY_STATE_FORMAT),
  channel: hexField(32),
  epoch: z.int().min(0).max(0xffff),
  baseline: z.enum(['known', 'unknown']),
  ceiling: AMOUNT,
  charged: AMOUNT,
  confirmed: AMOUNT,
  stranded: AMOUNT,
  strandedCount: z.int().min(0).max(UNCOUNTED),
  strandedUntilMs: z.int().min(0),
  lastN: COUNT,
  confirmedN: COUNT,
  statements: z.array(base64Field(STATEMENT_BYTES)).max(STATEMENTS_KEPT),
  faults: z.array(z.string().regex(/^[a-z_]{1,32}$/)).max(FAULTS_MAX),
});

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
      strandedCount: state.strandedCount,
      strandedUntilMs: state.strandedUntilMs,
      lastN: state.lastN.toString(),
      confirmedN: state.confirmedN.toString(),
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
    const { fmt: _, ...fields } = SCHEMA.parse(value);
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
