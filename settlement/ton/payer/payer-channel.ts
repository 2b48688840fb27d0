/**
 * A channel from its payer's side: the address that the terms give, what the chain says of it, and the messages that a
 * payer sends there. Nothing is taken on anybody's word: the address is computed, and what stands there is compared with
 * the terms. Spec: ton-settlement §4.8.
 * @module
 */

import { type Address, beginCell, external, storeMessage, type Cell } from '@ton/core';
import { equalPublic, type Bytes } from '../../../core/bytes.ts';
import { pause } from '../../../core/node/lifecycle.ts';
import type { ChannelTerms } from '../../channel-terms.ts';
import { signWithdraw, type Withdraw } from '../../withdraw.ts';
import { addressOfId, placeChannel } from '../channels/place.ts';
import type { ReadOptions, TonChain } from '../chain.ts';
import { PAY_CHANNEL } from '../contracts/compiled.ts';
import {
  availableOf,
  cancelWithdrawBody,
  decodeChannelData,
  CHANNEL_ATTACH,
  CHANNEL_FEES,
  depositBody,
  destroyBody,
  EPOCH_RETIRED,
  finalizeExternalBody,
  finalizeWithdrawBody,
  requestWithdrawBody,
  withdrawExternalBody,
  type ChannelState,
  type ContractInit,
} from '../contracts/pay-channel.ts';
import type { Payment } from '../wallet/payment.ts';
import { sendQuietly, type Waiting } from './deliver.ts';
import { payerError } from './errors.ts';
import { ARRIVAL_MS, POLL_MS, STORAGE_PER_YEAR } from './limits.ts';

export interface PayerChannel {
  readonly terms: ChannelTerms;
  readonly id: Bytes<32>;
  readonly address: Address;
  readonly init: ContractInit;
  /** Of the part that never changes, hexadecimal. */
  readonly termsHash: string;
}

/** Throws `payer.terms`. */
export function payerChannelOf(terms: ChannelTerms): PayerChannel {
  try {
    const placed = placeChannel(terms);
    return { terms, ...placed, address: addressOfId(placed.id) };
  } catch (cause) {
    throw payerError('payer.terms', 'no channel has such terms', { cause });
  }
}

export type ChannelOnChain =
  | { readonly kind: 'absent'; readonly balanceNanoton: bigint; readonly timeS: number }
  | LiveChannel;

export interface LiveChannel {
  readonly kind: 'live';
  readonly state: ChannelState;
  readonly available: bigint;
  readonly balanceNanoton: bigint;
  readonly lastLt: bigint;
  /** By the clock of the chain. */
  readonly timeS: number;
  readonly seqno: number;
  readonly agreedBy: readonly string[];
}

/** Throws `payer.not_channel`, and as the chain. */
export async function readPayerChannel(
  chain: TonChain,
  channel: PayerChannel,
  options?: ReadOptions,
): Promise<ChannelOnChain> {
  const account = await chain.readAccount(channel.address, options);
  const { balanceNanoton, timeS, seqno, agreedBy } = account;
  if (account.state === 'uninitialized') return { kind: 'absent', balanceNanoton, timeS };
  if (account.state === 'frozen' || account.data === undefined) {
    throw payerError('payer.not_channel', account.state);
  }
  if (account.code?.hash().toString('hex') !== PAY_CHANNEL.codeHash) {
    throw payerError('payer.not_channel', 'another code');
  }
  const state = stateOf(account.data, channel);
  const lastLt = account.last?.lt ?? 0n;
  const available = availableOf(state);
  return { kind: 'live', state, available, balanceNanoton, lastLt, timeS, seqno, agreedBy };
}

function stateOf(data: Cell, channel: PayerChannel): ChannelState {
  try {
    const { payerKey, termsHash, ...state } = decodeChannelData(data);
    const isOfTerms =
      equalPublic(payerKey, channel.terms.payerKey) && termsHash === channel.termsHash;
    if (isOfTerms) return state;
  } catch (cause) {
    throw payerError('payer.not_channel', 'other data', { cause });
  }
  throw payerError('payer.not_channel', 'other terms');
}

const YEAR_S = 31_536_000n;

/**
 * The rent that a deposit has to put back. The chain takes what storage costs when the next message comes, and shows the
 * balance before that.
 */
