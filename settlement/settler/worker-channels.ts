/**
 * Channels of ours to workers that have earned something: read, opened, filled. Who gets one, and how much is put in, is
 * bounded in four ways: by what it has earned, by what it has left, by their number and by what the treasury keeps.
 * Spec: ton-settlement §4.3, §4.7; docs/settlement.md "Worker channels".
 * @module
 */

import { sha256 } from '#primitives';
import { concat, utf8, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { byteKey } from '../../core/node/byte-key.ts';
import type { ChannelTerms } from '../channel-terms.ts';
import type { Payee } from '../ledger/ledger.ts';
import { beyond, owedOf } from '../ledger/payout-operations.ts';
import { amount, type Amount } from '../money.ts';
import { channelDeposit } from '../ton/channels/deposit.ts';
import { CHANNEL_FEES } from '../ton/contracts/pay-channel.ts';
import { NO_KEY, placeChannel } from '../ton/channels/place.ts';
import { readChannel, type ChannelReading, type ReadChannel } from '../ton/channels/read.ts';
import type { TreasuryState } from '../ton/treasury.ts';
import { rawAddress } from '../ton/wallet/transfer.ts';
import type { ClaimParts } from './claims.ts';
import {
  ORDER_FEE,
  PAID_FEE,
  READS_PER_WITHDRAW_DELAY,
  WORKER_EARNED_MIN_PERCENT,
  WORKER_REFILL_PERCENT,
  type WorkerChannelPolicy,
} from './policy.ts';
import { onceEach } from './payouts.ts';
import { heldOf, isWithdrawn, type WorkerChannel } from './worker-book.ts';

interface Wish {
  readonly workerId: Bytes<32>;
  readonly payee: string;
  /** In all and for good. */
  readonly funded: Amount;
  /** What that takes now. */
  readonly cost: bigint;
  /** Of what is owed by transfers, what the channel pays from then on. */
  readonly relieves: bigint;
}

const PERCENT = 100n;
const MS_PER_S = 1000;

export class WorkerChannels {
  readonly #parts: ClaimParts;
  readonly #delayS: number;
  /** What was said, so that it is said once. */
  #isShort = false;
  #isFull = false;
  /** What the chain says of them cannot be: nothing is paid into them. */
  readonly #odd = new Set<string>();
  /** They could not be read, the latest last: an owner can keep its channel busy, and everybody else's is read before it. */
  readonly #troubled = new Set<string>();

  constructor(parts: ClaimParts, withdrawDelayS: number) {
    this.#parts = parts;
    this.#delayS = withdrawDelayS;
  }

  /** Throws as the chain and the ledger do. */
  async round(treasury: TreasuryState | undefined): Promise<void> {
    const { workerChannels: policy } = this.#parts.policy;
    const trouble = await this.#readAll();
    if (policy !== 'off' && treasury !== undefined) {
      await this.#decide(policy, treasury);
      for (const channel of this.#parts.workers.all()) this.#ask(channel, policy);
    }
    if (trouble !== undefined) throw trouble;
  }

  /** Up to the first that cannot be read. */
  async #readAll(): Promise<VeilError | undefined> {
    const all = new Map(this.#parts.workers.all().map((each) => [byteKey(each.workerId), each]));
    const names = [
      ...[...all.keys()].filter((name) => !this.#troubled.has(name)),
      ...this.#troubled,
    ];
    for (const name of names) {
      const channel = all.get(name);
      if (channel === undefined) continue;
      this.#troubled.delete(name);
      try {
        await this.#look(channel);
      } catch (error) {
        if (!(error instanceof VeilError) || !error.code.startsWith('ton.')) throw error;
        this.#troubled.add(name);
        return error;
      }
    }
    return undefined;
  }

  async #look(channel: WorkerChannel): Promise<void> {
    const { chain, signal, now, workers, emit } = this.#parts;
    const { workerId } = channel;
    if (signal.aborted || !this.#isDue(channel)) return;
    const reading = await readChannel(chain, channel.channel, { signal });
    const name = byteKey(workerId);
    const isOdd = isContradiction(channel, reading);
    if (isOdd && !this.#odd.has(name)) {
      emit('settler.worker_channel_contradicted', { worker: workerId, channel: channel.channel });
    }
    if (isOdd) this.#odd.add(name);
    else this.#odd.delete(name);
    if (!isOdd && reading.outcome === 'read') await this.#take(channel, reading);
    else workers.seen(workerId, channel.reading, now());
  }

  #isDue(channel: WorkerChannel): boolean {
    const { policy, now } = this.#parts;
    if (policy.workerChannels !== 'off' && missingOf(channel) > 0n) return true;
    // So that a withdraw is seen long before it unlocks.
    const delayMs = channel.terms.withdrawDelayS * MS_PER_S;
    const everyMs = Math.min(policy.readEveryMs, delayMs / READS_PER_WITHDRAW_DELAY);
    return now() - channel.readMs >= everyMs;
  }

  async #take(channel: WorkerChannel, reading: ReadChannel): Promise<void> {
    const { workers, now, emit, onWorkerChannel } = this.#parts;
    const { workerId: worker, channel: id, reading: before } = channel;
    const release = await workers.hold(worker);
    try {
      await this.#adopt(worker, reading);
      workers.seen(worker, reading, now());
    } finally {
      release();
    }
    const { status, withdrawing, deposited } = reading;
    if (status === 'closing' && before?.status !== 'closing') {
      emit('settler.worker_channel_closing', { worker, channel: id, withdrawing });
    }
    if (deposited <= (before?.deposited ?? 0n)) return;
    emit('settler.worker_channel_filled', { worker, channel: id, deposited });
    onWorkerChannel(worker);
  }

  /** What the chain knows better: a new epoch ends old promises, and what was claimed was promised. */
  async #adopt(worker: Bytes<32>, { epoch, claimed, deposited }: ReadChannel): Promise<void> {
    const { workers, emit } = this.#parts;
    const known = workers.find(worker);
    if (known === undefined) return;
    const { promised, channel } = known;
    if (epoch === known.epoch && claimed > promised) {
      emit('settler.worker_channel_behind', {
        worker,
        channel,
        claimed,
        promised: amount(promised),
      });
    }
    if (epoch > known.epoch || claimed > promised) {
      await workers.save({ ...known, deposited, epoch, promised: claimed });
    } else if (deposited > known.deposited) {
      await workers.save({ ...known, deposited });
    }
  }

  async #decide(policy: WorkerChannelPolicy, { balance }: TreasuryState): Promise<void> {
    const { emit } = this.#parts;
    const { wishes, owed } = await this.#wishes(policy);
    let left = balance - ORDER_FEE - policy.reserve - owed;
    for (const channel of this.#parts.workers.all()) left -= missingOf(channel);
    let needed = 0n;
    for (const wish of wishes) {
      const more = wish.cost - wish.relieves;
      if (more > left) {
        needed += wish.cost;
        continue;
      }
      left -= more;
      await this.#fund(wish);
    }
    if (needed > 0n && !this.#isShort) {
      emit('settler.worker_channels_short', { needed: amount(needed), balance: amount(balance) });
    }
    this.#isShort = needed > 0n;
  }

  /** And what everybody is owed beyond channels. */
  async #wishes(
    policy: WorkerChannelPolicy,
  ): Promise<{ readonly wishes: readonly Wish[]; readonly owed: bigint }> {
    const { payees, workers, ledger, emit } = this.#parts;
    const wishes: Wish[] = [];
    let [places, owed, isFull] = [policy.max - this.#taken(), 0n, false];
    for (const payee of onceEach(await payees())) {
      const { workerId, destination } = payee;
      const balance = await ledger.findWorker(workerId, 'TON');
      const open = owedOf(balance);
      const relieves = beyond(open, workers.coveredOf(workerId, open, rawAddress(destination)));
      owed += relieves;
      const wish = this.#wish(policy, payee, { earned: balance.earned, open, relieves });
      if (wish === undefined) continue;
      const isNew = workers.find(workerId) === undefined;
      if (isNew && places <= 0) isFull = true;
      else wishes.push(wish);
      if (isNew) places--;
    }
    if (isFull && !this.#isFull) emit('settler.worker_channels_full', { max: policy.max });
    this.#isFull = isFull;
    return { wishes, owed };
  }

  /** Those that were withdrawn from, and another treasury's, take no place. */
  #taken(): number {
    const { workers } = this.#parts;
    return workers.all().filter((each) => workers.isOurs(each) && !isWithdrawn(each)).length;
  }

  #wish(
    { deposit }: WorkerChannelPolicy,
    { workerId, destination }: Payee,
    { earned, open, relieves }: Record<'earned' | 'open' | 'relieves', Amount>,
  ): Wish | undefined {
    const { workers, treasury } = this.#parts;
    const payee = rawAddress(destination);
    // The contract lives in workchain 0 and so do its parties; and nobody pays itself.
    if (payee === undefined || !payee.startsWith('0:') || payee === treasury.address) {
      return undefined;
    }
    const known = workers.find(workerId);
    // All that it has earned and was not paid, and one deposit: never more than that.
    const wish = { workerId, payee, funded: amount(open + deposit), relieves };
    if (known === undefined) {
      if (earned * PERCENT < deposit * WORKER_EARNED_MIN_PERCENT) return undefined;
      return { ...wish, cost: costOf(this.#termsFor(workerId, payee), wish.funded, 'first') };
    }
    if (!workers.isGrowing(known, payee) || missingOf(known) > 0n) return undefined;
    const held = heldOf(known);
    if ((held - open) * PERCENT >= deposit * WORKER_REFILL_PERCENT) return undefined;
    return { ...wish, cost: costOf(known.terms, wish.funded - held, 'more') };
  }

  /** Durable before it is asked for: whatever dies, it is asked for again, and paid once. */
  async #fund({ workerId, payee, funded }: Wish): Promise<void> {
    const { workers, emit } = this.#parts;
    const release = await workers.hold(workerId);
    try {
      const known = workers.find(workerId);
      const terms = this.#termsFor(workerId, payee);
      const fresh = { workerId, terms, promised: 0n, epoch: 0, deposited: 0n };
      await workers.save({ ...(known ?? fresh), funded });
    } finally {
      release();
    }
    const channel = workers.find(workerId)?.channel;
    if (channel !== undefined) {
      emit('settler.worker_channel_funding', { worker: workerId, channel, funded });
    }
  }

  /** From the worker and its address alone, so that no crash makes a second channel. */
  #termsFor(workerId: Bytes<32>, payee: string): ChannelTerms {
    const { payee: own, treasury } = this.#parts;
    const digest = sha256(concat(utf8('veilgate worker channel\0'), workerId, utf8(payee)));
    return {
      network: own.network,
      payer: treasury.address,
      payee,
      payerKey: treasury.publicKey,
      payeeKey: NO_KEY,
      withdrawDelayS: this.#delayS,
      salt: new DataView(digest.buffer, digest.byteOffset).getBigUint64(0),
    };
  }

  #ask(channel: WorkerChannel, { reserve }: WorkerChannelPolicy): void {
    const missing = missingOf(channel);
    const name = byteKey(channel.workerId);
    const isUnsure = this.#odd.has(name) || this.#troubled.has(name);
    if (missing === 0n || isUnsure || !this.#parts.workers.isOurs(channel)) return;
    const order = `worker channel ${channel.channel.join(',')}`;
    this.#parts.outbox.want(order, depositOf(channel.terms, missing, kindOf(channel)), reserve);
  }
}

