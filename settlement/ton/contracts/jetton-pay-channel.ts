/**
 * `JettonPayChannel` from outside. Claims, withdraws, their answers and everything that is signed are those of
 * `pay-channel.ts`, with amounts in the jetton's atomic unit. First `initJettonBody`, then read `channel_asset`, and only
 * then transfer jettons to the channel: what arrives before is not counted and does not come back.
 * Spec: ton-settlement §4.14; `jetton-pay-channel/*.tolk`.
 * @module
 */

import { beginCell, contractAddress, type Address, type Cell, type TupleReader } from '@ton/core';
import { JETTON_PAY_CHANNEL } from './compiled.ts';
import { freshCounters, termsCell, type ChannelTerms, type ContractInit } from './pay-channel.ts';

export interface JettonChannelTerms extends ChannelTerms {
  readonly minter: Address;
}

export const JETTON_OP = { init: 0x76670031 } as const;

/** What an operation should carry, in nanoTON: two transfers at their dearest. What is not used comes back. */
export const JETTON_ATTACH = 150_000_000n;
/** Forward amount of the transfer that deposits: pays for counting it. */
export const JETTON_DEPOSIT_FORWARD = 20_000_000n;

const BASECHAIN = 0;

export function jettonChannelInit(terms: JettonChannelTerms): ContractInit {
  const asset = beginCell().storeAddress(terms.minter).storeBit(0).storeBit(0).endCell();
  const data = freshCounters(terms.payerKey).storeRef(termsCell(terms)).storeRef(asset).endCell();
  return { code: JETTON_PAY_CHANNEL.code, data };
}

export function jettonChannelAddress(terms: JettonChannelTerms): Address {
  return contractAddress(BASECHAIN, jettonChannelInit(terms));
}

export function initJettonBody(queryId: bigint): Cell {
  return beginCell().storeUint(JETTON_OP.init, 32).storeUint(queryId, 64).endCell();
}

export interface ChannelAsset {
  readonly minter: Address;
  /** Undefined until the minter has answered. Compare it with the minter's own `get_wallet_address`. */
  readonly wallet: Address | undefined;
}

/** Reads the answer of `channel_asset`. */
export function decodeChannelAsset(stack: TupleReader): ChannelAsset {
  return { minter: stack.readAddress(), wallet: stack.readAddressOpt() ?? undefined };
}
