/**
 * Payments out of a wallet, followed to their end. An order is signed once, for one number of the wallet and a short
 * time, and sent again until it happened or cannot happen any more: it happens at most once, and what is said about it is
 * what the chain says. Spec: ton-settlement §4.11.
 * @module
 */

import { loadMessage, type Address, type Cell, type Transaction } from '@ton/core';
import { randomBytes } from '#primitives';
import type { Clock } from '../../../core/clock.ts';
import { hasCode } from '../../../core/errors.ts';
import { pause } from '../../../core/node/lifecycle.ts';
import type { TonChain } from '../chain.ts';
import type { TonWallet } from '../wallet.ts';
import type { Payment } from '../wallet/payment.ts';
import { payerError } from './errors.ts';
import {
  ARRIVAL_MS,
  CLOCK_AHEAD_MAX_S,
  LOOK_BACK_MAX,
  ORDER_GRACE_MS,
  ORDER_VALID_S,
  POLL_MS,
  WALLET_FEES,
  WITHDRAW_VALID_S,
} from './limits.ts';

export interface Waiting {
  readonly chain: TonChain;
  readonly now: Clock;
  readonly signal: AbortSignal;
  readonly pollMs?: number;
}

export interface Delivered {
  /** Hexadecimal, of the wallet's transaction. */
  readonly hash: string;
}

const MS_PER_S = 1000;

/** Names one message among those that a contract got. */
export function freshQueryId(): bigint {
  return new DataView(randomBytes(8).buffer).getBigUint64(0);
}

/** Done when the wallet has sent them. Throws `payer.*`, and as the chain before anything was sent. */
export async function deliver(
  waiting: Waiting,
  wallet: TonWallet,
  payments: readonly Payment[],
): Promise<Delivered> {
  const { chain, now, signal } = waiting;
  // In this order: an order taken between the two makes ours void, and shows among what came after `before`, or in time.
  const { seqno } = await wallet.readState(chain, { signal });
  const before = await chain.readAccount(wallet.address, { signal });
  const spent = payments.reduce((sum, { nanoton }) => sum + nanoton, 0n);
  if (before.balanceNanoton < spent + WALLET_FEES) {
    const facts = { balance: before.balanceNanoton, wanted: spent + WALLET_FEES };
    throw payerError('payer.balance', '', { facts });
  }
  assertClock(waiting, before.timeS);
  const validUntilS = before.timeS + ORDER_VALID_S;
  const order = await wallet.order({ payments, seqno, validUntilS });
  // By the later of the two clocks: said to be over too early, it would be paid once more beside the payer's second try.
  const overMs = Math.max(now() + ORDER_VALID_S * MS_PER_S, validUntilS * MS_PER_S);
  while (now() < overMs + ORDER_GRACE_MS) {
    await sendQuietly(chain, order, signal);
    const isOver =
      (isPlay(chain) || now() > overMs) &&
      (await isPast(chain, wallet.address, { validUntilS, signal }));
    const seen = await newestOf(chain, wallet.address, before.last?.lt ?? 0n, signal);
    const found = seen === undefined ? undefined : ours(seen, order);
    if (found !== undefined) return sent(found, payments.length);
    if (isOver && seen !== undefined) throw payerError('payer.expired');
    if (!(await pause(waiting.pollMs ?? POLL_MS, signal))) break;
  }
  throw payerError('payer.unconfirmed', 'the order to the wallet');
}

/** Its time is moved by hand. */
function isPlay({ network }: TonChain): boolean {
  return network.name === 'devnet';
}

/**
 * An order is good until a time by the chain's clock: a provider that sets it ahead would get one that is good for years,
 * and hold it back until it suits. Behind is no danger, and seen by whoever reads the chain.
 */
function assertClock({ chain, now }: Pick<Waiting, 'chain' | 'now'>, timeS: number): void {
  const aheadS = timeS - now() / MS_PER_S;
  if (!isPlay(chain) && aheadS > CLOCK_AHEAD_MAX_S) {
    throw payerError('payer.clock', '', { facts: { aheadS: Math.ceil(aheadS) } });
  }
}

/** Until when a withdraw that is signed now is good, by the clock of the chain. Throws `payer.clock` as for an order. */
export function withdrawUntilS(waiting: Pick<Waiting, 'chain' | 'now'>, timeS: number): number {
  assertClock(waiting, timeS);
  return timeS + WITHDRAW_VALID_S;
}

