/** A channel with its two parties: signs what they sign, sends what anybody sends. @module */

import { Address, beginCell, type Cell } from '@ton/core';
import { ed25519PublicKey, signEd25519 } from '#primitives';
import { concat, fixed, u128be, type Bytes } from '../../../core/bytes.ts';
import {
  channelAddress,
  channelId,
  channelInit,
  claimBody,
  claimExternalBody,
  decodeChannelState,
  depositBody,
  finalizeExternalBody,
  requestWithdrawBody,
  withdrawExternalBody,
  type ChannelState,
  type ChannelTerms,
  type SignedClaim,
} from '../../../settlement/ton/contracts/pay-channel.ts';
import { encodeCharge } from '../../../settlement/charge.ts';
import { amount as toAmount, NOTHING } from '../../../settlement/money.ts';
import { encodeVoucherTerms } from '../../../settlement/voucher.ts';
import { signWithdraw } from '../../../settlement/withdraw.ts';
import { Chain, type Outcome } from './chain.ts';

export const TON = 1_000_000_000n;
export const DELAY_S = 86_400;

export interface ClaimWish {
  readonly charged: bigint;
  readonly ceiling?: bigint;
  readonly epoch?: number;
  readonly ends?: 'final' | 'open';
}

/** Addresses and keys from one byte: tests are the same in every run. */
export function party(byte: number, workchain = 0): Address {
  return new Address(workchain, Buffer.alloc(32, byte));
}

export function seed(byte: number): Bytes<32> {
  return fixed(new Uint8Array(32).fill(byte), 32);
}

export const PAYER = party(0xaa);
export const PAYEE = party(0xbb);
export const STRANGER = party(0xcc);
export const PAYER_SEED = seed(1);
export const PAYEE_SEED = seed(2);
export const STRANGER_SEED = seed(3);

export function labTerms(changes: Partial<ChannelTerms> = {}): ChannelTerms {
  return {
    payer: PAYER,
    payee: PAYEE,
    payerKey: ed25519PublicKey(PAYER_SEED),
    payeeKey: ed25519PublicKey(PAYEE_SEED),
    withdrawDelayS: DELAY_S,
    networkId: -3,
    salt: 7n,
    ...changes,
  };
}

const AMOUNT_AT = 39;

/** The contract reads more bits than a ledger holds, and tests go there. */
function withAmount(preimage: Uint8Array, value: bigint): Uint8Array {
  return concat(preimage.subarray(0, AMOUNT_AT), u128be(value));
}

export class ChannelLab {
  readonly chain: Chain;
  readonly terms: ChannelTerms;
  readonly address: Address;
  readonly id: Bytes<32>;

  private constructor(chain: Chain, terms: ChannelTerms) {
    this.chain = chain;
    this.terms = terms;
    this.address = channelAddress(terms);
    this.id = channelId(this.address);
  }

  static async create(changes: Partial<ChannelTerms> = {}, chain?: Chain): Promise<ChannelLab> {
    return new ChannelLab(chain ?? (await Chain.create()), labTerms(changes));
  }

  /** Open with `value` attached to the first deposit. */
  static async open(value = 2n * TON, changes: Partial<ChannelTerms> = {}): Promise<ChannelLab> {
    const lab = await ChannelLab.create(changes);
    const { exitCode } = await lab.deposit(value);
    if (exitCode !== 0) throw new Error(`deposit: ${exitCode}`);
    return lab;
  }

  send(body: Cell, from: Address = PAYER, value: bigint = TON / 10n): Promise<Outcome> {
    return this.chain.send({ from, to: this.address, value, body });
  }

  external(body: Cell): Promise<Outcome> {
    return this.chain.external(this.address, body);
  }

  deposit(value: bigint, from: Address = PAYER): Promise<Outcome> {
    const { address: to, terms } = this;
    return this.chain.send({ from, to, value, body: depositBody(1n), init: channelInit(terms) });
  }

  async state(): Promise<ChannelState> {
    return decodeChannelState(await this.chain.get(this.address, 'channel_state'));
  }

  balance(): Promise<bigint> {
    return this.chain.balance(this.address);
  }

  signed({ charged, ceiling = charged, epoch = 0, ends = 'open' }: ClaimWish): SignedClaim {
    const { id: channel, terms } = this;
    const promise = encodeVoucherTerms({ channel, epoch, ceiling: NOTHING });
    const voucherSignature = signEd25519(PAYER_SEED, withAmount(promise, ceiling));
    const claim = { epoch, ends, ceiling, charged, voucherSignature };
    if (terms.payeeKey === 'single-lock') return claim;
    const charge = encodeCharge({ channel, epoch, charged: NOTHING, isFinal: ends === 'final' });
    return { ...claim, chargeSignature: signEd25519(PAYEE_SEED, withAmount(charge, charged)) };
  }

  claim(wish: ClaimWish, value: bigint = TON / 10n): Promise<Outcome> {
    return this.send(claimBody(this.signed(wish), 5n), STRANGER, value);
  }

  claimExternal(wish: ClaimWish): Promise<Outcome> {
    return this.external(claimExternalBody(this.signed(wish)));
  }

  requestWithdraw(amount = 0n, from: Address = PAYER): Promise<Outcome> {
    return this.send(requestWithdrawBody(amount, 9n), from);
  }

  signedWithdraw(amount: bigint, validUntil: number, epoch = 0, signer = PAYER_SEED): Cell {
    const wish = { channel: this.id, epoch, amount: toAmount(amount), validUntilS: validUntil };
    const signature = signWithdraw(signer, wish);
    return withdrawExternalBody({ epoch, amount, validUntil, signature });
  }

  finalizeExternal(): Promise<Outcome> {
    return this.external(finalizeExternalBody());
  }

  /** As if the channel had lived: for states that take lifetimes to reach. */
  async setState(state: Partial<Record<'status' | 'epoch', number>>): Promise<void> {
    const contract = await this.chain.blockchain.getContract(this.address);
    const { account } = contract.account;
    if (account?.storage.state.type !== 'active') throw new Error('the channel does not exist');
    const init = account.storage.state.state;
    if (init.data === null || init.data === undefined) throw new Error('the channel has no data');
    const slice = init.data.beginParse();
    const [status, epoch] = [slice.loadUint(2), slice.loadUint(16)];
    const data = beginCell()
      .storeUint(state.status ?? status, 2)
      .storeUint(state.epoch ?? epoch, 16)
      .storeSlice(slice)
      .endCell();
    init.data = data;
    await this.chain.blockchain.setShardAccount(this.address, contract.account);
  }
}
