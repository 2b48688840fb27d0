/**
 * A channel that pays a worker, from the payee's side: its address from its terms, what it holds, and the claim of a
 * voucher. A single lock, so the voucher alone is enough, and the claim is paid for out of what it moves.
 * Spec: ton-settlement §4.7, §4.8.
 * @module
 */

import {
  Address,
  beginCell,
  external,
  storeMessage,
  TupleReader,
  type Transaction,
} from '@ton/core';
import { isZero, toHex, type Bytes } from '../../core/bytes.ts';
import { hasCode } from '../../core/errors.ts';
import { pause } from '../../core/node/lifecycle.ts';
import type { ChannelTerms } from '../channel-terms.ts';
import type { Voucher } from '../voucher.ts';
import type { TonChain } from './chain.ts';
import {
  availableOf,
  CHANNEL_FEES,
  channelAddress,
  channelId,
  claimExternalBody,
  decodeChannelState,
  type ChannelState,
} from './contracts/pay-channel.ts';
import { tonError } from './errors.ts';
import { CLAIM_LOOK_AGAIN_MS } from './limits.ts';

const NETWORK = /^tvm:(-?\d{1,10})$/;

function addressOf(terms: ChannelTerms): Address {
  const networkId = Number(NETWORK.exec(terms.network)?.[1] ?? Number.NaN);
  if (
    Number.isNaN(networkId) ||
    networkId !== Math.trunc(networkId) ||
    networkId >> 0 !== networkId
  ) {
    throw tonError('ton.config', 'network of the channel');
  }
  return channelAddress({
    payer: Address.parseRaw(terms.payer),
    payee: Address.parseRaw(terms.payee),
    payerKey: terms.payerKey,
    payeeKey: isZero(terms.payeeKey) ? 'single-lock' : terms.payeeKey,
    withdrawDelayS: terms.withdrawDelayS,
    networkId,
    salt: terms.salt,
  });
}

/** What the terms give, whatever anybody says. Throws `ton.config` for a network id that does not fit. */
export function channelOfTerms(terms: ChannelTerms): Bytes<32> {
  return channelId(addressOf(terms));
}

/** `0:` and hex of a TON address in any of its forms; undefined for what is none. */
export function rawAddress(text: string): string | undefined {
  try {
    return Address.parse(text).toRawString();
  } catch {
    // The library's message quotes the text; the caller says what is wrong.
    return undefined;
  }
}

/** Undefined while there is no contract. Throws as the chain. */
export async function readWorkerChannel(
  chain: TonChain,
  terms: ChannelTerms,
  signal: AbortSignal,
): Promise<ChannelState | undefined> {
  const address = addressOf(terms);
  const { state } = await chain.readAccount(address, { signal });
  if (state !== 'active') return undefined;
  const stack = await chain.runGetMethod(address, 'channel_state', [], { signal });
  return decodeChannelState(new TupleReader([...stack]));
}

/** What vouchers on it can move at most, in all: what is on its way back to the payer is not counted. */
export function holdsOf({ deposited, refunded, withdrawing }: ChannelState): bigint {
  return deposited - refunded - withdrawing;
}

export type ClaimOutcome =
  | { readonly outcome: 'claimed'; readonly claim: DoneClaim }
  /** All that this voucher is worth has been claimed. */
  | { readonly outcome: 'nothing'; readonly claimed: bigint }
  /** Below what the contract takes from outside. */
  | { readonly outcome: 'too_small'; readonly claimable: bigint; readonly minimum: bigint }
  | { readonly outcome: 'no_contract' }
  /** The channel is in an epoch of which there is no voucher. */
  | { readonly outcome: 'no_voucher'; readonly epoch: number };

