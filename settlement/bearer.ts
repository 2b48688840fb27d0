/**
 * A voucher as a bearer token, so that an SDK which knows nothing of channels can pay with its API key.
 *
 *   vgv1.<voucher, 115 bytes>                        whoever holds it may spend up to the ceiling
 *   vgv1.<terms, 51 bytes>.<caveats>.<tag, 32 bytes> narrowed: the caveats hold as well
 *
 * A caveat is bound by an HMAC chain that begins with the voucher's signature. The narrowed form therefore leaves the
 * signature out: beside it, a thief would drop the caveats and begin the chain anew. It works at a gateway that has the
 * voucher already; a holder can narrow it further and never widen it. Spec: ton-settlement §4.4 (session).
 * @module
 */

import {
  ascii,
  concat,
  fixed,
  fromUtf8,
  Reader,
  toBase64Url,
  u16be,
  u64be,
  u128be,
  utf8,
  type Bytes,
} from '../core/bytes.ts';
import { VeilError } from '../core/errors.ts';
import { constantTimeEqual, hmacSha256 } from '#primitives';
import { artefactError, readAmount } from './artefact.ts';
import type { Amount } from './money.ts';
import {
  artefactBytes,
  encodeVoucherTerms,
  formatVoucher,
  parseVoucherTextUnverified,
  type Voucher,
  type VoucherTerms,
} from './voucher.ts';

const PREFIX = 'vgv1';
const FORM = 0x02;
const TERMS_BYTES = 51;
const TAG_BYTES = 32;
const CHAIN = ascii('veilgate.bearer/1');
const CAVEATS_MAX = 16;
const CAVEATS_MAX_BYTES = 1024;
const CAVEAT_VALUE_MAX_BYTES = 255;
const TOKEN_MAX_CHARS = 2048;
const MODELS_MAX = 16;
const KIND = { expiry: 1, models: 2, requestCap: 3 } as const;

export type Caveat =
  | { readonly kind: 'expiry'; readonly notAfterMs: number }
  /** Ids as requests name them. */
  | { readonly kind: 'models'; readonly models: readonly string[] }
  /** No request may reserve more. */
  | { readonly kind: 'request-cap'; readonly cap: Amount };

export type Bearer =
  | { readonly kind: 'whole'; readonly voucher: Voucher }
  | {
      readonly kind: 'narrowed';
      readonly terms: VoucherTerms;
      readonly caveats: readonly Caveat[];
      readonly tag: Bytes<32>;
    };

export function formatBearer(bearer: Bearer): string {
  if (bearer.kind === 'whole') return `${PREFIX}.${formatVoucher(bearer.voucher)}`;
  const caveats = concat(...bearer.caveats.map(encodeCaveat));
  const parts = [encodeTerms(bearer.terms), caveats, bearer.tag].map(toBase64Url);
  return [PREFIX, ...parts].join('.');
}

/** Throws `settlement.artefact`. Checks neither signature nor tag. */
export function parseBearerUnverified(token: string): Bearer {
  if (token.length > TOKEN_MAX_CHARS) throw artefactError('size');
  const [prefix, first = '', caveats, tag, ...more] = token.split('.');
  if (prefix !== PREFIX || more.length > 0) throw artefactError('form');
  if (caveats === undefined) return { kind: 'whole', voucher: parseVoucherTextUnverified(first) };
  if (tag === undefined) throw artefactError('form');
  const tagBytes = artefactBytes(tag);
  if (tagBytes.length !== TAG_BYTES) throw artefactError('tag');
  return {
    kind: 'narrowed',
    terms: parseTerms(artefactBytes(first)),
    caveats: parseCaveats(artefactBytes(caveats)),
    tag: fixed(tagBytes, TAG_BYTES),
  };
}

export function isBearer(apiKey: string): boolean {
  return apiKey.startsWith(`${PREFIX}.`);
}

/** Throws `settlement.artefact`. */
export function channelOfBearer(token: string): Bytes<32> {
  const bearer = parseBearerUnverified(token);
  return bearer.kind === 'whole' ? bearer.voucher.channel : bearer.terms.channel;
}

/** Before anything is signed for it. Throws `settlement.artefact`. */
export function checkCaveats(caveats: readonly Caveat[]): void {
  const size = concat(...caveats.map(encodeCaveat)).length;
  if (caveats.length > CAVEATS_MAX || size > CAVEATS_MAX_BYTES) throw artefactError('caveats');
}

/** Adds a caveat. From a whole token, the signature becomes the key of the chain and leaves the token. */
export function narrow(bearer: Bearer, caveat: Caveat): Bearer {
  const encoded = encodeCaveat(caveat);
  if (bearer.kind === 'whole') {
    const { channel, epoch, ceiling, signature } = bearer.voucher;
    const terms = { channel, epoch, ceiling };
    const tag = hmacSha256(chainStart(terms, signature), encoded);
    return { kind: 'narrowed', terms, caveats: [caveat], tag };
  }
  const caveats = [...bearer.caveats, caveat];
  checkCaveats(caveats);
  return { ...bearer, caveats, tag: hmacSha256(bearer.tag, encoded) };
}