/** What becomes of it shows on the chain; a refusal may be the echo of a success. */
export async function sendQuietly(
  chain: TonChain,
  order: Cell,
  signal: AbortSignal,
): Promise<void> {
  try {
    await chain.send(order, { signal });
  } catch (error) {
    if (!hasCode(error, 'ton.not_accepted') && !hasCode(error, 'ton.unreachable')) throw error;
  }
}

/** Whether the chain is past `validUntilS`: what has not happened in what is read afterwards cannot happen. */
async function isPast(
  chain: TonChain,
  wallet: Address,
  { validUntilS, signal }: { readonly validUntilS: number; readonly signal: AbortSignal },
): Promise<boolean> {
  try {
    return (await chain.readAccount(wallet, { signal })).timeS > validUntilS;
  } catch (error) {
    if (isAway(error)) return false;
    throw error;
  }
}

function isAway(error: unknown): boolean {
  return ['ton.unreachable', 'ton.disagree', 'ton.history'].some((code) => hasCode(error, code));
}

function ours(transactions: readonly Transaction[], order: Cell): Transaction | undefined {
  const body = loadMessage(order.beginParse()).body.hash();
  const orders = transactions.filter(({ inMessage }) => inMessage?.info.type === 'external-in');
  const found = orders.find(({ inMessage }) => inMessage?.body.hash().equals(body));
  // A wallet counts its orders: whichever it took instead, ours has the same number and is void.
  if (found === undefined && orders.length > 0) throw payerError('payer.overtaken');
  return found;
}

/** Undefined when nobody can say. */
async function newestOf(
  chain: TonChain,
  address: Address,
  afterLt: bigint,
  signal: AbortSignal,
): Promise<readonly Transaction[] | undefined> {
  try {
    const options = { signal, limit: LOOK_BACK_MAX };
    return (await chain.transactionsSince(address, afterLt, options)).transactions;
  } catch (error) {
    if (isAway(error)) return undefined;
    throw error;
  }
}

function sent(transaction: Transaction, count: number): Delivered {
  if (transaction.outMessagesCount !== count) {
    throw payerError('payer.unsent', `${transaction.outMessagesCount} of ${count}`);
  }
  return { hash: transaction.hash().toString('hex') };
}

/** Waits until `address` has handled the message with this query id. Throws `payer.refused`, `payer.unconfirmed`. */
export async function awaitHandled(
  waiting: Waiting,
  address: Address,
  { afterLt, queryId }: { readonly afterLt: bigint; readonly queryId: bigint },
): Promise<void> {
  const untilMs = waiting.now() + ARRIVAL_MS;
  while (waiting.now() < untilMs) {
    const transactions = await newestOf(waiting.chain, address, afterLt, waiting.signal);
    const found = transactions?.find((transaction) => queryIdOf(transaction) === queryId);
    if (found !== undefined) return assertHandled(found);
    if (!(await pause(waiting.pollMs ?? POLL_MS, waiting.signal))) break;
  }
  throw payerError('payer.unconfirmed', 'the message to the channel');
}

function queryIdOf({ inMessage }: Transaction): bigint | undefined {
  if (inMessage?.info.type !== 'internal' || inMessage.info.bounced) return undefined;
  const slice = inMessage.body.beginParse();
  if (slice.remainingBits < 96) return undefined;
  return slice.skip(32).loadUintBig(64);
}

function assertHandled({ description }: Transaction): void {
  if (description.type !== 'generic') throw payerError('payer.refused', 'no ordinary transaction');
  const { computePhase } = description;
  if (computePhase.type === 'skipped')
    throw payerError('payer.refused', 'the contract did not run');
  if (computePhase.success && !description.aborted) return;
  const { exitCode } = computePhase;
  throw payerError('payer.refused', `exit code ${exitCode}`, { facts: { exitCode } });
}

/** Whether one of the wallet's newest transactions has sent coins to `address` that have not come back. */
export async function isUnderWay(
  { chain, signal }: Pick<Waiting, 'chain' | 'signal'>,
  wallet: Address,
  address: Address,
): Promise<boolean> {
  const options = { signal, limit: LOOK_BACK_MAX };
  const { transactions } = await chain.transactionsSince(wallet, 0n, options);
  let count = 0;
  for (const { inMessage, outMessages } of transactions) {
    const came = inMessage?.info;
    if (came?.type === 'internal' && came.bounced && came.src.equals(address)) count--;
    for (const { info } of outMessages.values()) {
      if (info.type === 'internal' && info.dest.equals(address)) count++;
    }
  }
  return count > 0;
}
