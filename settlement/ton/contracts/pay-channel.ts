/**
 * `PayChannel` from outside: terms to address, message bodies, answers of its get methods. Money is bigint nanoTON.
 * Spec: ton-settlement §4.8; `pay-channel/*.tolk`.
 * @module
 */

import { beginCell, contractAddress, type Address, type Cell, type TupleReader } from '@ton/core';
import { fixed, toHex, type Bytes } from '../../../core/bytes.ts';
import { assert } from '../../../core/errors.ts';
import { PAY_CHANNEL, type CompiledContract } from './compiled.ts';

/** Fixed for the life of a channel and part of its address. */
export interface ChannelTerms {
  readonly payer: Address;
  readonly payee: Address;
  readonly payerKey: Bytes<32>;
  /** Signs charges. `single-lock`: the voucher alone is enough, for the worker hop only. */
  readonly payeeKey: Bytes<32> | 'single-lock';
  readonly withdrawDelayS: number;
  readonly networkId: number;
  /** Fresh for every channel: an address that was destroyed stays spent. */
  readonly salt: bigint;
}

export interface ContractInit {
  readonly code: Cell;
  readonly data: Cell;
}

export const CHANNEL_OP = {
  deposit: 0x76670001,
  claimInternal: 0x76670002,
  requestWithdraw: 0x76670003,
  finalizeWithdraw: 0x76670004,
  cancelWithdraw: 0x76670005,
  destroy: 0x76670007,
  payout: 0x76670011,
  refund: 0x76670012,
  withdrawNotice: 0x76670013,
  claimExternal: 0x76670021,
  withdrawExternal: 0x76670022,
  finalizeExternal: 0x76670023,
  excesses: 0xd53276db,
} as const;

/** nanoTON. The same numbers as `pay-channel/fees.tolk`; a test compares them. */
export const CHANNEL_FEES = {
  rent: 50_000_000n,
  depositFee: 5_000_000n,
  minDeposit: 10_000_000n,
  minExternal: 20_000_000n,
  withdrawFloor: 20_000_000n,
  notice: 1_000_000n,
} as const;

/** What an internal operation should carry; what is not used comes back (a claim's goes to the payee). */
export const CHANNEL_ATTACH = 100_000_000n;
/** A signed withdraw ends at most this far ahead. */
export const WITHDRAW_WINDOW_S = 3600;
/** Epochs run below this one; a channel in it never opens again. */
export const EPOCH_RETIRED = 0xffff;

const BASECHAIN = 0;
const KEY_BYTES = 32;

export function termsCell(terms: ChannelTerms): Cell {
  return beginCell()
    .storeAddress(terms.payer)
    .storeAddress(terms.payee)
    .storeBuffer(keyBuffer(terms.payeeKey))
    .storeUint(terms.withdrawDelayS, 32)
    .storeInt(terms.networkId, 32)
    .storeUint(terms.salt, 64)
    .endCell();
}

function keyBuffer(key: Bytes<32> | 'single-lock'): Buffer {
  if (key === 'single-lock') return Buffer.alloc(KEY_BYTES);
  assert(/[^0]/.test(toHex(key)), 'a key of zeros would mean a single lock');
  return Buffer.from(key);
}

/** Counters of a channel that has not opened, as they stand in its first data. */
export function freshCounters(payerKey: Bytes<32>) {
  return beginCell()
    .storeUint(0, 2)
    .storeUint(0, 16)
    .storeCoins(0)
    .storeCoins(0)
    .storeCoins(0)
    .storeCoins(0)
    .storeUint(0, 32)
    .storeBuffer(Buffer.from(payerKey));
}

export function channelInit(
  terms: ChannelTerms,
  { code }: CompiledContract = PAY_CHANNEL,
): ContractInit {
  return { code, data: freshCounters(terms.payerKey).storeRef(termsCell(terms)).endCell() };
}

/** Recompute this from announced terms; never take an address on somebody's word. */
export function channelAddress(terms: ChannelTerms): Address {
  return contractAddress(BASECHAIN, channelInit(terms));
}

/** What vouchers, charges and withdraws name. */
export function channelId(address: Address): Bytes<32> {
  assert(address.workChain === BASECHAIN, 'channels live in workchain 0');
  return fixed(Uint8Array.from(address.hash), KEY_BYTES);
}

export interface SignedClaim {
  readonly epoch: number;
  readonly ends: 'final' | 'open';
  readonly ceiling: bigint;
  readonly charged: bigint;
  readonly voucherSignature: Bytes<64>;
  /** Absent with a single lock only. */
  readonly chargeSignature?: Bytes<64>;
}

function storeClaim(claim: SignedClaim) {
  const charge = claim.chargeSignature;
  return beginCell()
    .storeUint(claim.epoch, 16)
    .storeBit(claim.ends === 'final')
    .storeCoins(claim.ceiling)
    .storeCoins(claim.charged)
    .storeBuffer(Buffer.from(claim.voucherSignature))
    .storeMaybeRef(
      charge === undefined ? null : beginCell().storeBuffer(Buffer.from(charge)).endCell(),
    );
}

function operation(op: number, queryId: bigint) {
  return beginCell().storeUint(op, 32).storeUint(queryId, 64);
}

export function depositBody(queryId: bigint): Cell {
  return operation(CHANNEL_OP.deposit, queryId).endCell();
}

