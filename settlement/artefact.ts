/**
 * What vouchers and charges have in common: a tag, a channel, an epoch, a byte and an amount, 55 bytes that TVM's
 * CHKSIGNS reads as they are. Never 32 bytes, so no such signature is one of a TON wallet, which signs a hash.
 * Spec: ton-settlement §4.3.
 * @module
 */

import { concat, equalPublic, fixed, Reader, u16be, u128be, type Bytes } from '../core/bytes.ts';
import type { VeilError } from '../core/errors.ts';
import { settlementError } from './errors.ts';
import { AMOUNT_MAX, amount, type Amount } from './money.ts';

export const PREIMAGE_BYTES = 55;

export interface Preimage {
  readonly channel: Bytes<32>;
  readonly epoch: number;
  readonly flag: number;
  readonly amount: Amount;
}

export function artefactError(what: string): VeilError {
  return settlementError('settlement.artefact', what);
}

export function encodePreimage(tag: Uint8Array, fields: Preimage): Bytes<55> {
  const bytes = concat(
    tag,
    fields.channel,
    u16be(fields.epoch),
    Uint8Array.of(fields.flag),
    u128be(fields.amount),
  );
  return fixed(bytes, PREIMAGE_BYTES, 'preimage');
}

/** Throws `settlement.artefact`. Copies. */
export function parsePreimage(tag: Uint8Array, bytes: Uint8Array): Preimage {
  if (bytes.length !== PREIMAGE_BYTES) throw artefactError('size');
  const reader = new Reader(bytes.slice(), artefactError);
  if (!equalPublic(reader.bytes(4, 'tag'), tag)) throw artefactError('tag'); // +0
  const channel = reader.bytes(32, 'channel'); // +4
  const epoch = reader.u16be('epoch'); // +36
  const flag = reader.u8('flag'); // +38
  return { channel, epoch, flag, amount: readAmount(reader, 'amount') }; // +39
}

/** u128 on the wire, 63 bits in every ledger: what does not fit is refused where it is read. */
export function readAmount(reader: Reader, field: string): Amount {
  const value = reader.u128be(field);
  if (value > AMOUNT_MAX) throw artefactError(`${field} range`);
  return amount(value);
}
