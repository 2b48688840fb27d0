/**
 * What a transaction of the treasury means: notices and payouts of channels, payments of somebody, and what our own orders
 * came to. Says who sent it, believes nothing else in it. Spec: ton-settlement §4.7, §4.8 (notice), D8.
 * @module
 */

import { Address, type Cell, type Transaction } from '@ton/core';
import { fixed, type Bytes } from '../../../core/bytes.ts';
import { CHANNEL_OP } from '../contracts/pay-channel.ts';
import { readOrder, type WalletStep } from '../wallet/highload.ts';

export type TreasuryEvent =
  /** Says that it is a channel, of this id. */
  | { readonly kind: 'notice' | 'payout'; readonly channel: Bytes<32> }
  | { readonly kind: 'order'; readonly lt: bigint; readonly step: WalletStep }
  | {
      readonly kind: 'transfer';
      readonly value: bigint;
      readonly comment: string;
      /** Of the transaction. */
      readonly hash: Bytes<32>;
    };

const COMMENT_OP = 0;
const COMMENT_MAX_CHARS = 120;

/** Undefined for what nobody here waits for. Never throws: anybody may write to the treasury. */
export function readTreasuryEvent(
  transaction: Transaction,
  treasury: string,
): TreasuryEvent | undefined {
  const own = Address.parseRaw(treasury);
  const { inMessage, lt } = transaction;
  const step = readOrder(transaction, own);
  if (step !== undefined) return { kind: 'order', lt, step };
  if (inMessage?.info.type !== 'internal' || inMessage.info.bounced) return undefined;
  const { src, value } = inMessage.info;
  if (src.workChain !== 0 || src.equals(own)) return undefined;
  const op = opOf(inMessage.body);
  const channel = fixed(Uint8Array.from(src.hash), 32);
  if (op === CHANNEL_OP.withdrawNotice) return { kind: 'notice', channel };
  if (op === CHANNEL_OP.payout) return { kind: 'payout', channel };
  if (op !== COMMENT_OP || !isKept(transaction)) return undefined;
  const comment = commentOf(inMessage.body);
  if (comment === undefined) return undefined;
  const hash = fixed(Uint8Array.from(transaction.hash()), 32);
  return { kind: 'transfer', value: value.coins, comment, hash };
}

function opOf(body: Cell): number | undefined {
  const slice = body.beginParse();
  return slice.remainingBits < 32 ? undefined : slice.loadUint(32);
}

/** Whether the coins stayed: what the wallet refuses goes back when the sender asked for that. */
function isKept({ description }: Transaction): boolean {
  return description.type === 'generic' && description.bouncePhase === undefined;
}

function commentOf(body: Cell): string | undefined {
  try {
    const text = body.beginParse().skip(32).loadStringTail();
    return text.length <= COMMENT_MAX_CHARS ? text : undefined;
  } catch {
    return undefined; // not text as wallets write it
  }
}
