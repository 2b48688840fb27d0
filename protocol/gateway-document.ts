/**
 * What a gateway says of itself under its own key: its TLS keys, its addresses, and how it settles. Workers and clients pin
 * the audience, which is the hash of that key. Spec: overview "Identities"; ton-settlement §4.6.
 * @module
 */

import { z } from 'zod';
import {
  ascii,
  concat,
  fixed,
  fromBase64,
  fromBase64Url,
  toBase64,
  toBase64Url,
  utf8,
  type Bytes,
} from '../core/bytes.ts';
import { defineErrors, type ErrorSpec } from '../core/errors.ts';
import { canonicalJson, parseStrictJson } from '../core/json.ts';
import { sha256, verifyEd25519 } from '#primitives';

const REFUSED: ErrorSpec = {
  status: 502,
  recovery: 'stop',
  public: 'The document of the gateway is malformed, not signed by it, or expired.',
};

export const gatewayDocumentError = defineErrors({
  'gatewayDocument.format': REFUSED,
  'gatewayDocument.signature': REFUSED,
  /** Expired, issued in the future, or living longer than a day. */
  'gatewayDocument.time': REFUSED,
});

export const GATEWAY_DOCUMENT_FORMAT = 'veilgate.gateway/1';
/** A document says who the gateway is for so long at most. */
export const GATEWAY_DOCUMENT_LIFETIME_MAX_MS = 86_400_000;
const DOCUMENT_MAX_BYTES = 16_384;
const CLOCK_SKEW_MS = 60_000;
const ENTRIES_MAX = 16;
const URL_MAX_CHARS = 512;
const AUD_PREFIX = 'gw1.';

/** What workers bind their evidence to and what clients pin. */
export function audOf(identity: Bytes<32>): string {
  return `${AUD_PREFIX}${toBase64Url(sha256(identity))}`;
}

/** Whom a payment channel of this gateway has to name, and what it has to promise. */
export interface ChannelPayee {
  /** CAIP-2, such as `tvm:-239`. */
  readonly network: string;
  /** Treasury that claims pay out to, raw: `0:` and 64 lower-case hex digits. */
  readonly address: string;
  /** Signs charges. */
  readonly key: Bytes<32>;
  /** Of the channel's contract. */
  readonly codeHash: Bytes<32>;
  readonly withdrawDelayMinS: number;
  /** nanoTON, in all. */
  readonly depositMin: bigint;
}

export interface GatewaySettlement {
  /** Null: this gateway takes no channels. */
  readonly payee: ChannelPayee | null;
  /** Of the worker's part, in basis points; never added to a price. */
  readonly feeBps: number;
  /** Raw Ed25519 keys that sign ledger lines. */
  readonly ledgerKeys: readonly Bytes<32>[];
}

/** Of a gateway that keeps no books. */
export const NO_SETTLEMENT: GatewaySettlement = { payee: null, feeBps: 0, ledgerKeys: [] };

export interface GatewayDocument {
  /** Raw Ed25519 public key. */
  readonly identity: Bytes<32>;
  readonly tlsSpkiSha256: readonly Bytes<32>[];
  readonly baseUrls: readonly string[];
  readonly settlement: GatewaySettlement;
  readonly issuedMs: number;
  readonly expiresMs: number;
}

export interface VerifiedGatewayDocument extends GatewayDocument {
  readonly aud: string;
}

export interface GatewayDocumentJson {
  /** base64 of the signed bytes. */
  readonly document: string;
  readonly signature: string;
}

function signatureInput(document: Uint8Array): Uint8Array {
  return concat(ascii(GATEWAY_DOCUMENT_FORMAT), Uint8Array.of(0), document);
}

/** `sign` is Ed25519 by the key whose public half is `document.identity`. */
export function signGatewayDocument(
  document: GatewayDocument,
  sign: (bytes: Uint8Array) => Bytes<64>,
): GatewayDocumentJson {
  const bytes = utf8(
    canonicalJson({
      fmt: GATEWAY_DOCUMENT_FORMAT,
      identity: toBase64Url(document.identity),
      tlsSpkiSha256: document.tlsSpkiSha256.map((pin) => toBase64Url(pin)),
      baseUrls: document.baseUrls,
      ...settlementJson(document.settlement),
      issued: document.issuedMs,
      expires: document.expiresMs,
    }),
  );
  return { document: toBase64(bytes), signature: toBase64(sign(signatureInput(bytes))) };
}

