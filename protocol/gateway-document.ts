/**
 * What a gateway says of itself under its own key: its TLS keys, addresses and, later, how it settles. Workers and
 * clients pin the audience, which is the hash of that key. Spec: overview "Identities".
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

export interface GatewayDocument {
  /** Raw Ed25519 public key. */
  readonly identity: Bytes<32>;
  readonly tlsSpkiSha256: readonly Bytes<32>[];
  readonly baseUrls: readonly string[];
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
      payee: null,
      feeBps: 0,
      ledgerKeys: [],
      issued: document.issuedMs,
      expires: document.expiresMs,
    }),
  );
  return { document: toBase64(bytes), signature: toBase64(sign(signatureInput(bytes))) };
}

const KEY = z.string().length(43);
const ENVELOPE = z.strictObject({
  document: z.string().max(DOCUMENT_MAX_BYTES * 2),
  signature: z.string().length(88),
});
const BODY = z.strictObject({
  fmt: z.literal(GATEWAY_DOCUMENT_FORMAT),
  identity: KEY,
  tlsSpkiSha256: z.array(KEY).max(ENTRIES_MAX),
  baseUrls: z.array(z.string().max(URL_MAX_CHARS)).max(ENTRIES_MAX),
  // Settlement fills these in; a first-light client must not act on what it cannot check.
  payee: z.null(),
  feeBps: z.literal(0),
  ledgerKeys: z.array(z.never()).max(0),
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

function parseEnvelope(json: unknown): {
  readonly bytes: Uint8Array;
  readonly signature: Bytes<64>;
} {
  const decoded = ENVELOPE.safeParse(json);
  if (!decoded.success) throw gatewayDocumentError('gatewayDocument.format', 'envelope');
  try {
    return {
      bytes: fromBase64(decoded.data.document),
      signature: fixed(fromBase64(decoded.data.signature), 64),
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
      issuedMs: body.issued,
      expiresMs: body.expires,
    };
  } catch (cause) {
    throw gatewayDocumentError('gatewayDocument.format', 'document', { cause });
  }
}
