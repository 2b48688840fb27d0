/**
 * The three headers of x402 version 2, scheme `batch-settlement`, on TON: what a gateway asks for, how a request pays
 * and what it cost. Each is base64 of one JSON object. Nothing here checks a signature.
 * Spec: ton-settlement §4.5; x402 v2 "Transport: HTTP".
 * @module
 */

import { z } from 'zod';
import { equalPublic, fromBase64, toBase64, toHex, utf8, type Bytes } from '../core/bytes.ts';
import { assert, VeilError } from '../core/errors.ts';
import { canonicalJson, parseStrictJson, type Json, type JsonObject } from '../core/json.ts';
import { base64Field, hexField } from '../attestation/byte-fields.ts';
import { parseReceiptUnverified, RECEIPT_BYTES, type SignedReceipt } from '../protocol/receipt.ts';
import { artefactError } from './artefact.ts';
import type { ChannelTerms } from './channel-terms.ts';
import { AMOUNT_MAX, amount, type Amount, type Asset } from './money.ts';
import { parseStatementUnverified, STATEMENT_BYTES, type SignedStatement } from './statement.ts';
import { formatPass, parsePassUnverified, type Pass } from './pass.ts';
import type { Token } from './token.ts';
import { formatVoucher, type Voucher } from './voucher.ts';

export const PAYMENT_REQUIRED_HEADER = 'payment-required';
export const PAYMENT_SIGNATURE_HEADER = 'payment-signature';
export const PAYMENT_RESPONSE_HEADER = 'payment-response';
/** The compact form, `formatVoucher`. */
export const VOUCHER_HEADER = 'x-vg-voucher';
/** `formatPass`: that whoever shows the voucher has its key. */
export const PASS_HEADER = 'x-vg-pass';
/** Pay as you go: tokens of output that a payer is ready to be ahead by. */
export const CHUNK_HEADER = 'x-vg-chunk';

/** Of each header's value: what every HTTP server and proxy lets through. */
export const X402_MAX_CHARS = 8192;
const VERSION = 2;
const SCHEME = 'batch-settlement';
const NATIVE = 'native';
const DEPTH_MAX = 8;
const VALUES_MAX = 256;
const U16_MAX = 0xffff;
const U32_MAX = 0xffff_ffff;
const FEE_BPS_MAX = 10_000;
const TIMEOUT_MAX_S = 86_400;

/** Where a channel stands, by the gateway's word. */
export interface ChannelState {
  readonly channel: Bytes<32>;
  readonly epoch: number;
  readonly deposited: Amount;
  readonly refunded: Amount;
  readonly withdrawing: Amount;
  readonly claimed: Amount;
  readonly charged: Amount;
  readonly reserved: Amount;
  /** Number of the last statement. */
  readonly n: bigint;
}

/** The best voucher that the gateway holds. Whoever signed it knows its own signature again. */
export interface VoucherState {
  readonly epoch: number;
  readonly ceiling: Amount;
  readonly signature: Bytes<64>;
}

export interface PaymentRequired {
  /** `AdmissionCode`, or another of §4.5. */
  readonly code: string;
  /** CAIP-2, such as `tvm:-239`. */
  readonly network: string;
  /** What this request needs. */
  readonly amount: Amount;
  readonly asset: Asset;
  /** Raw address of the jetton's master; of USDT only, and always. */
  readonly assetMaster?: string;
  /** Treasury, raw. */
  readonly payTo: string;
  readonly maxTimeoutS: number;
  /** Signs charges. */
  readonly receiverAuthorizer: Bytes<32>;
  /** The least that a channel has to promise. */
  readonly withdrawDelayS: number;
  readonly codeHash: Bytes<32>;
  readonly feeBps: number;
  readonly priceDigest?: Bytes<32>;
  readonly quoteValidUntilMs?: number;
  readonly channelState?: ChannelState;
  readonly voucherState?: VoucherState;
}

/** How a request pays. `terms` announce the channel along with it. */
export interface PaymentSignature {
  readonly network: string;
  readonly voucher: Voucher;
  /** Not verified. */
  readonly pass: Pass;
  readonly terms?: ChannelTerms;
}

