/** A jetton of our own, and a channel that counts it. @module */

import { readFileSync } from 'node:fs';
import { beginCell, Cell, contractAddress, type Address } from '@ton/core';
import { runTolkCompiler } from '@ton/tolk-js';
import type { Bytes } from '../../../core/bytes.ts';
import {
  decodeChannelAsset,
  initJettonBody,
  JETTON_ATTACH,
  JETTON_DEPOSIT_FORWARD,
  jettonChannelAddress,
  jettonChannelInit,
  type ChannelAsset,
  type JettonChannelTerms,
} from '../../../settlement/ton/contracts/jetton-pay-channel.ts';
import {
  channelId,
  claimBody,
  decodeChannelState,
  type ChannelState,
  type SignedClaim,
} from '../../../settlement/ton/contracts/pay-channel.ts';
import { signCharge } from '../../../settlement/charge.ts';
import { amount } from '../../../settlement/money.ts';
import { signVoucher } from '../../../settlement/voucher.ts';
import { Chain, type Outcome } from './chain.ts';
import {
  labTerms,
  PAYEE_SEED,
  PAYER,
  PAYER_SEED,
  STRANGER,
  TON,
  type ClaimWish,
} from './channel-lab.ts';

async function compile(name: string): Promise<Cell> {
  const result = await runTolkCompiler({
    entrypointFileName: `${name}.tolk`,
    fsReadCallback: (path) => readFileSync(new URL(`jetton/${path}`, import.meta.url), 'utf8'),
  });
  if (result.status === 'error') throw new Error(result.message);
  return Cell.fromBase64(result.codeBoc64);
}

const [MINTER_CODE, WALLET_CODE] = [await compile('minter'), await compile('wallet')];
const MINTER_INIT = { code: MINTER_CODE, data: beginCell().storeRef(WALLET_CODE).endCell() };
export const MINTER = contractAddress(0, MINTER_INIT);

export function jettonWallet(owner: Address): Address {
  const data = beginCell().storeCoins(0).storeAddress(owner).storeAddress(MINTER);
  return contractAddress(0, { code: WALLET_CODE, data: data.storeRef(WALLET_CODE).endCell() });
}

export function transferNotification(amount: bigint, from = PAYER): Cell {
  const head = beginCell().storeUint(0x7362d09c, 32).storeUint(0, 64);
  return head.storeCoins(amount).storeAddress(from).storeBit(0).endCell();
}

export function takeWalletAddress(wallet: Address | null): Cell {
  const head = beginCell().storeUint(0xd1735400, 32).storeUint(0, 64);
  return head.storeAddress(wallet).storeBit(0).endCell();
}

export class JettonLab {
  readonly chain: Chain;
  readonly terms: JettonChannelTerms;
  readonly address: Address;
  readonly id: Bytes<32>;

  private constructor(chain: Chain, terms: JettonChannelTerms) {
    this.chain = chain;
    this.terms = terms;
    this.address = jettonChannelAddress(terms);
    this.id = channelId(this.address);
  }

  /** The payer has 1000 units of 10⁶, the channel does not exist yet. */
  static async create(changes: Partial<JettonChannelTerms> = {}): Promise<JettonLab> {
    const lab = new JettonLab(await Chain.create(), { ...labTerms(), minter: MINTER, ...changes });
    const mint = beginCell().storeUint(0x15, 32).storeAddress(PAYER).storeCoins(1_000_000_000n);
    const message = { from: STRANGER, to: MINTER, value: TON, body: mint.endCell() };
    await lab.chain.send({ ...message, init: MINTER_INIT });
    return lab;
  }

  static async open(amount = 100_000_000n, changes: Partial<JettonChannelTerms> = {}) {
    const lab = await JettonLab.create(changes);
    await lab.init();
    await lab.deposit(amount);
    return lab;
  }

  async init(value = 2n * JETTON_ATTACH): Promise<Outcome> {
    const message = { from: STRANGER, to: this.address, value, body: initJettonBody(1n) };
    return await this.chain.send({ ...message, init: jettonChannelInit(this.terms) });
  }

  async deposit(amount: bigint): Promise<Outcome> {
    const body = beginCell()
      .storeUint(0x0f8a7ea5, 32)
      .storeUint(1, 64)
      .storeCoins(amount)
      .storeAddress(this.address)
      .storeAddress(PAYER)
      .storeBit(0)
      .storeCoins(JETTON_DEPOSIT_FORWARD)
      .storeBit(0)
      .endCell();
    return await this.chain.send({ from: PAYER, to: jettonWallet(PAYER), value: TON / 10n, body });
  }

  async send(body: Cell, from: Address = PAYER, value = JETTON_ATTACH): Promise<Outcome> {
    return await this.chain.send({ from, to: this.address, value, body });
  }

  async claim(wish: ClaimWish, value = JETTON_ATTACH): Promise<Outcome> {
    return await this.send(claimBody(this.signed(wish), 1n), STRANGER, value);
  }

  signed({ charged, ceiling = charged, epoch = 0, ends = 'open' }: ClaimWish): SignedClaim {
    const { id: channel } = this;
    const promise = { channel, epoch, ceiling: amount(ceiling) };
    const charge = { channel, epoch, charged: amount(charged), isFinal: ends === 'final' };
    return {
      epoch,
      ends,
      ceiling,
      charged,
      voucherSignature: signVoucher(PAYER_SEED, promise).signature,
      chargeSignature: signCharge(PAYEE_SEED, charge),
    };
  }

  async state(): Promise<ChannelState> {
    return decodeChannelState(await this.chain.get(this.address, 'channel_state'));
  }

  async asset(): Promise<ChannelAsset> {
    return decodeChannelAsset(await this.chain.get(this.address, 'channel_asset'));
  }

  /** 0 for who has no wallet yet. */
  async jettons(of: Address): Promise<bigint> {
    const wallet = jettonWallet(of);
    const { accountState } = await this.chain.blockchain.getContract(wallet);
    if (accountState?.type !== 'active') return 0n;
    return (await this.chain.get(wallet, 'balance')).readBigNumber();
  }
}