export function claimBody(claim: SignedClaim, queryId: bigint): Cell {
  return operation(CHANNEL_OP.claimInternal, queryId).storeBuilder(storeClaim(claim)).endCell();
}

/** `amount` 0 = everything. */
export function requestWithdrawBody(amount: bigint, queryId: bigint): Cell {
  return operation(CHANNEL_OP.requestWithdraw, queryId).storeCoins(amount).endCell();
}

export function finalizeWithdrawBody(queryId: bigint): Cell {
  return operation(CHANNEL_OP.finalizeWithdraw, queryId).endCell();
}

export function cancelWithdrawBody(queryId: bigint): Cell {
  return operation(CHANNEL_OP.cancelWithdraw, queryId).endCell();
}

export function destroyBody(queryId: bigint): Cell {
  return operation(CHANNEL_OP.destroy, queryId).endCell();
}

/** Body of an external message that anybody may send; its gas is taken from the payout. */
export function claimExternalBody(claim: SignedClaim): Cell {
  return beginCell()
    .storeUint(CHANNEL_OP.claimExternal, 32)
    .storeBuilder(storeClaim(claim))
    .endCell();
}

export interface SignedWithdraw {
  readonly epoch: number;
  readonly amount: bigint;
  readonly validUntil: number;
  readonly signature: Bytes<64>;
}

export function withdrawExternalBody(withdraw: SignedWithdraw): Cell {
  return beginCell()
    .storeUint(CHANNEL_OP.withdrawExternal, 32)
    .storeUint(withdraw.epoch, 16)
    .storeCoins(withdraw.amount)
    .storeUint(withdraw.validUntil, 32)
    .storeBuffer(Buffer.from(withdraw.signature))
    .endCell();
}

export function finalizeExternalBody(): Cell {
  return beginCell().storeUint(CHANNEL_OP.finalizeExternal, 32).endCell();
}

export const CHANNEL_STATUS = ['idle', 'open', 'closing'] as const;
export type ChannelStatus = (typeof CHANNEL_STATUS)[number];

export interface ChannelState {
  readonly status: ChannelStatus;
  readonly epoch: number;
  readonly deposited: bigint;
  readonly claimed: bigint;
  readonly refunded: bigint;
  readonly withdrawing: bigint;
  /** Means something while closing. It keeps its value afterwards: see Channel in storage.tolk. */
  readonly unlockAt: number;
}

/** Reads the answer of `channel_state`. Throws when it is not one. */
export function decodeChannelState(stack: TupleReader): ChannelState {
  const status = CHANNEL_STATUS[stack.readNumber()];
  assert(status !== undefined, 'channel_state: status');
  const state = {
    status,
    epoch: stack.readNumber(),
    deposited: stack.readBigNumber(),
    claimed: stack.readBigNumber(),
    refunded: stack.readBigNumber(),
    withdrawing: stack.readBigNumber(),
    unlockAt: stack.readNumber(),
  };
  assert(stack.remaining === 0, 'channel_state: nothing after unlockAt');
  return state;
}

export interface ChannelData extends ChannelState {
  readonly payerKey: Bytes<32>;
  /** Of the cell of terms, hexadecimal. */
  readonly termsHash: string;
}

/** Reads a channel's data itself: unlike the answer of a get method it is of a block that is known. Throws when it is none. */
export function decodeChannelData(data: Cell): ChannelData {
  const slice = data.beginParse();
  const status = CHANNEL_STATUS[slice.loadUint(2)];
  assert(status !== undefined, 'channel data: status');
  const read = {
    status,
    epoch: slice.loadUint(16),
    deposited: slice.loadCoins(),
    claimed: slice.loadCoins(),
    refunded: slice.loadCoins(),
    withdrawing: slice.loadCoins(),
    unlockAt: slice.loadUint(32),
    payerKey: fixed(Uint8Array.from(slice.loadBuffer(KEY_BYTES)), KEY_BYTES),
    termsHash: slice.loadRef().hash().toString('hex'),
  };
  assert(slice.remainingBits === 0 && slice.remainingRefs === 0, 'channel data: nothing more');
  return read;
}

export function availableOf(state: ChannelState): bigint {
  return state.deposited - state.claimed - state.refunded;
}

/** Reads the answer of `channel_terms`. Compare with the terms that were announced by their address. */
export function decodeChannelTerms(stack: TupleReader): ChannelTerms {
  const [payer, payee] = [stack.readAddress(), stack.readAddress()];
  const [payerKey, payeeKey] = [stack.readBigNumber(), stack.readBigNumber()];
  const terms: ChannelTerms = {
    payer,
    payee,
    payerKey: keyOf(payerKey),
    payeeKey: payeeKey === 0n ? 'single-lock' : keyOf(payeeKey),
    withdrawDelayS: stack.readNumber(),
    networkId: stack.readNumber(),
    salt: stack.readBigNumber(),
  };
  assert(stack.remaining === 0, 'channel_terms: nothing after salt');
  return terms;
}

function keyOf(value: bigint): Bytes<32> {
  const cell = beginCell().storeUint(value, 256).endCell();
  return fixed(Uint8Array.from(cell.beginParse().loadBuffer(KEY_BYTES)), KEY_BYTES);
}