export interface PaymentResponse {
  /** Absent where no chain is involved. */
  readonly network?: string;
  /** Of the request named in it; its signature is unchecked. */
  readonly statement: SignedStatement;
  /** The one that the statement names; its signature is unchecked. */
  readonly receipt: SignedReceipt;
}

const NETWORK = z.string().regex(/^tvm:-?\d{1,10}$/, 'want tvm: and a network id');
const ADDRESS = z.string().regex(/^0:[0-9a-f]{64}$/, 'want 0: and 64 lower-case hex digits');
const ASSET = z.union([z.literal(NATIVE), ADDRESS]);
const CODE = z.string().regex(/^[a-z][a-z_]{0,39}$/, 'want a code');
const AMOUNT = z
  .string()
  .regex(/^(0|[1-9]\d{0,18})$/, 'want digits')
  .transform((digits) => BigInt(digits))
  .refine((value) => value <= AMOUNT_MAX, 'out of range')
  .transform((value) => amount(value));
const COUNT = z
  .string()
  .regex(/^(0|[1-9]\d{0,19})$/, 'want digits')
  .transform((digits) => BigInt(digits))
  .refine((value) => value < 1n << 64n, 'want 64 bits');
const EPOCH = z.int().min(0).max(U16_MAX);

const CHANNEL_STATE = z.strictObject({
  channel: hexField(32),
  epoch: EPOCH,
  deposited: AMOUNT,
  refunded: AMOUNT,
  withdrawing: AMOUNT,
  claimed: AMOUNT,
  charged: AMOUNT,
  reserved: AMOUNT,
  n: COUNT,
});
const VOUCHER_STATE = z.strictObject({ epoch: EPOCH, ceiling: AMOUNT, signature: hexField(64) });

const REQUIRED = z.strictObject({
  x402Version: z.literal(VERSION),
  error: CODE,
  accepts: z
    .array(
      z.strictObject({
        scheme: z.literal(SCHEME),
        network: NETWORK,
        amount: AMOUNT,
        asset: ASSET,
        payTo: ADDRESS,
        maxTimeoutSeconds: z.int().min(1).max(TIMEOUT_MAX_S),
        extra: z.strictObject({
          receiverAuthorizer: hexField(32),
          withdrawDelay: z.int().min(0).max(U32_MAX),
          codeHash: hexField(32),
          feeBps: z.int().min(0).max(FEE_BPS_MAX),
          priceDigest: hexField(32).optional(),
          quoteValidUntil: z.int().min(0).optional(),
          channelState: CHANNEL_STATE.optional(),
          voucherState: VOUCHER_STATE.optional(),
        }),
      }),
    )
    .length(1),
});

export function encodePaymentRequired(required: PaymentRequired): string {
  const extra: JsonObject = {
    receiverAuthorizer: toHex(required.receiverAuthorizer),
    withdrawDelay: required.withdrawDelayS,
    codeHash: toHex(required.codeHash),
    feeBps: required.feeBps,
    ...(required.priceDigest && { priceDigest: toHex(required.priceDigest) }),
    ...(required.quoteValidUntilMs !== undefined && {
      quoteValidUntil: required.quoteValidUntilMs,
    }),
    ...(required.channelState && { channelState: channelStateJson(required.channelState) }),
    ...(required.voucherState && { voucherState: voucherStateJson(required.voucherState) }),
  };
  return headerOf({
    x402Version: VERSION,
    error: required.code,
    accepts: [
      {
        scheme: SCHEME,
        network: required.network,
        amount: required.amount.toString(),
        asset: assetText(required),
        payTo: required.payTo,
        maxTimeoutSeconds: required.maxTimeoutS,
        extra,
      },
    ],
  });
}

function assetText({ asset, assetMaster }: PaymentRequired): string {
  if (asset === 'TON') return NATIVE;
  assert(assetMaster !== undefined, 'a jetton has a master');
  return assetMaster;
}

function channelStateJson(state: ChannelState): JsonObject {
  const { channel, epoch, n, ...amounts } = state;
  return {
    channel: toHex(channel),
    epoch,
    deposited: amounts.deposited.toString(),
    refunded: amounts.refunded.toString(),
    withdrawing: amounts.withdrawing.toString(),
    claimed: amounts.claimed.toString(),
    charged: amounts.charged.toString(),
    reserved: amounts.reserved.toString(),
    n: n.toString(),
  };
}

