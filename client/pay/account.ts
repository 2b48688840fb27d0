/**
 * A channel as its payer keeps count of it: how far it has signed, what it knows to be charged, and what requests that are
 * under way may still cost. Whatever a gateway says, the next ceiling is the sum of these three and nothing else.
 * What this file writes down is on the disk before a voucher leaves. Spec: ton-settlement §4.2, §4.3, §4.5.
 * @module
 */

import { randomBytes } from '#primitives';
import type { Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import type { ChannelTerms } from '../../settlement/channel-terms.ts';
import { AMOUNT_MAX, amount, NOTHING, type Amount } from '../../settlement/money.ts';
import { signPass, type Pass } from '../../settlement/pass.ts';
import type { SignedStatement } from '../../settlement/statement.ts';
import { signVoucher, type Voucher } from '../../settlement/voucher.ts';
import { clientError } from '../errors.ts';
import { STATEMENTS_KEPT, PASS_LIFETIME_MS, STRANDED_MS } from '../limits.ts';
import { Flying } from './flying.ts';
import {
  decodePayState,
  encodePayState,
  newPayState,
  UNCOUNTED,
  type PayState,
} from './pay-state.ts';
import { SaveQueue, type PayMemory } from './pay-memory.ts';

/** How far signatures run ahead of what is served. */
export type CeilingPolicy =
  /** Each request raises the ceiling by the most that it can cost. */
  | 'per-request'
  /** One ceiling for the life of this payer: what was charged when it began, and so much more. */
  | { readonly session: bigint }
  /**
   * Pay as you go. The ceiling rises while an answer is streamed, a chunk and a half ahead of what has arrived: whoever
   * stops serving gains no more than that. A chunk has to be more than the worker generates in two round trips to the
   * gateway, or answers end early; what is not streamed is paid as by `per-request`.
   */
  | { readonly chunkTokens: number };

export interface Spending {
  readonly policy: CeilingPolicy;
  /** No ceiling above this is ever signed, over the whole life of the channel. */
  readonly spendMax: bigint | undefined;
}

/** The secret half of a channel, and where its payer keeps count. */
export interface ChannelKeys {
  readonly channel: Bytes<32>;
  readonly terms: ChannelTerms;
  readonly secretKey: Bytes<32>;
  readonly memory: PayMemory;
}

/** Proven by our own signature above anything we remember: what a gateway may make us believe, once. */
export interface Forgotten {
  readonly ceiling: Amount;
  readonly charged: Amount;
  readonly reserved: Amount;
  /** Number of the last line. */
  readonly n: bigint;
}

export class ChannelAccount {
  readonly keys: ChannelKeys;
  readonly #spending: Spending;
  readonly #clock: Clock;
  readonly #saves: SaveQueue;
  readonly #flying = new Flying();
  /** Bills that are being looked at. */
  readonly #judging = new Set<Promise<unknown>>();
  #state: PayState;
  #pass: Pass | undefined;
  #passEndMs = 0;
  #sessionCeiling: bigint | undefined;

  private constructor(keys: ChannelKeys, spending: Spending, clock: Clock, state: PayState) {
    this.keys = keys;
    this.#spending = spending;
    this.#clock = clock;
    this.#state = state;
    this.#saves = new SaveQueue(keys.memory, () => encodePayState(this.#written()));
  }

  /** Throws `client.channel_file` when what was remembered is of another channel, or nothing that can be read. */
  static async open(keys: ChannelKeys, spending: Spending, clock: Clock): Promise<ChannelAccount> {
    const saved = await keys.memory.load();
    const state =
      saved === undefined
        ? newPayState(keys.channel, 'unknown')
        : decodePayState(saved, keys.channel);
    return new ChannelAccount(keys, spending, clock, state);
  }

  get epoch(): number {
    return this.#state.epoch;
  }

  /** The highest ever signed in this epoch. */
  get ceiling(): Amount {
    return this.#state.ceiling;
  }

  /** Whether this count began with the channel. */
  get baseline(): 'known' | 'unknown' {
    return this.#state.baseline;
  }

  /** Of the lines that verified, the latest. */
  get statements(): readonly SignedStatement[] {
    return this.#state.statements;
  }

  /** Everything charged or possibly so: a gateway that says more lies, or we forgot. */
  get accounted(): bigint {
    return this.#state.confirmed + this.#state.stranded + this.#flying.covered;
  }

  /** Undefined: answers are not paid as they go. */
  get chunkTokens(): number | undefined {
    const { policy } = this.#spending;
    return typeof policy === 'object' && 'chunkTokens' in policy ? policy.chunkTokens : undefined;
  }

  /** Shown beside every voucher: that whoever shows it has its key. */
  get pass(): Pass {
    const nowMs = this.#clock();
    const leftMs = this.#passEndMs - nowMs;
    if (this.#pass === undefined || leftMs < PASS_LIFETIME_MS / 2 || leftMs > PASS_LIFETIME_MS) {
      const { secretKey, channel } = this.keys;
      this.#passEndMs = nowMs + PASS_LIFETIME_MS;
      this.#pass = signPass(secretKey, channel, [{ kind: 'expiry', notAfterMs: this.#passEndMs }]);
    }
    return this.#pass;
  }

  /** Whether any request is under way. */
  get isBusy(): boolean {
    return this.#flying.size > 0;
  }

  /**
   * A voucher that covers one more request, durable before it is returned. `covered` is less than `maxAmount` where more is
   * signed as the answer arrives. Throws `client.pay_halted`, `client.pay_limit`, `client.channel_file`.
   */
  async authorise(
    requestId: Bytes<16>,
    maxAmount: bigint,
    covered: bigint = maxAmount,
  ): Promise<Voucher> {
    await this.#assertPaying();
    this.#signUpTo(this.#ceilingFor(covered));
    const most = amount(least(AMOUNT_MAX, maxAmount));
    this.#flying.put(requestId, { most, covered: amount(covered) });
    try {
      return await this.#durable();
    } catch (error) {
      this.refused(requestId);
      throw error;
    }
  }

  /**
   * One that covers more of a request under way, durable before it is returned; undefined when it has ended meanwhile. Never
   * for more than the request may cost. Throws as `authorise` does, and then nothing more is covered.
   */
  async raise(requestId: Bytes<16>, upTo: bigint): Promise<Voucher | undefined> {
    await this.#assertPaying();
    const flight = this.#flying.get(requestId);
    if (flight === undefined) return undefined;
    const covered = amount(least(flight.most, upTo));
    if (covered > flight.covered) {
      this.#signUpTo(this.#ceilingFor(covered - flight.covered));
      this.#flying.put(requestId, { ...flight, covered });
    }
    try {
      return await this.#durable();
    } catch (error) {
      // No voucher leaves: whoever asks again has to sign for it again.
      if (this.#flying.get(requestId) !== undefined) this.#flying.put(requestId, flight);
      throw error;
    }
  }

  /** Whoever makes the look at a bill take long, must not be paid meanwhile. */
  async #assertPaying(): Promise<void> {
    while (this.#judging.size > 0) await Promise.allSettled(this.#judging);
    this.#assertUnblamed();
  }

  #assertUnblamed(): void {
    if (this.#state.faults.length === 0) return;
    throw clientError('client.pay_halted', this.#state.faults.join(' '));
  }

  #signUpTo(ceiling: Amount): void {
    this.#state = { ...this.#state, ceiling };
  }

  /** Of what is to be signed when this is called: whatever is raised while it is written is somebody else's voucher. */
  async #durable(): Promise<Voucher> {
    const { epoch, ceiling } = this.#state;
    await this.#saves.save();
    // Somebody may have been found out while it was written.
    this.#assertUnblamed();
    const { channel, secretKey } = this.keys;
    return signVoucher(secretKey, { channel, epoch, ceiling });
  }

  /**
   * A voucher that somebody else may spend, within `limit` and until then: meanwhile it counts as spent, since its lines
   * are nobody's here. Throws as `authorise` does.
   */
  async endow(limit: bigint, untilMs: number): Promise<Voucher> {
    const name = randomBytes(16);
    const voucher = await this.authorise(name, limit);
    this.#strand(name, { count: UNCOUNTED, untilMs });
    await this.#saves.save();
    return voucher;
  }

  /** Nothing is signed while `judgement` is open. */
  async during<Result>(judgement: Promise<Result>): Promise<Result> {
    this.#judging.add(judgement);
    try {
      return await judgement;
    } finally {
      this.#judging.delete(judgement);
    }
  }

  /** With so much more to cover. */
  #ceilingFor(more: bigint): Amount {
    const { ceiling: signed } = this.#state;
    const needed = this.accounted + more;
    const { policy, spendMax } = this.#spending;
    const isSession = typeof policy === 'object' && 'session' in policy;
    if (isSession) this.#sessionCeiling ??= this.accounted + policy.session;
    const limit = least(AMOUNT_MAX, spendMax, this.#sessionCeiling);
    if (needed > limit) throw clientError('client.pay_limit', `${needed} > ${limit}`);
    const wanted = isSession ? limit : needed;
    return wanted > signed ? amount(wanted) : signed;
  }

  /**
   * Whether the sums leave room for a charge that nobody here asked for. Requests run side by side, so a line may count
   * others whose own line is still on its way, each with all it may cost: below the ceiling a gateway may serve one of them
   * with what another has left over, before this client hears how far it is.
   */
  leavesRoom(requestId: Bytes<16>, { statement }: SignedStatement): boolean {
    const { baseline, confirmed, stranded } = this.#state;
    if (baseline === 'unknown') return false;
    const others = this.#flying.most - (this.#flying.get(requestId)?.most ?? NOTHING);
    return statement.cum > confirmed + stranded + others + statement.amount;
  }

  /** Of a line without a fault. That this is not written yet after a crash only makes us count higher. */
  settled(requestId: Bytes<16>, line: SignedStatement): void {
    const { statement } = line;
    this.#flying.end(requestId);
    const { charged, statements, baseline, lastN, confirmedN } = this.#state;
    // A payer that begins without a memory learns here what came before it, within what it has just signed. Others under
    // way may be in it too and be counted twice: that errs to the side of being served.
    const before =
      baseline === 'known' ? this.#state.confirmed : amount(statement.cum - statement.amount);
    this.#state = {
      ...this.#state,
      baseline: 'known',
      confirmed: amount(before + statement.amount),
      charged: statement.cum > charged ? statement.cum : charged,
      lastN: statement.n > lastN ? statement.n : lastN,
      confirmedN: baseline === 'known' ? confirmedN + 1n : statement.n,
      statements: [...statements, line].slice(-STATEMENTS_KEPT),
    };
    this.#forgetStranded();
    // If this fails, so does the write before the next voucher, and somebody waits for that one.
    this.#saves.save().catch(() => undefined);
  }

  /** No worker was asked. Believing it costs nothing: it only lowers what is signed next. */
  refused(requestId: Bytes<16>): void {
    this.#flying.end(requestId);
  }

  /** It may have run, and nobody has shown what it cost. */
  stranded(requestId: Bytes<16>): void {
    this.#strand(requestId, { count: 1, untilMs: this.#clock() + STRANDED_MS });
  }

  #strand(
    requestId: Bytes<16>,
    { count, untilMs }: { readonly count: number; readonly untilMs: number },
  ): void {
    const leftOver = this.#leftOver();
    const flight = this.#flying.end(requestId);
    if (flight === undefined) return;
    const risk = least(flight.most, flight.covered + leftOver);
    const { stranded, strandedCount } = this.#state;
    this.#state = {
      ...this.#state,
      stranded: amount(stranded + risk),
      strandedCount: Math.min(strandedCount + count, UNCOUNTED),
      strandedUntilMs: this.#strandedUntil(untilMs),
    };
  }

  /** What was stranded before keeps its time. */
  #strandedUntil(untilMs: number): number {
    const { strandedCount, strandedUntilMs } = this.#state;
    return strandedCount === 0 ? untilMs : Math.max(strandedUntilMs, untilMs);
  }

  /**
   * Stranded requests are in the sums once as many lines were skipped as there are of them, and after their time even
   * those that were released are over. With others under way nobody can tell whose the lines are, so the count goes on
   * until there are none. A gateway with numbers of its own only makes us sign less.
   */
  #forgetStranded(): void {
    const { strandedCount, strandedUntilMs, charged, confirmed, lastN, confirmedN } = this.#state;
    if (strandedCount === 0 || this.#flying.size > 0) return;
    const allCharged = lastN - confirmedN >= BigInt(strandedCount);
    if (!allCharged && this.#clock() < strandedUntilMs) return;
    this.#state = {
      ...this.#state,
      stranded: NOTHING,
      strandedCount: 0,
      confirmed: charged > confirmed ? charged : confirmed,
      confirmedN: lastN > confirmedN ? lastN : confirmedN,
    };
  }

  /** The caller verified our signature over `ceiling`. Never believes more than that signature covers. */
  adopt({ ceiling, charged, reserved, n }: Forgotten): void {
    const known = this.#state;
    const before = this.accounted;
    const covered = charged < ceiling ? charged : ceiling;
    const confirmed = covered > known.confirmed ? covered : known.confirmed;
    const rest = ceiling > confirmed ? amount(ceiling - confirmed) : NOTHING;
    const pending = reserved < rest ? reserved : rest;
    this.#state = {
      ...known,
      baseline: 'known',
      ceiling: ceiling > known.ceiling ? ceiling : known.ceiling,
      confirmed,
      confirmedN: n,
      lastN: n > known.lastN ? n : known.lastN,
      stranded: pending > known.stranded ? pending : known.stranded,
      strandedCount: pending > known.stranded ? UNCOUNTED : known.strandedCount,
      strandedUntilMs: this.#strandedUntil(this.#clock() + STRANDED_MS),
    };
    // What came before this session is not spent by it.
    if (this.#sessionCeiling !== undefined) this.#sessionCeiling += this.accounted - before;
  }

  /** Nothing is signed any more until somebody decides otherwise. What is under way may still end well. */
  blame(faults: readonly string[]): Promise<void> {
    this.#state = { ...this.#state, faults: [...new Set([...this.#state.faults, ...faults])] };
    return this.#saves.save();
  }

  /** The same for a request that has ended and whose bill does not hold. */
  halt(requestId: Bytes<16>, faults: readonly string[]): Promise<void> {
    this.stranded(requestId);
    return this.blame(faults);
  }

  /** After what is being written. */
  close(): Promise<void> {
    return this.#saves.idle();
  }

  /** Signed and not counted: a gateway may have served any request under way with it. */
  #leftOver(): bigint {
    const left = this.#state.ceiling - this.accounted;
    return left > 0n ? left : 0n;
  }

  /** What is under way counts as stranded for whoever reads it after a crash. */
  #written(): PayState {
    if (this.#flying.most === 0n) return this.#state;
    const risk = least(this.#flying.most, this.#flying.covered + this.#leftOver());
    return {
      ...this.#state,
      stranded: amount(this.#state.stranded + risk),
      strandedCount: Math.min(this.#state.strandedCount + this.#flying.size, UNCOUNTED),
      strandedUntilMs: this.#strandedUntil(this.#clock() + STRANDED_MS),
    };
  }
}

function least(first: bigint, ...others: readonly (bigint | undefined)[]): bigint {
  let result = first;
  for (const other of others) if (other !== undefined && other < result) result = other;
  return result;
}