/**
 * To be paid in. Nothing more goes where something was taken out. A deposit puts back what storage has eaten of the rent, and
 * is counted without that: a rest that no contract takes is none.
 */
function missingOf(channel: WorkerChannel): bigint {
  const { reading, funded, deposited } = channel;
  // What was seen before is not paid in again because it cannot be seen now.
  if (reading === undefined) return deposited > 0n ? 0n : funded;
  const isOver = reading.status === 'closing' || isWithdrawn(channel) || reading.epoch > 0;
  const missing = funded - reading.deposited;
  return isOver || missing < CHANNEL_FEES.minDeposit ? 0n : missing;
}

/** Nothing that was there goes away, and no counter falls: whoever says so is not believed. */
function isContradiction(
  { deposited, epoch, reading: before }: WorkerChannel,
  reading: ChannelReading,
): boolean {
  if (reading.outcome === 'absent') return deposited > 0n;
  if (reading.outcome !== 'read') return true;
  if (reading.deposited < deposited || reading.epoch < epoch) return true;
  if (before === undefined) return false;
  return reading.claimed < before.claimed || reading.refunded < before.refunded;
}

type DepositKind = 'first' | 'more';

/** One that holds nothing yet still needs its rent. */
function kindOf({ reading }: WorkerChannel): DepositKind {
  return reading === undefined || reading.deposited === 0n ? 'first' : 'more';
}

function depositOf(terms: ChannelTerms, nanoton: bigint, kind: DepositKind) {
  const { id: channel, init } = placeChannel(terms, 'single');
  return channelDeposit({ channel, init, amount: nanoton, first: kind === 'first' });
}

function costOf(terms: ChannelTerms, nanoton: bigint, kind: DepositKind): bigint {
  return depositOf(terms, nanoton, kind).nanoton + PAID_FEE;
}