function voucherStateJson({ epoch, ceiling, signature }: VoucherState): JsonObject {
  return { epoch, ceiling: ceiling.toString(), signature: toHex(signature) };
}

/** Throws `settlement.artefact`. */
export function parsePaymentRequired(text: string): PaymentRequired {
  const body = decoded(REQUIRED, headerJson(text), 'payment required');
  const [accept] = body.accepts;
  if (accept === undefined) throw artefactError('payment required');
  const { extra, network, payTo } = accept;
  const { channelState, voucherState, priceDigest, quoteValidUntil } = extra;
  return {
    code: body.error,
    network,
    amount: accept.amount,
    ...(accept.asset === NATIVE
      ? { asset: 'TON' as const }
      : { asset: 'USDT' as const, assetMaster: accept.asset }),
    payTo,
    maxTimeoutS: accept.maxTimeoutSeconds,
    receiverAuthorizer: extra.receiverAuthorizer,
    withdrawDelayS: extra.withdrawDelay,
    codeHash: extra.codeHash,
    feeBps: extra.feeBps,
    ...(priceDigest && { priceDigest }),
    ...(quoteValidUntil !== undefined && { quoteValidUntilMs: quoteValidUntil }),
    ...(channelState && { channelState }),
    ...(voucherState && { voucherState }),
  };
}

const CHANNEL_CONFIG = z.strictObject({
  payer: ADDRESS,
  payerAuthorizer: hexField(32),
  receiver: ADDRESS,
  receiverAuthorizer: hexField(32),
  token: z.literal(NATIVE),
  withdrawDelay: z.int().min(0).max(U32_MAX),
  salt: COUNT,
});

/**
 * General x402 clients repeat what they accepted and add members of their own; of those only the network is read, and all
 * are within the bounds of the whole.
 */
const SIGNATURE = z.strictObject({
  x402Version: z.literal(VERSION),
  accepted: z.looseObject({ scheme: z.literal(SCHEME), network: NETWORK }),
  resource: z.unknown().optional(),
  extensions: z.unknown().optional(),
  payload: z.strictObject({
    type: z.literal('voucher'),
    channelConfig: CHANNEL_CONFIG.optional(),
    voucher: z.strictObject({
      channelId: hexField(32),
      maxClaimableAmount: AMOUNT,
      epoch: EPOCH,
      signature: hexField(64),
    }),
    pass: z.string().max(X402_MAX_CHARS),
  }),
});

/** Payloads of the scheme that this binding does not take in a header: they are operations of the chain. */
const FOREIGN_PAYLOAD = z.looseObject({
  payload: z.looseObject({ type: z.enum(['deposit', 'refund']) }),
});

/** The compact headers: a voucher, and that whoever shows it has its key. */
export function paymentHeaders({ voucher, pass }: Token): Readonly<Record<string, string>> {
  return { [VOUCHER_HEADER]: formatVoucher(voucher), [PASS_HEADER]: formatPass(pass) };
}

export function encodePaymentSignature({
  network,
  voucher,
  pass,
  terms,
}: PaymentSignature): string {
  assert(terms === undefined || terms.network === network, 'a channel is on one network');
  return headerOf({
    x402Version: VERSION,
    accepted: { scheme: SCHEME, network },
    payload: {
      type: 'voucher',
      ...(terms && { channelConfig: channelConfigJson(terms) }),
      voucher: {
        channelId: toHex(voucher.channel),
        maxClaimableAmount: voucher.ceiling.toString(),
        epoch: voucher.epoch,
        signature: toHex(voucher.signature),
      },
      pass: formatPass(pass),
    },
  });
}

function channelConfigJson(terms: ChannelTerms): JsonObject {
  return {
    payer: terms.payer,
    payerAuthorizer: toHex(terms.payerKey),
    receiver: terms.payee,
    receiverAuthorizer: toHex(terms.payeeKey),
    token: NATIVE,
    withdrawDelay: terms.withdrawDelayS,
    salt: terms.salt.toString(),
  };
}

