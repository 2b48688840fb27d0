/**
 * From announced terms to the contract they make: the only way an address gets in. Spec: ton-settlement §4.6, §4.8.
 * @module
 */

import { Address } from '@ton/core';
import { fixed, type Bytes } from '../../../core/bytes.ts';
import type { ChannelTerms } from '../../channel-terms.ts';
import { PAY_CHANNEL } from '../contracts/compiled.ts';
import { jettonChannelAddress } from '../contracts/jetton-pay-channel.ts';
import * as contract from '../contracts/pay-channel.ts';
import type { TonNetwork } from '../network.ts';

/** Code that a channel of ours may have, lower-case hex. A new version of the contract is one more line. */
export const CHANNEL_CODE_HASHES: readonly string[] = [PAY_CHANNEL.codeHash];

/** The master of USDT on mainnet. Spec: ton-settlement §2. */
const USDT_MINTER = Address.parseRaw(
  '0:b113a994b5024a16719f69139328eb759596c38a25f59028b146fecdc3621dfe',
);

/** CAIP-2. */
export function networkName({ globalId }: TonNetwork): string {
  return `tvm:${globalId}`;
}

const ID_BYTES = 32;
const SINGLE_LOCK_KEY = new Uint8Array(ID_BYTES);

/** As channels are named in the ledger and in vouchers. */
export function addressOfId(id: Bytes<32>): Address {
  return new Address(0, Buffer.from(id));
}

export interface PlacedChannel {
  readonly id: Bytes<32>;
  readonly init: contract.ContractInit;
  /** Of the cell of terms, hexadecimal. */
  readonly termsHash: string;
}

/** `dual`: both sides sign. `single`: the voucher alone, for workers; the terms name no payee's key. */
export type Lock = 'dual' | 'single';

export function placeChannel(terms: ChannelTerms, lock: Lock = 'dual'): PlacedChannel {
  const onChain = contractTerms(terms, lock);
  return {
    id: contract.channelId(contract.channelAddress(onChain)),
    init: contract.channelInit(onChain),
    termsHash: contract.termsCell(onChain).hash().toString('hex'),
  };
}

/** The same terms in the contract that counts USDT, which nobody here takes yet. */
export function usdtChannelId(terms: ChannelTerms): Bytes<32> {
  return contract.channelId(
    jettonChannelAddress({ ...contractTerms(terms, 'dual'), minter: USDT_MINTER }),
  );
}

function contractTerms(terms: ChannelTerms, lock: Lock): contract.ChannelTerms {
  return {
    payer: Address.parseRaw(terms.payer),
    payee: Address.parseRaw(terms.payee),
    payerKey: terms.payerKey,
    payeeKey: lock === 'single' ? 'single-lock' : terms.payeeKey,
    withdrawDelayS: terms.withdrawDelayS,
    networkId: Number(terms.network.slice('tvm:'.length)),
    salt: terms.salt,
  };
}

/** What stands in the terms of a channel with a single lock. */
export const NO_KEY: Bytes<32> = fixed(SINGLE_LOCK_KEY, ID_BYTES);
