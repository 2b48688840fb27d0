/**
 * VGW1, the payer's way out without a wallet: a withdraw that anybody may bring to the chain.
 * Spec: ton-settlement §4.8; pay-channel/messages.tolk.
 * @module
 */

import { ascii, concat, fixed, u32be, type Bytes } from '../core/bytes.ts';
import { signEd25519 } from '#primitives';
import { encodePreimage } from './artefact.ts';
import type { Amount } from './money.ts';

const TAG = ascii('VGW1');
const FLAG = 0;
const WITHDRAW_BYTES = 59;

export interface Withdraw {
  readonly channel: Bytes<32>;
  readonly epoch: number;
  /** 0 = all that is available. */
  readonly amount: Amount;
  /** Unix seconds, at most an hour ahead. Each must be later than the one before: that is what makes it serve once. */
  readonly validUntilS: number;
}

/** Signed by the payer's key. */
export function encodeWithdraw({ channel, epoch, amount, validUntilS }: Withdraw): Bytes<59> {
  const head = encodePreimage(TAG, { channel, epoch, flag: FLAG, amount });
  return fixed(concat(head, u32be(validUntilS)), WITHDRAW_BYTES, 'withdraw');
}

export function signWithdraw(secretKey: Bytes<32>, withdraw: Withdraw): Bytes<64> {
  return signEd25519(secretKey, encodeWithdraw(withdraw));
}