/** Throws `settlement.artefact`; the detail names a payload that is known and not taken. */
export function parsePaymentSignatureUnverified(text: string): PaymentSignature {
  const json = headerJson(text);
  const foreign = FOREIGN_PAYLOAD.safeParse(json);
  if (foreign.success) throw artefactError(`payload ${foreign.data.payload.type}`);
  const { accepted, payload } = decoded(SIGNATURE, json, 'payment signature');
  const { channelConfig: config } = payload;
  const { channelId: channel, maxClaimableAmount: ceiling, epoch, signature } = payload.voucher;
  const { network } = accepted;
  return {
    network,
    voucher: { channel, epoch, ceiling, signature },
    pass: parsePassUnverified(payload.pass),
    ...(config && {
      terms: {
        network,
        payer: config.payer,
        payee: config.receiver,
        payerKey: config.payerAuthorizer,
        payeeKey: config.receiverAuthorizer,
        withdrawDelayS: config.withdrawDelay,
        salt: config.salt,
      },
    }),
  };
}

const RESPONSE = z.strictObject({
  x402Version: z.literal(VERSION),
  success: z.literal(true),
  /** Of the chain; a request is settled long before there is one. */
  transaction: z.literal(''),
  network: NETWORK.optional(),
  amount: AMOUNT,
  extra: z.strictObject({
    requestId: hexField(16),
    cum: AMOUNT,
    n: COUNT,
    statement: base64Field(STATEMENT_BYTES),
    receipt: base64Field(RECEIPT_BYTES),
  }),
});

export function encodePaymentResponse({ network, statement, receipt }: PaymentResponse): string {
  const { requestId, receiptHash, amount: charged, cum, n } = statement.statement;
  assert(equalPublic(receiptHash, receipt.hash), 'a statement goes with the receipt it names');
  return headerOf({
    x402Version: VERSION,
    success: true,
    transaction: '',
    ...(network !== undefined && { network }),
    amount: charged.toString(),
    extra: {
      requestId: toHex(requestId),
      cum: cum.toString(),
      n: n.toString(),
      statement: toBase64(statement.payload),
      receipt: toBase64(receipt.payload),
    },
  });
}

/** Throws `settlement.artefact`, also where the clear members differ from the signed bytes beside them. */
export function parsePaymentResponse(text: string): PaymentResponse {
  const body = decoded(RESPONSE, headerJson(text), 'payment response');
  const { requestId, cum, n } = body.extra;
  const statement = parseStatementUnverified(body.extra.statement);
  const receipt = receiptOf(body.extra.receipt);
  const said = statement.statement;
  const agrees =
    equalPublic(said.requestId, requestId) &&
    equalPublic(receipt.receipt.requestId, requestId) &&
    equalPublic(said.receiptHash, receipt.hash) &&
    said.amount === body.amount &&
    said.cum === cum &&
    said.n === n;
  if (!agrees) throw artefactError('payment response differs from its statement');
  return { ...(body.network !== undefined && { network: body.network }), statement, receipt };
}

function receiptOf(bytes: Uint8Array): SignedReceipt {
  try {
    return parseReceiptUnverified(bytes);
  } catch (cause) {
    if (cause instanceof VeilError) throw artefactError('receipt');
    throw cause;
  }
}

function headerOf(json: JsonObject): string {
  const text = toBase64(utf8(canonicalJson(json)));
  assert(text.length <= X402_MAX_CHARS, 'a payment header fits');
  return text;
}

function headerJson(text: string): Json {
  if (text.length > X402_MAX_CHARS) throw artefactError('size');
  try {
    const bytes = fromBase64(text);
    const options = { maxBytes: X402_MAX_CHARS, maxDepth: DEPTH_MAX, maxValues: VALUES_MAX };
    return parseStrictJson(bytes, { ...options, numbers: 'integers' }).value;
  } catch (cause) {
    // What was wrong with the text is not said: it may be anybody's.
    if (cause instanceof VeilError) throw artefactError('base64 of JSON');
    throw cause;
  }
}

function decoded<Schema extends z.ZodType>(
  schema: Schema,
  json: Json,
  what: string,
): z.output<Schema> {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const path = result.error.issues[0]?.path.join('.') ?? '';
  throw artefactError(`${what}: ${path}`);
}