/** `signature` is the one of the voucher with exactly these terms that the gateway has verified and kept. */
export function isNarrowedFrom(
  bearer: Extract<Bearer, { kind: 'narrowed' }>,
  signature: Bytes<64>,
): boolean {
  let tag = chainStart(bearer.terms, signature);
  for (const caveat of bearer.caveats) tag = hmacSha256(tag, encodeCaveat(caveat));
  return constantTimeEqual(tag, bearer.tag);
}

export interface BearerUse {
  readonly nowMs: number;
  readonly model: string;
  /** What the request would reserve. */
  readonly need: bigint;
}

/** The kinds of caveat that forbid this use; empty when it is allowed. Says nothing about the tag. */
export function forbiddenBy(caveats: readonly Caveat[], use: BearerUse): readonly Caveat['kind'][] {
  return caveats.filter((caveat) => !allows(caveat, use)).map(({ kind }) => kind);
}

function allows(caveat: Caveat, { nowMs, model, need }: BearerUse): boolean {
  if (caveat.kind === 'expiry') return nowMs <= caveat.notAfterMs;
  if (caveat.kind === 'models') return caveat.models.includes(model);
  return need <= caveat.cap;
}

function chainStart(terms: VoucherTerms, signature: Bytes<64>): Bytes<32> {
  return hmacSha256(signature, CHAIN, Uint8Array.of(0), encodeVoucherTerms(terms));
}

function encodeTerms({ channel, epoch, ceiling }: VoucherTerms): Uint8Array {
  return concat(Uint8Array.of(FORM), channel, u16be(epoch), u128be(ceiling));
}

function parseTerms(bytes: Uint8Array): VoucherTerms {
  if (bytes.length !== TERMS_BYTES) throw artefactError('size');
  const reader = new Reader(bytes, artefactError);
  if (reader.u8('form') !== FORM) throw artefactError('form'); // +0
  const channel = reader.bytes(32, 'channel'); // +1
  const epoch = reader.u16be('epoch'); // +33
  return { channel, epoch, ceiling: readAmount(reader, 'ceiling') }; // +35
}

/** kind u8 ‖ size u8 ‖ value. */
function encodeCaveat(caveat: Caveat): Uint8Array {
  if (caveat.kind === 'expiry') return field(KIND.expiry, u64be(BigInt(caveat.notAfterMs)));
  if (caveat.kind === 'models') return field(KIND.models, encodeModels(caveat.models));
  return field(KIND.requestCap, u128be(caveat.cap));
}

function field(kind: number, value: Uint8Array): Uint8Array {
  if (value.length > CAVEAT_VALUE_MAX_BYTES) throw artefactError('caveat size');
  return concat(Uint8Array.of(kind, value.length), value);
}

function encodeModels(models: readonly string[]): Uint8Array {
  const isList = models.length > 0 && models.length <= MODELS_MAX && models.every(isModelId);
  if (!isList) throw artefactError('models');
  return utf8(models.join(','));
}

function isModelId(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._:/-]*$/.test(text);
}

function parseCaveats(bytes: Uint8Array): readonly Caveat[] {
  if (bytes.length === 0 || bytes.length > CAVEATS_MAX_BYTES) throw artefactError('caveats');
  const reader = new Reader(bytes, artefactError);
  const caveats: Caveat[] = [];
  while (reader.remaining > 0) {
    if (caveats.length === CAVEATS_MAX) throw artefactError('caveats');
    const kind = reader.u8('kind');
    const value = reader.bytes(reader.u8('size'), 'value');
    caveats.push(parseCaveat(kind, value));
  }
  return caveats;
}

/** A kind that is not known forbids everything: it is refused. */
function parseCaveat(kind: number, value: Uint8Array): Caveat {
  const reader = new Reader(value, artefactError);
  if (kind === KIND.expiry && value.length === 8) {
    const notAfterMs = Number(reader.u64be('notAfterMs'));
    if (!Number.isSafeInteger(notAfterMs)) throw artefactError('notAfterMs');
    return { kind: 'expiry', notAfterMs };
  }
  if (kind === KIND.requestCap && value.length === 16) {
    return { kind: 'request-cap', cap: readAmount(reader, 'cap') };
  }
  if (kind !== KIND.models) throw artefactError('caveat');
  const models = modelText(value).split(',');
  if (models.length > MODELS_MAX || !models.every(isModelId)) throw artefactError('models');
  return { kind: 'models', models };
}

function modelText(value: Uint8Array): string {
  try {
    return fromUtf8(value);
  } catch (cause) {
    if (cause instanceof VeilError) throw artefactError('models');
    throw cause;
  }
}