function settlementJson({ payee, feeBps, ledgerKeys }: GatewaySettlement) {
  return {
    payee:
      payee === null
        ? null
        : {
            network: payee.network,
            address: payee.address,
            key: toBase64Url(payee.key),
            codeHash: toBase64Url(payee.codeHash),
            withdrawDelayMinS: payee.withdrawDelayMinS,
            depositMin: payee.depositMin.toString(),
          },
    feeBps,
    ledgerKeys: ledgerKeys.map((key) => toBase64Url(key)),
  };
}

const KEY = z.string().length(43);
const FEE_BPS_MAX = 10_000;
const PAYEE = z.strictObject({
  network: z.string().regex(/^tvm:-?\d{1,10}$/),
  address: z.string().regex(/^0:[0-9a-f]{64}$/),
  key: KEY,
  codeHash: KEY,
  withdrawDelayMinS: z.int().min(0).max(0xffff_ffff),
  depositMin: z.string().regex(/^(0|[1-9]\d{0,18})$/),
});
const ENVELOPE = z.strictObject({
  document: z.string().max(DOCUMENT_MAX_BYTES * 2),
  signature: z.string().length(88),
});
const BODY = z.strictObject({
  fmt: z.literal(GATEWAY_DOCUMENT_FORMAT),
  identity: KEY,
  tlsSpkiSha256: z.array(KEY).max(ENTRIES_MAX),
  baseUrls: z.array(z.string().max(URL_MAX_CHARS)).max(ENTRIES_MAX),
  payee: PAYEE.nullable(),
  feeBps: z.int().min(0).max(FEE_BPS_MAX),
  ledgerKeys: z.array(KEY).max(ENTRIES_MAX),
  issued: z.int().min(0),
  expires: z.int().min(0),
});

/**
 * Proves that the document was signed by the key it names and is in its time; whether that key is the right one is the
 * caller's comparison of `aud`. Throws `gatewayDocument.*`.
 */
export function verifyGatewayDocument(json: unknown, nowMs: number): VerifiedGatewayDocument {
  const { bytes, signature } = parseEnvelope(json);
  const document = parseDocument(bytes);
  // Until here every byte may be anybody's.
  if (!verifyEd25519(document.identity, signature, signatureInput(bytes))) {
    throw gatewayDocumentError('gatewayDocument.signature');
  }
  if (
    document.issuedMs > nowMs + CLOCK_SKEW_MS ||
    document.expiresMs <= nowMs ||
    document.expiresMs - document.issuedMs > GATEWAY_DOCUMENT_LIFETIME_MAX_MS
  ) {
    throw gatewayDocumentError('gatewayDocument.time');
  }
  return { ...document, aud: audOf(document.identity) };
}

/** The envelope as it came, for whoever keeps it as evidence. Throws `gatewayDocument.format`. */
export function gatewayDocumentJson(json: unknown): GatewayDocumentJson {
  const decoded = ENVELOPE.safeParse(json);
  if (!decoded.success) throw gatewayDocumentError('gatewayDocument.format', 'envelope');
  return decoded.data;
}

function parseEnvelope(json: unknown): {
  readonly bytes: Uint8Array;
  readonly signature: Bytes<64>;
} {
  const { document, signature } = gatewayDocumentJson(json);
  try {
    return {
      bytes: fromBase64(document),
      signature: fixed(fromBase64(signature), 64),
    };
  } catch (cause) {
    throw gatewayDocumentError('gatewayDocument.format', 'base64', { cause });
  }
}

function parseDocument(bytes: Uint8Array): GatewayDocument {
  try {
    const { value } = parseStrictJson(bytes, { maxBytes: DOCUMENT_MAX_BYTES, numbers: 'integers' });
    const body = BODY.parse(value);
    return {
      identity: fixed(fromBase64Url(body.identity), 32),
      tlsSpkiSha256: body.tlsSpkiSha256.map((pin) => fixed(fromBase64Url(pin), 32)),
      baseUrls: body.baseUrls,
      settlement: settlementOf(body),
      issuedMs: body.issued,
      expiresMs: body.expires,
    };
  } catch (cause) {
    throw gatewayDocumentError('gatewayDocument.format', 'document', { cause });
  }
}

function settlementOf({ payee, feeBps, ledgerKeys }: z.output<typeof BODY>): GatewaySettlement {
  const key = (text: string): Bytes<32> => fixed(fromBase64Url(text), 32);
  return {
    payee:
      payee === null
        ? null
        : {
            network: payee.network,
            address: payee.address,
            key: key(payee.key),
            codeHash: key(payee.codeHash),
            withdrawDelayMinS: payee.withdrawDelayMinS,
            depositMin: BigInt(payee.depositMin),
          },
    feeBps,
    ledgerKeys: ledgerKeys.map(key),
  };
}