export async function missingRent(
  chain: TonChain,
  channel: PayerChannel,
  live: LiveChannel,
  options?: ReadOptions,
): Promise<bigint> {
  const newest = { ...options, limit: 1 };
  const { transactions } = await chain.transactionsSince(channel.address, live.lastLt - 1n, newest);
  const elapsedS = BigInt(Math.max(0, live.timeS - (transactions.at(-1)?.now ?? live.timeS)));
  const owed = elapsedS === 0n ? 0n : (elapsedS * STORAGE_PER_YEAR) / YEAR_S + 1n;
  const missing = CHANNEL_FEES.rent + live.available + owed - live.balanceNanoton;
  return missing > 0n ? missing : 0n;
}

export interface Deposit {
  /** What becomes available: what goes along for rent and gas is beside it. */
  readonly amount: bigint;
  readonly rent: bigint;
  readonly queryId: bigint;
}

/** What the contract refuses comes back. */
export function depositPayment(channel: PayerChannel, { amount, rent, queryId }: Deposit): Payment {
  return {
    to: channel.address,
    nanoton: amount + rent + CHANNEL_FEES.depositFee,
    body: depositBody(queryId),
    bounce: true,
  };
}

/** The first one, which brings the contract along. */
export function openingPayment(channel: PayerChannel, deposit: Omit<Deposit, 'rent'>): Payment {
  const rent = CHANNEL_FEES.rent;
  return { ...depositPayment(channel, { ...deposit, rent }), init: channel.init };
}

/** `amount` 0: all that is available. */
export function withdrawPayment(channel: PayerChannel, amount: bigint, queryId: bigint): Payment {
  return operation(channel, requestWithdrawBody(amount, queryId));
}

export function cancelPayment(channel: PayerChannel, queryId: bigint): Payment {
  return operation(channel, cancelWithdrawBody(queryId));
}

export function finalizePayment(channel: PayerChannel, queryId: bigint): Payment {
  return operation(channel, finalizeWithdrawBody(queryId));
}

/** Gives the rent of an empty channel back. Nothing is ever opened at its address again. */
export function destroyPayment(channel: PayerChannel, queryId: bigint): Payment {
  return operation(channel, destroyBody(queryId));
}

export function isRetired({ state }: LiveChannel): boolean {
  return state.epoch === EPOCH_RETIRED;
}

function operation(channel: PayerChannel, body: Cell): Payment {
  return { to: channel.address, nanoton: CHANNEL_ATTACH, body, bounce: true };
}

/** Needs no wallet: the key that signs vouchers signs this too, and the channel's rent pays for it. */
export function signedWithdraw(
  channel: PayerChannel,
  secretKey: Bytes<32>,
  withdraw: Omit<Withdraw, 'channel'>,
): Cell {
  const { epoch, amount, validUntilS: validUntil } = withdraw;
  const signature = signWithdraw(secretKey, { channel: channel.id, ...withdraw });
  return outside(channel, withdrawExternalBody({ epoch, amount, validUntil, signature }));
}

/** Anybody's to send once the delay is over. */
export function signedFinalize(channel: PayerChannel): Cell {
  return outside(channel, finalizeExternalBody());
}

function outside({ address }: PayerChannel, body: Cell): Cell {
  return beginCell()
    .store(storeMessage(external({ to: address, body })))
    .endCell();
}

export interface AwaitedState {
  readonly isSo: (live: LiveChannel) => boolean;
  readonly forMs?: number;
  /** Sent again before every further look: what was lost on the way does no harm twice. */
  readonly again?: Cell;
}

/** Waits until the chain shows what `isSo` wants. Throws `payer.unconfirmed`, and as `readPayerChannel`. */
export async function awaitChannel(
  { chain, now, signal, pollMs = POLL_MS }: Waiting,
  channel: PayerChannel,
  { isSo, forMs = ARRIVAL_MS, again }: AwaitedState,
): Promise<LiveChannel> {
  const untilMs = now() + forMs;
  while (now() < untilMs) {
    const onChain = await readPayerChannel(chain, channel, { signal });
    if (onChain.kind === 'live' && isSo(onChain)) return onChain;
    if (!(await pause(pollMs, signal))) break;
    if (again !== undefined) await sendQuietly(chain, again, signal);
  }
  throw payerError('payer.unconfirmed', 'the state of the channel');
}
