/**
 * The bytes that payers and payees sign for the contracts. Plain bytes and not cells, so that a client needs Ed25519 and
 * nothing of TON; never 32 bytes long, so never what a wallet signs. Spec: ton-settlement §4.3; pay-channel/messages.tolk.
 * @module
 */

import { ascii, concat, u16be, u32be, u64be, type Bytes } from '../../../core/bytes.ts';
import { assert } from '../../../core/errors.ts';

export interface VoucherTerms {
  /** Account id of the contract, workchain 0. */
  readonly channel: Bytes<32>;
  readonly epoch: number;
  readonly ceiling: bigint;
}

export interface ChargeTerms {
  readonly channel: Bytes<32>;
  readonly epoch: number;
  readonly charged: bigint;
  /** `final` ends the channel: what is left goes back to the payer at once. */
  readonly ends: 'final' | 'open';
}

export interface WithdrawTerms {
  readonly channel: Bytes<32>;
  readonly epoch: number;
  /** 0 = all that is available. */
  readonly amount: bigint;
  /** Unix seconds, at most an hour ahead. Each must be later than the one before: that is what makes it serve once. */
  readonly validUntil: number;
}

const U128_END = 1n << 128n;
const LOW_64 = (1n << 64n) - 1n;

function u128be(value: bigint): Uint8Array {
  assert(value >= 0n && value < U128_END, 'u128be range');
  return concat(u64be(value >> 64n), u64be(value & LOW_64));
}

/** 55 bytes, signed by the payer's key: the most that may be charged. */
export function encodeVoucher({ channel, epoch, ceiling }: VoucherTerms): Uint8Array {
  return concat(ascii('VGV1'), channel, u16be(epoch), Uint8Array.of(0), u128be(ceiling));
}

/** 55 bytes, signed by the payee's settlement key: what is charged. */
export function encodeCharge({ channel, epoch, charged, ends }: ChargeTerms): Uint8Array {
  const flag = Uint8Array.of(ends === 'final' ? 1 : 0);
  return concat(ascii('VGC1'), channel, u16be(epoch), flag, u128be(charged));
}

/** 59 bytes, signed by the payer's key: a withdraw that anybody may bring to the chain. */
export function encodeWithdraw({ channel, epoch, amount, validUntil }: WithdrawTerms): Uint8Array {
  const head = concat(ascii('VGW1'), channel, u16be(epoch), Uint8Array.of(0), u128be(amount));
  return concat(head, u32be(validUntil));
}

export interface HeadTerms {
  /** Account id of the anchor. */
  readonly anchor: Bytes<32>;
  readonly seq: bigint;
  readonly head: Bytes<32>;
  /** The head that stands there now. */
  readonly previous: Bytes<32>;
  readonly validUntil: number;
}

/** 80 bytes, signed by the anchor's key. */
export function encodeHead({ anchor, seq, head, previous, validUntil }: HeadTerms): Uint8Array {
  const difference = head.map((byte, at) => byte ^ (previous[at] ?? 0));
  return concat(ascii('VGH1'), u64be(seq), difference, u32be(validUntil), anchor);
}
