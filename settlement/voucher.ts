/**
 * VGV1, the client's promise: of this channel, in this epoch, up to `ceiling` in all. Signed over 55 plain bytes; sent as
 * 115. Spec: ton-settlement §4.3, §4.5.
 * @module
 */

import {
  ascii,
  concat,
  fixed,
  fromBase64Url,
  Reader,
  toBase64Url,
  u16be,
  u128be,
  type Bytes,
} from '../core/bytes.ts';
import { VeilError, assert } from '../core/errors.ts';
import { signEd25519, verifyEd25519 } from '#primitives';
import { artefactError, encodePreimage, parsePreimage, readAmount } from './artefact.ts';
import type { Amount } from './money.ts';

const TAG = ascii('VGV1');
const FLAG = 0;
const FORM = 0x01;
/** 0x01 ‖ channel ‖ epoch ‖ ceiling ‖ signature. */
export const VOUCHER_BYTES = 115;
const VOUCHER_CHARS = 154;

export interface VoucherTerms {
  readonly channel: Bytes<32>;
  readonly epoch: number;
  readonly ceiling: Amount;
}

/** As parsed. Says nothing about who signed it. */
export interface Voucher extends VoucherTerms {
  readonly signature: Bytes<64>;
}

/** A voucher whose signature was checked under `payerKey`. Only `verifyVoucher` makes one. */
export interface VerifiedVoucher extends Voucher {
  readonly payerKey: Bytes<32>;
}

const VERIFIED = new WeakSet<VerifiedVoucher>();

export function encodeVoucherTerms(terms: VoucherTerms): Bytes<55> {
  const { channel, epoch, ceiling } = terms;
  return encodePreimage(TAG, { channel, epoch, flag: FLAG, amount: ceiling });
}

/** Throws `settlement.artefact`. */
export function parseVoucherTerms(bytes: Uint8Array): VoucherTerms {
  const { channel, epoch, flag, amount: ceiling } = parsePreimage(TAG, bytes);
  if (flag !== FLAG) throw artefactError('flag');
  return { channel, epoch, ceiling };
}

export function signVoucher(secretKey: Bytes<32>, terms: VoucherTerms): Voucher {
  const { channel, epoch, ceiling } = terms;
  return { channel, epoch, ceiling, signature: signEd25519(secretKey, encodeVoucherTerms(terms)) };
}

/**
 * Undefined when the signature is not `payerKey`'s. That the key is sound is decided once, when the channel is opened
 * (payer-key.ts); which key a channel has is known to the ledger, which compares.
 */
export function verifyVoucher(voucher: Voucher, payerKey: Bytes<32>): VerifiedVoucher | undefined {
  if (!verifyEd25519(payerKey, voucher.signature, encodeVoucherTerms(voucher))) return undefined;
  const { channel, epoch, ceiling, signature } = voucher;
  // Copies: what was verified must not change under whoever keeps the buffers.
  const verified: VerifiedVoucher = Object.freeze({
    channel: fixed(channel.slice(), 32),
    epoch,
    ceiling,
    signature: fixed(signature.slice(), 64),
    payerKey: fixed(payerKey.slice(), 32),
  });
  VERIFIED.add(verified);
  return verified;
}

export function assertVerified(voucher: VerifiedVoucher): void {
  assert(VERIFIED.has(voucher), 'a voucher reaches the ledger through verifyVoucher');
}

export function encodeVoucher(voucher: Voucher): Bytes<115> {
  const bytes = concat(
    Uint8Array.of(FORM),
    voucher.channel,
    u16be(voucher.epoch),
    u128be(voucher.ceiling),
    voucher.signature,
  );
  return fixed(bytes, VOUCHER_BYTES, 'voucher');
}

/** Throws `settlement.artefact`. Checks no signature. Copies. */
export function parseVoucherUnverified(bytes: Uint8Array): Voucher {
  if (bytes.length !== VOUCHER_BYTES) throw artefactError('size');
  const reader = new Reader(bytes.slice(), artefactError);
  if (reader.u8('form') !== FORM) throw artefactError('form'); // +0
  const channel = reader.bytes(32, 'channel'); // +1
  const epoch = reader.u16be('epoch'); // +33
  const ceiling = readAmount(reader, 'ceiling'); // +35
  return { channel, epoch, ceiling, signature: reader.bytes(64, 'signature') }; // +51
}

/** The value of `x-vg-voucher`. */
export function formatVoucher(voucher: Voucher): string {
  return toBase64Url(encodeVoucher(voucher));
}

/** Throws `settlement.artefact`. */
export function parseVoucherTextUnverified(text: string): Voucher {
  if (text.length !== VOUCHER_CHARS) throw artefactError('size');
  return parseVoucherUnverified(artefactBytes(text));
}

/** Throws `settlement.artefact`. */
export function artefactBytes(text: string): Uint8Array {
  try {
    return fromBase64Url(text);
  } catch (cause) {
    if (cause instanceof VeilError) throw artefactError('base64url');
    throw cause;
  }
}
