/**
 * VGK1, what a payer shows beside a voucher. A claim publishes the voucher on the chain, so whoever has one proves nothing;
 * a pass never gets there. It is a signature by the payer's key over the channel and caveats, and it ends.
 *
 *   VGK1 ‖ channel[32] ‖ caveats     signed; sent as <caveats>.<signature, 64 bytes>, base64url
 *
 * With caveats that name models, a cap or a ceiling it is what a token carries (token.ts).
 * Spec: ton-settlement §4.4 (session), §4.12 (stolen bearer token).
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
import { signEd25519, verifyEd25519 } from '#primitives';
import { artefactError, readAmount } from './artefact.ts';
import type { Amount } from './money.ts';
import { artefactBytes } from './voucher.ts';

const TAG = ascii('VGK1');
const SIGNATURE_BYTES = 64;
const CAVEATS_MAX = 16;
const CAVEATS_MAX_BYTES = 1024;
const CAVEAT_VALUE_MAX_BYTES = 255;
const PASS_MAX_CHARS = 1536;
const MODELS_MAX = 16;
const KIND = { expiry: 1, models: 2, requestCap: 3, ceiling: 4 } as const;

export type Caveat =
  | { readonly kind: 'expiry'; readonly notAfterMs: number }
  /** Ids as requests name them. */
  | { readonly kind: 'models'; readonly models: readonly string[] }
  /** No request may reserve more. */
  | { readonly kind: 'request-cap'; readonly cap: Amount }
  /** No higher voucher may be shown with it, none of another epoch, and none be held. */
  | { readonly kind: 'ceiling'; readonly epoch: number; readonly ceiling: Amount };

export interface Pass {
  readonly caveats: readonly Caveat[];
  readonly signature: Bytes<64>;
}

/** Throws `settlement.artefact` for caveats that no reader takes, and for a pass that would never end. */
export function signPass(
  secretKey: Bytes<32>,
  channel: Bytes<32>,
  caveats: readonly Caveat[],
): Pass {
  checkCaveats(caveats);
  return { caveats, signature: signEd25519(secretKey, preimage(channel, caveats)) };
}

export function isPassSigned(pass: Pass, channel: Bytes<32>, payerKey: Bytes<32>): boolean {
  return verifyEd25519(payerKey, pass.signature, preimage(channel, pass.caveats));
}

function preimage(channel: Bytes<32>, caveats: readonly Caveat[]): Uint8Array {
  return concat(TAG, channel, ...caveats.map(encodeCaveat));
}

/** The value of `x-vg-pass`. */
export function formatPass({ caveats, signature }: Pass): string {
  return `${toBase64Url(concat(...caveats.map(encodeCaveat)))}.${toBase64Url(signature)}`;
}

/** Throws `settlement.artefact`. Checks no signature. */
export function parsePassUnverified(text: string): Pass {
  if (text.length > PASS_MAX_CHARS) throw artefactError('size');
  const [coded, signed, ...more] = text.split('.');
  if (coded === undefined || signed === undefined || more.length > 0) throw artefactError('form');
  const signature = artefactBytes(signed);
  if (signature.length !== SIGNATURE_BYTES) throw artefactError('signature');
  const caveats = parseCaveats(artefactBytes(coded));
  checkCaveats(caveats);
  return { caveats, signature: fixed(signature, SIGNATURE_BYTES) };
}

/** Before anything is signed for them. Throws `settlement.artefact`. */
export function checkCaveats(caveats: readonly Caveat[]): void {
  const size = concat(...caveats.map(encodeCaveat)).length;
  if (caveats.length > CAVEATS_MAX || size > CAVEATS_MAX_BYTES) throw artefactError('caveats');
  if (!caveats.some(({ kind }) => kind === 'expiry')) throw artefactError('expiry');
}

/** When the first of its ends comes. */
export function endOf(caveats: readonly Caveat[]): number {
  return Math.min(...caveats.map((each) => (each.kind === 'expiry' ? each.notAfterMs : Infinity)));
}

/** Whether it is a token's: it is worth one voucher and ends with the next. */
export function hasCeiling(caveats: readonly Caveat[]): boolean {
  return caveats.some(({ kind }) => kind === 'ceiling');
}

export interface PassUse {
  readonly nowMs: number;
  readonly model: string;
  /** What the request would reserve. */
  readonly need: bigint;
  /** Of the voucher in force. */
  readonly epoch: number;
  readonly ceiling: bigint;
}

/** The kinds of caveat that forbid this use; empty when it is allowed. Says nothing about the signature. */
export function forbiddenBy(caveats: readonly Caveat[], use: PassUse): readonly Caveat['kind'][] {
  return caveats.filter((caveat) => !allows(caveat, use)).map(({ kind }) => kind);
}

function allows(caveat: Caveat, { nowMs, model, need, epoch, ceiling }: PassUse): boolean {
  if (caveat.kind === 'expiry') return nowMs <= caveat.notAfterMs;
  if (caveat.kind === 'models') return caveat.models.includes(model);
  if (caveat.kind === 'ceiling') return epoch === caveat.epoch && ceiling <= caveat.ceiling;
  return need <= caveat.cap;
}

/** kind u8 ‖ size u8 ‖ value. */
function encodeCaveat(caveat: Caveat): Uint8Array {
  if (caveat.kind === 'expiry') return field(KIND.expiry, u64be(BigInt(caveat.notAfterMs)));
  if (caveat.kind === 'models') return field(KIND.models, encodeModels(caveat.models));
  if (caveat.kind === 'ceiling') {
    return field(KIND.ceiling, concat(u16be(caveat.epoch), u128be(caveat.ceiling)));
  }
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
  if (kind === KIND.ceiling && value.length === 18) {
    const epoch = reader.u16be('epoch');
    return { kind: 'ceiling', epoch, ceiling: readAmount(reader, 'ceiling') };
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