export interface DoneClaim {
  readonly moved: bigint;
  /** Watermark after it. */
  readonly claimed: bigint;
  /**
   * What the payee was sent: what was moved, less every fee, and what lay there beyond the rent. Undefined when the
   * transaction is not to be had yet.
   */
  readonly received: bigint | undefined;
  /** Of the transaction. */
  readonly fee: bigint | undefined;
  /** Hex. */
  readonly transaction: string | undefined;
  /** Less was there than the voucher is good for. */
  readonly isShort: boolean;
}

export interface ClaimInput {
  readonly chain: TonChain;
  readonly terms: ChannelTerms;
  /** The best of each epoch, verified. */
  readonly vouchers: readonly Voucher[];
  /** Bounds the waiting; a claim that was sent may still happen after it. */
  readonly signal: AbortSignal;
}

/**
 * Sends the voucher that counts now and waits for the watermark. Doing it again moves nothing. Throws as the chain, and
 * `ton.unreachable` when the watermark does not come in time.
 */
export async function claimWorkerChannel(input: ClaimInput): Promise<ClaimOutcome> {
  const { chain, terms, vouchers, signal } = input;
  const address = addressOf(terms);
  const before = await chain.readAccount(address, { signal });
  const state = await readWorkerChannel(chain, terms, signal);
  if (state === undefined) return { outcome: 'no_contract' };
  const voucher = vouchers.find(({ epoch }) => epoch === state.epoch);
  if (voucher === undefined) return { outcome: 'no_voucher', epoch: state.epoch };
  const most = state.claimed + availableOf(state);
  const target = voucher.ceiling < most ? voucher.ceiling : most;
  const moved = target - state.claimed;
  if (moved <= 0n) return { outcome: 'nothing', claimed: state.claimed };
  const minimum = CHANNEL_FEES.minExternal;
  if (moved < minimum) return { outcome: 'too_small', claimable: moved, minimum };
  const body = claimExternalBody({
    epoch: voucher.epoch,
    ends: 'open',
    ceiling: voucher.ceiling,
    charged: target,
    voucherSignature: voucher.signature,
  });
  const message = external({ to: address, body });
  try {
    await chain.send(beginCell().store(storeMessage(message)).endCell(), { signal });
  } catch (error) {
    // Anybody may send a voucher: somebody was quicker, or a first message of ours arrived after all.
    const now = hasCode(error, 'ton.not_accepted')
      ? await readWorkerChannel(chain, terms, signal)
      : undefined;
    if (now !== undefined && now.claimed >= target) {
      return { outcome: 'nothing', claimed: now.claimed };
    }
    throw error;
  }
  const claimed = await untilClaimed(input, target);
  const { transactions } = await chain.transactionsSince(address, before.last?.lt ?? 0n, {
    signal,
  });
  const ours = transactions.find((transaction) => isBodyOf(transaction, body.hash()));
  return {
    outcome: 'claimed',
    claim: {
      moved,
      claimed,
      received: ours === undefined ? undefined : sentTo(ours, terms.payee),
      fee: ours?.totalFees.coins,
      transaction: ours === undefined ? undefined : toHex(ours.hash()),
      isShort: target < voucher.ceiling,
    },
  };
}

async function untilClaimed({ chain, terms, signal }: ClaimInput, target: bigint): Promise<bigint> {
  for (;;) {
    const state = await readWorkerChannel(chain, terms, signal);
    if (state !== undefined && state.claimed >= target) return state.claimed;
    if (!(await pause(CLAIM_LOOK_AGAIN_MS, signal))) {
      throw tonError('ton.unreachable', 'the claim was sent and is not seen yet');
    }
  }
}

function isBodyOf({ inMessage }: Transaction, hash: Buffer): boolean {
  return inMessage?.info.type === 'external-in' && inMessage.body.hash().equals(hash);
}

function sentTo({ outMessages }: Transaction, payee: string): bigint {
  let sum = 0n;
  for (const { info } of outMessages.values()) {
    if (info.type === 'internal' && info.dest.toRawString() === payee) sum += info.value.coins;
  }
  return sum;
}
