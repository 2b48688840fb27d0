/** A settler over a real ledger and the devnet, with payers that open channels and workers that earn. @module */

import assert from 'node:assert/strict';
import { Address } from '@ton/core';
import { ed25519PublicKey } from '#primitives';
import { fixed, type Bytes } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import type { AnnouncedChannel, ChannelTerms } from '../../settlement/channel-terms.ts';
import { RAMP_CAPS } from '../../settlement/ledger/limits.ts';
import { LEDGERS } from '../../settlement/ledger/ledgers.ts';
import type { Ledger, Payee } from '../../settlement/ledger/ledger.ts';
import { amount } from '../../settlement/money.ts';
import type { SettlerEvents } from '../../settlement/settler/events.ts';
import type { SettlerPolicy } from '../../settlement/settler/policy.ts';
import {
  createSettler,
  type Settler,
  type SettlerOptions,
} from '../../settlement/settler/settler.ts';
import type { TonChain } from '../../settlement/ton/chain.ts';
import { addressOfId, placeChannel } from '../../settlement/ton/channels/place.ts';
import { readChannel, type ReadChannel } from '../../settlement/ton/channels/read.ts';
import { depositBody } from '../../settlement/ton/contracts/pay-channel.ts';
import { openDevnet, type Devnet } from '../../settlement/ton/devnet/devnet.ts';
import { DEVNET } from '../../settlement/ton/network.ts';
import { openToncenter } from '../../settlement/ton/toncenter.ts';
import { openTreasury, type Treasury } from '../../settlement/ton/treasury.ts';
import { openWallet, type TonWallet } from '../../settlement/ton/wallet.ts';
import type { Payment } from '../../settlement/ton/wallet/payment.ts';
import { signVoucher, verifyVoucher } from '../../settlement/voucher.ts';
import { openLab, reserveOf, settleOf, WORKER, type LedgerLab } from './ledger-lab.ts';
import { until } from './until.ts';

export const TON = 1_000_000_000n;
const [SQLITE] = LEDGERS;

export function seed(byte: number): Bytes<32> {
  return fixed(new Uint8Array(32).fill(byte), 32);
}

export const PAYER_SEED = seed(41);
export const SETTLEMENT_SEED = seed(42);
const TREASURY_SEED = seed(43);
const WALLET_SEED = seed(44);
export const OWNER = `0:${'77'.repeat(32)}`;
export const TIMEOUT_S = 600;

export interface LabEvent {
  readonly name: keyof SettlerEvents;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface PaidChannel extends AnnouncedChannel {
  readonly address: Address;
}

export interface SettlerLabOptions {
  readonly blockTimeMs?: number;
  readonly providers?: 1 | 2 | 3;
  readonly policy?: Partial<SettlerPolicy>;
  readonly payees?: readonly Payee[];
  /** nanoTON; for tests of something else. */
  readonly rampCap?: bigint;
  readonly options?: Partial<SettlerOptions>;
}

export class SettlerLab {
  readonly devnet: Devnet;
  readonly chain: TonChain;
  readonly books: LedgerLab;
  readonly treasury: Treasury;
  readonly wallet: TonWallet;
  readonly events: LabEvent[] = [];
  readonly #options: SettlerLabOptions;
  #settler: Settler | undefined;
  #salt = 0n;

  private constructor(
    parts: Pick<SettlerLab, 'devnet' | 'chain' | 'books'>,
    options: SettlerLabOptions,
  ) {
    ({ devnet: this.devnet, chain: this.chain, books: this.books } = parts);
    this.treasury = openTreasury(TREASURY_SEED, { timeoutS: TIMEOUT_S });
    this.wallet = openWallet(WALLET_SEED, DEVNET);
    this.#options = options;
  }

  static async open(options: SettlerLabOptions = {}): Promise<SettlerLab> {
    const { blockTimeMs = 0, providers = 1, rampCap = RAMP_CAPS.TON } = options;
    const devnet = await openDevnet({ blockTimeMs });
    const fronts = [devnet.endpoint];
    while (fronts.length < providers) fronts.push((await devnet.openProvider()).endpoint);
    const chain = openToncenter({
      network: DEVNET,
      quorum: Math.min(2, providers),
      now: systemClock,
      providers: fronts.map((url, at) => ({ name: `p${at}`, url })),
    });
    const lab = new SettlerLab(
      {
        devnet,
        chain,
        books: await openLab(SQLITE, undefined, { ...RAMP_CAPS, TON: amount(rampCap) }),
      },
      options,
    );
    await devnet.faucet(lab.wallet.address, 100n * TON);
    await until(async () => (await lab.wallet.readState(chain)).balanceNanoton > 0n);
    return lab;
  }

  async close(): Promise<void> {
    await this.#settler?.close();
    await this.chain.close();
    await this.devnet.close();
    await this.books.end();
  }

  get ledger(): Ledger {
    return this.books.ledger();
  }

