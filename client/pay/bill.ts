/**
 * A bill: everything that shows what one request cost and who said so, as one JSON file without any content. Made after an
 * answer, kept when something in it does not hold, read again by `veilgate receipt`. Spec: ton-settlement §4.3 ("keep the bundle").
 * @module
 */

import { z } from 'zod';
import { toBase64, toHex, utf8, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { canonicalJson, parseStrictJson, type JsonObject } from '../../core/json.ts';
import { base64Field, hexField } from '../../attestation/byte-fields.ts';
import { CARD_MAX_BYTES } from '../../attestation/card.ts';
import { STATEMENT_MAX_BYTES } from '../../attestation/statement.ts';
import type { GatewayDocumentJson } from '../../protocol/gateway-document.ts';
import { METER_BYTES } from '../../protocol/meter.ts';
import { RECEIPT_BYTES } from '../../protocol/receipt.ts';
import { LEDGER_FRAME_MAX_BYTES } from '../../protocol/sx/limits.ts';
import { PRELUDE_BYTES } from '../../protocol/sx/prelude.ts';
import {
  CHANNEL_TERMS,
  channelTermsJson,
  type ChannelTerms,
} from '../../settlement/channel-terms.ts';
import { AMOUNT_MAX, amount, type Amount } from '../../settlement/money.ts';
import { STATEMENT_BYTES } from '../../settlement/statement.ts';
import {
  formatVoucher,
  parseVoucherTextUnverified,
  type Voucher,
} from '../../settlement/voucher.ts';
import { clientError } from '../errors.ts';
import { BILL_MAX_BYTES, FAULTS_MAX, STATEMENTS_KEPT } from '../limits.ts';
import type { TokenBounds } from './recount.ts';

export const BILL_FORMAT = 'veilgate.bill/1';
const DEPTH_MAX = 4;
/** The last instant that has a date. */
const INSTANT_MAX_MS = 8_640_000_000_000_000;
const VOUCHER_MAX_CHARS = 256;
const GATEWAY_DOCUMENT_MAX_CHARS = 32_768;

export interface Bill {
  /** What the client found; whoever reads a bill looks again. */
  readonly faults: readonly string[];
  readonly atMs: number;
  readonly gateway: GatewayDocumentJson;
  /** As attested: the statement that the quote covers, and the card that it names. */
  readonly worker: { readonly statement: Uint8Array; readonly card: Uint8Array };
  readonly request: { readonly prelude: Uint8Array; readonly th: Bytes<32> };
  /** signature ‖ VGR1. Undefined where the answer broke off: then a METER is what the worker signed. */
  readonly receipt: Uint8Array | undefined;
  /** VGS1 ‖ signature, or whatever came in its place. */
  readonly line: Uint8Array | undefined;
  readonly payment: BillPayment | undefined;
  /** The most that the texts can be; counted by the client, so nobody else can check it. */
  readonly recount: TokenBounds | undefined;
  /** One that counted more than had arrived. */
  readonly meter: BillMeter | undefined;
  /** Lines of the same channel that verified before. */
  readonly seen: readonly Uint8Array[];
}

export interface BillMeter {
  /** signature ‖ VGM1. */
  readonly payload: Uint8Array;
  /** The most that the texts could be when it came; counted by the client, as `recount` is. */
  readonly recount: TokenBounds;
}

export interface BillPayment {
  readonly terms: ChannelTerms;
  readonly voucher: Voucher;
  /** The highest that was signed when the line came. */
  readonly ceiling: Amount;
}

const TOKENS = z.int().min(0);
const BOUNDS = z.strictObject({ prompt: TOKENS, completion: TOKENS });
const DIGITS = z.string().regex(/^(0|[1-9]\d{0,18})$/);
const SCHEMA = z.strictObject({
  fmt: z.literal(BILL_FORMAT),
  faults: z.array(z.string().regex(/^[a-z_]{1,32}$/)).max(FAULTS_MAX),
  atMs: z.int().min(0).max(INSTANT_MAX_MS),
  gateway: z.strictObject({
    document: z.string().max(GATEWAY_DOCUMENT_MAX_CHARS),
    signature: z.string().max(128),
  }),
  worker: z.strictObject({
    statement: base64Field(STATEMENT_MAX_BYTES),
    card: base64Field(CARD_MAX_BYTES),
  }),
  request: z.strictObject({ prelude: base64Field(PRELUDE_BYTES), th: hexField(32) }),
  receipt: base64Field(RECEIPT_BYTES).nullable(),
  line: base64Field(LEDGER_FRAME_MAX_BYTES).nullable(),
  payment: z
    .strictObject({
      terms: CHANNEL_TERMS,
      voucher: z.string().max(VOUCHER_MAX_CHARS),
      ceiling: DIGITS.transform((digits) => BigInt(digits)).refine((value) => value <= AMOUNT_MAX),
    })
    .nullable(),
  recount: BOUNDS.nullable(),
  // Only where there is one: most bills have none.
  meter: z.strictObject({ payload: base64Field(METER_BYTES), recount: BOUNDS }).optional(),
  seen: z.array(base64Field(STATEMENT_BYTES)).max(STATEMENTS_KEPT),
});

export function encodeBill(bill: Bill): Uint8Array {
  const { gateway, worker, request, receipt, recount, meter } = bill;
  return utf8(
    canonicalJson({
      fmt: BILL_FORMAT,
      faults: bill.faults,
      atMs: bill.atMs,
      gateway: { document: gateway.document, signature: gateway.signature },
      worker: { statement: toBase64(worker.statement), card: toBase64(worker.card) },
      request: { prelude: toBase64(request.prelude), th: toHex(request.th) },
      receipt: receipt === undefined ? null : toBase64(receipt),
      line: bill.line === undefined ? null : toBase64(bill.line),
      payment: bill.payment === undefined ? null : paymentJson(bill.payment),
      recount: recount === undefined ? null : { ...recount },
      ...(meter && { meter: { payload: toBase64(meter.payload), recount: { ...meter.recount } } }),
      seen: bill.seen.map(toBase64),
    }),
  );
}

function paymentJson({ terms, voucher, ceiling }: BillPayment): JsonObject {
  return {
    terms: channelTermsJson(terms),
    voucher: formatVoucher(voucher),
    ceiling: ceiling.toString(),
  };
}

/** Throws `client.bill`. Checks nothing but the form. */
export function parseBill(bytes: Uint8Array): Bill {
  try {
    const options = { maxBytes: BILL_MAX_BYTES, maxDepth: DEPTH_MAX } as const;
    const { value } = parseStrictJson(bytes, { ...options, numbers: 'integers' });
    const { fmt: _, receipt, line, payment, recount, meter, ...fields } = SCHEMA.parse(value);
    return {
      ...fields,
      receipt: receipt ?? undefined,
      meter,
      line: line ?? undefined,
      recount: recount ?? undefined,
      payment:
        payment === null
          ? undefined
          : {
              terms: payment.terms,
              voucher: parseVoucherTextUnverified(payment.voucher),
              ceiling: amount(payment.ceiling),
            },
    };
  } catch (cause) {
    if (cause instanceof z.ZodError) {
      const path = cause.issues[0]?.path.join('.') ?? '';
      throw clientError('client.bill', path, { cause });
    }
    if (!(cause instanceof VeilError)) throw cause;
    throw clientError('client.bill', cause.code, { cause });
  }
}
