/**
 * The wallet for deposits and single payments: W5R1 of @ton/ton around a key that stays in here. Signatures are
 * `node:crypto`'s, over the 32-byte hash of the order; vouchers are 55 bytes and so can never be mistaken for one.
 * Spec: ton-settlement §2 (W5R1), §4.3, D12.
 * @module
 */

import {
  beginCell,
  external,
  internal,
  SendMode,
  storeMessage,
  type Address,
  type Cell,
} from '@ton/core';
import { WalletContractV5R1 } from '@ton/ton';
import { ed25519PublicKey, signEd25519 } from '#primitives';
import type { Bytes } from '../../core/bytes.ts';
import type { ReadOptions, TonChain } from './chain.ts';
import { tonError } from './errors.ts';
import type { TonNetwork } from './network.ts';
import type { Payment } from './wallet/payment.ts';

export const PAYMENTS_MAX = 255;

export interface TonWallet {
  readonly address: Address;
  readonly publicKey: Bytes<32>;
  readonly init: { readonly code: Cell; readonly data: Cell };
  /** A message from outside, to be sent as it is, again and again until it expires: it happens at most once. */
  order(order: WalletOrder): Promise<Cell>;
  /** As the providers agree. Throws as the chain, and `ton.wallet` for a state that is not this wallet's. */
  readState(chain: TonChain, options?: ReadOptions): Promise<WalletState>;
}

export interface WalletOrder {
  readonly payments: readonly Payment[];
  readonly seqno: number;
  /** By the clock of the chain. From then on it cannot happen any more. */
  readonly validUntilS: number;
}

export interface WalletState {
  /** The number that the next order needs. */
  readonly seqno: number;
  readonly balanceNanoton: bigint;
}

/** For one network: the same key has other addresses on others. */
export function openWallet(seed: Bytes<32>, network: TonNetwork): TonWallet {
  const publicKey = ed25519PublicKey(seed);
  const contract = WalletContractV5R1.create({
    publicKey: Buffer.from(publicKey),
    walletId: { networkGlobalId: network.globalId },
  });
  const { address, init } = contract;
  return {
    address,
    publicKey,
    init,
    order: async ({ payments, seqno, validUntilS }) => {
      if (payments.length === 0 || payments.length > PAYMENTS_MAX) {
        throw tonError('ton.wallet', `1 to ${PAYMENTS_MAX} payments`);
      }
      const body = await contract.createTransfer({
        seqno,
        timeout: validUntilS,
        // W5 refuses orders from outside that do not ignore errors: they could be played again for their gas.
        sendMode: SendMode.PAY_GAS_SEPARATELY + SendMode.IGNORE_ERRORS,
        messages: payments.map(messageOf),
        signer: async (order) => Buffer.from(signEd25519(seed, order.hash())),
      });
      // With the first one the wallet deploys itself.
      const message = external({ to: address, body, ...(seqno === 0 ? { init } : {}) });
      return beginCell().store(storeMessage(message)).endCell();
    },
    readState: async (chain, options) => {
      const account = await chain.readAccount(address, options);
      const { balanceNanoton } = account;
      if (account.state === 'uninitialized') return { seqno: 0, balanceNanoton };
      if (account.data === undefined) throw tonError('ton.wallet', account.state);
      return { seqno: seqnoOf(account.data), balanceNanoton };
    },
  };
}

function messageOf({ to, nanoton, body, bounce = false, init }: Payment) {
  return internal({
    to,
    value: nanoton,
    bounce,
    ...(body === undefined ? {} : { body }),
    ...(init === undefined ? {} : { init }),
  });
}

/** `is_signature_allowed:Bool seqno:# …`. Spec: ton-blockchain/wallet-contract-v5, types.tlb. */
function seqnoOf(data: Cell): number {
  const slice = data.beginParse();
  if (slice.remainingBits < 33) throw tonError('ton.wallet', 'not the data of a wallet');
  slice.skip(1);
  return slice.loadUint(32);
}