  get settler(): Settler {
    assert.ok(this.#settler);
    return this.#settler;
  }

  readonly now = (): number => this.devnet.nowS() * 1000;

  optionsOf(change: Partial<SettlerOptions> = {}): SettlerOptions {
    const { policy, payees, options } = this.#options;
    return {
      chain: this.chain,
      ledger: this.ledger,
      treasury: this.treasury,
      settlementSeed: SETTLEMENT_SEED,
      payee: {
        network: 'tvm:-217',
        address: this.treasury.address,
        key: ed25519PublicKey(SETTLEMENT_SEED),
        codeHash: seed(0),
        withdrawDelayMinS: 3600,
        depositMin: TON / 10n,
      },
      payees: () => Promise.resolve(payees ?? []),
      // Tests call the rounds; the settler's own are too far apart to come between.
      policy: { roundMs: 3_600_000, anchor: 'off', settleMs: 0, ...policy },
      onEvent: (name, fields) => void this.events.push({ name, fields }),
      now: this.now,
      ...options,
      ...change,
    };
  }

  async start(change: Partial<SettlerOptions> = {}): Promise<Settler> {
    this.#settler = createSettler(this.optionsOf(change));
    await this.#settler.start();
    return this.#settler;
  }

  /** As if the process had died and come back; what it had not written is lost. */
  async restart(change: Partial<SettlerOptions> = {}): Promise<Settler> {
    await this.crash();
    return await this.start(change);
  }

  async crash(): Promise<void> {
    await this.#settler?.close();
    await this.books.ledger().abandon();
    await this.books.reopen();
  }

  /** Rounds until it holds: in timed mode blocks come by themselves. */
  async rounds(holds: () => boolean | Promise<boolean>): Promise<void> {
    await until(async () => {
      await this.settler.round();
      return await holds();
    });
  }

  named(name: keyof SettlerEvents): readonly LabEvent[] {
    return this.events.filter((event) => event.name === name);
  }

  terms(change: Partial<ChannelTerms> = {}): ChannelTerms {
    this.#salt += 1n;
    return {
      network: 'tvm:-217',
      payer: this.wallet.address.toRawString(),
      payee: this.treasury.address,
      payerKey: ed25519PublicKey(PAYER_SEED),
      payeeKey: ed25519PublicKey(SETTLEMENT_SEED),
      withdrawDelayS: 3600,
      salt: this.#salt,
      ...change,
    };
  }

  announce(terms: ChannelTerms): PaidChannel {
    const { id: channel } = placeChannel(terms);
    return { channel, terms, address: addressOfId(channel) };
  }

  /** Out of the payer's wallet, and done when it returns. */
  async pay(payment: Payment): Promise<void> {
    const { seqno } = await this.wallet.readState(this.chain);
    const validUntilS = this.devnet.nowS() + 60;
    await this.chain.send(await this.wallet.order({ payments: [payment], seqno, validUntilS }));
    await until(async () => (await this.wallet.readState(this.chain)).seqno > seqno);
  }

  /** On chain; nobody is told. */
  async fund(terms: ChannelTerms, deposit = 2n * TON): Promise<PaidChannel> {
    const paid = this.announce(terms);
    const { init } = placeChannel(terms);
    await this.pay({ to: paid.address, nanoton: deposit, body: depositBody(0n), init });
    await until(async () => (await readChannel(this.chain, paid.channel)).outcome === 'read');
    return paid;
  }

  async open(deposit = 2n * TON): Promise<PaidChannel> {
    const paid = await this.fund(this.terms(), deposit);
    const opened = await this.settler.openChannel(paid);
    assert.equal(opened.outcome, 'opened');
    return paid;
  }

  async onChain({ channel }: AnnouncedChannel): Promise<ReadChannel> {
    const reading = await readChannel(this.chain, channel);
    assert.ok(reading.outcome === 'read');
    return reading;
  }

  async balanceOf(address: string): Promise<bigint> {
    return (await this.chain.readAccount(Address.parse(address))).balanceNanoton;
  }

  /** Promises and settles: the account owes `cost` more. */
  async use({ channel }: AnnouncedChannel, cost: bigint, epoch = 0): Promise<void> {
    const account = await this.ledger.findAccount(channel);
    assert.ok(account);
    const ceiling = amount(account.charged + cost);
    const terms = { channel, epoch, ceiling };
    const voucher = verifyVoucher(signVoucher(PAYER_SEED, terms), ed25519PublicKey(PAYER_SEED));
    assert.ok(voucher);
    const request = reserveOf(channel, cost, { voucher });
    const reserved = await this.ledger.reserve(request);
    assert.equal(reserved.outcome === 'refused' ? reserved.code : reserved.outcome, 'reserved');
    const settled = await this.ledger.settle(settleOf(request.requestId, cost));
    assert.equal(settled.outcome, 'settled');
  }
}

export async function withSettler(
  options: SettlerLabOptions,
  work: (lab: SettlerLab) => Promise<void>,
): Promise<void> {
  const lab = await SettlerLab.open(options);
  try {
    await lab.start();
    await work(lab);
  } finally {
    await lab.close();
  }
}

export const PAYEES: readonly Payee[] = [{ workerId: WORKER, destination: OWNER }];
