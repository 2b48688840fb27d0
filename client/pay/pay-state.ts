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
  readonly strandedUntilMs: number;
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
  };
}

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
  strandedUntilMs: z.int().min(0),
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
      strandedUntilMs: state.strandedUntilMs,
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
