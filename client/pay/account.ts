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
import {
  ADMISSION_MS,
  LOST_KEPT,
  PASS_LIFETIME_MS,
  STATEMENTS_KEPT,
  STRANDED_MS,
  UNBILLED_MAX,
} from '../limits.ts';
import { Flying, type Flight } from './flying.ts';
import {
  leastTelling,
  lostIn,
  coveredIn,
  mostBeside,
  roomIn,
  unbilledIn,
  without,
  type LostRequest,
  type Witness,
} from './lost.ts';
import { decodePayState, encodePayState, newPayState, type PayState } from './pay-state.ts';
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
  /** The highest that is certainly written. */
  #written: Pick<Voucher, 'epoch' | 'ceiling'>;
  #pass: Pass | undefined;
  #passEndMs = 0;
  #sessionCeiling: bigint | undefined;

  private constructor(keys: ChannelKeys, spending: Spending, clock: Clock, state: PayState) {
    this.keys = keys;
    this.#spending = spending;
    this.#clock = clock;
    this.#state = state;
    this.#written = { epoch: state.epoch, ceiling: state.ceiling };
    this.#saves = new SaveQueue(keys.memory, () => encodePayState(this.#afterCrash()));
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
    const room = roomIn(this.#state.lost);
    return this.#covered + least(room, this.#beyondCovered());
  }

  get #covered(): bigint {
    const { confirmed, stranded, lost } = this.#state;
    return confirmed + stranded + coveredIn(lost) + this.#flying.covered;
  }

  /** Signed, and raised for nothing that is known. */
  #beyondCovered(): bigint {
    const beyond = this.#state.ceiling - this.#covered;
    return beyond > 0n ? beyond : 0n;
  }

  /** Requests whose fate the gateway has to tell. */
  get lost(): readonly LostRequest[] {
    return this.#state.lost;
  }

  /** Nothing is signed any more: see `blame`. */
  get isHalted(): boolean {
    return this.#state.faults.length > 0;
  }

  /** Promises nothing new: for whoever has to show whose account it asks about. */
  get standing(): Voucher {
    const { channel, secretKey } = this.keys;
    return signVoucher(secretKey, { channel, ...this.#written });
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
   * signed as the answer arrives. Of a request without `witness` that gets lost, no bill is ever believed. Throws
   * `client.pay_halted`, `client.pay_unbilled`, `client.pay_limit`, `client.channel_file`.
   */
  async authorise(
    requestId: Bytes<16>,
    maxAmount: bigint,
    covered: bigint = maxAmount,
    witness?: Witness,
  ): Promise<Voucher> {
    await this.#assertPaying();
    this.#assertBilled();
    this.#signUpTo(this.#ceilingFor(covered));
    const most = amount(least(AMOUNT_MAX, maxAmount));
    this.#flying.put(requestId, { most, covered: amount(covered), witness });
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

  /**
   * A gateway that cuts every answer would have one more request signed for with each. Of those that are over and still have
   * no bill the limit allows one request at a time: a bill for it says where the sums stand.
   */
  #assertBilled(): void {
    const { open, over } = unbilledIn(this.#state.lost, this.#clock());
    const isAlone = open === 0 && this.#flying.size === 0;
    if (open + over < UNBILLED_MAX || isAlone) return;
    throw clientError('client.pay_unbilled', String(open + over));
  }

  #signUpTo(ceiling: Amount): void {
    this.#state = { ...this.#state, ceiling };
  }

  /** Of what is to be signed when this is called: whatever is raised while it is written is somebody else's voucher. */
  async #durable(): Promise<Voucher> {
    const { epoch, ceiling } = this.#state;
    await this.#saves.save();
    // Two that were written together may come in any order.
    if (epoch !== this.#written.epoch || ceiling > this.#written.ceiling) {
      this.#written = { epoch, ceiling };
    }
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
    this.#flying.end(name);
    this.#strand(amount(limit), untilMs);
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
    // What is over was charged or it was not: one more request, within the limit, finds out.
    const sure = this.#isOver() ? needed - this.#unbilled() : needed;
    if (sure > limit) throw clientError('client.pay_limit', `${sure} > ${limit}`);
    const wanted = isSession ? limit : least(needed, limit);
    return wanted > signed ? amount(wanted) : signed;
  }

  /**
   * Whether the sums leave room for a charge that nobody here asked for. Requests run side by side, so a line may count
   * others whose own line is still on its way, each with all it may cost: below the ceiling a gateway may serve one of them
   * with what another has left over, before this client hears how far it is.
   */
  leavesRoom(requestId: Bytes<16>, { statement }: SignedStatement): boolean {
    const { baseline, confirmed, stranded, lost } = this.#state;
    if (baseline === 'unknown') return false;
    const others = this.#flying.most - (this.#flying.get(requestId)?.most ?? NOTHING);
    const known = confirmed + stranded + mostBeside(lost, requestId);
    return statement.cum > known + others + statement.amount;
  }

  /** Of a line without a fault. That this is not written yet after a crash only makes us count higher. */
  settled(requestId: Bytes<16>, line: SignedStatement): void {
    const { statement } = line;
    this.#flying.end(requestId);
    const { confirmed, baseline, countedN } = this.#state;
    // A payer that begins without a memory learns here what came before it, within what it has just signed. Others under
    // way may be in it too and be counted twice: that errs to the side of being served.
    const before = baseline === 'known' ? confirmed : amount(statement.cum - statement.amount);
    this.#state = {
      ...this.#with(line),
      baseline: 'known',
      confirmed: amount(before + statement.amount),
      countedN: baseline === 'known' ? countedN : statement.n,
    };
    this.#forgetStranded();
    // If this fails, so does the write before the next voucher, and somebody waits for that one.
    this.#saves.save().catch(() => undefined);
  }

  /** The same of a lost request, whose line may be in the count already. */
  recalled(requestId: Bytes<16>, line: SignedStatement): void {
    const { lost, confirmed, countedN } = this.#state;
    if (lostIn(lost, requestId) === undefined) return;
    const { n, amount: cost } = line.statement;
    this.#state = {
      ...this.#with(line),
      lost: without(lost, requestId),
      confirmed: n > countedN ? amount(confirmed + cost) : confirmed,
    };
    this.#saves.save().catch(() => undefined);
  }

  #with(line: SignedStatement): PayState {
    const { charged, statements, lastN } = this.#state;
    const { cum, n } = line.statement;
    return {
      ...this.#state,
      charged: cum > charged ? cum : charged,
      lastN: n > lastN ? n : lastN,
      statements: [...statements, line].slice(-STATEMENTS_KEPT),
    };
  }

  /** No worker was asked. Believing it costs nothing: it only lowers what is signed next. */
  refused(requestId: Bytes<16>): void {
    this.#flying.end(requestId);
  }

  /** It may have run, and nobody has shown what it cost. */
  stranded(requestId: Bytes<16>): void {
    const flight = this.#flying.end(requestId);
    if (flight === undefined) return;
    const lost = [...this.#state.lost, this.#lostOf({ ...flight, id: requestId })];
    this.#state = { ...this.#state, lost };
    const tooMany = lost.length > LOST_KEPT ? leastTelling(lost) : undefined;
    if (tooMany !== undefined) this.#unname(tooMany);
  }

  /** By the gateway: it holds money for this one, and may yet charge it. */
  stillOpen(requestId: Bytes<16>): void {
    this.#heard(requestId, 'open');
  }

  /**
   * By the gateway: it does not know this one. It may yet arrive, so a line that counts it is no surprise while a gateway
   * would admit it; nothing is signed for it.
   */
  neverSeen(requestId: Bytes<16>): void {
    const known = lostIn(this.#state.lost, requestId);
    if (known === undefined) return;
    if (this.#clock() < known.admittedUntilMs) this.#heard(requestId, 'unknown');
    else this.released(requestId);
  }

  /** By the gateway: it will never charge this one. Believing it only lowers what is signed next. */
  released(requestId: Bytes<16>): void {
    this.#state = { ...this.#state, lost: without(this.#state.lost, requestId) };
  }

  #heard(requestId: Bytes<16>, word: LostRequest['word']): void {
    const name = lostIn(this.#state.lost, requestId);
    const lost = this.#state.lost.map((each) => (each === name ? { ...each, word } : each));
    this.#state = { ...this.#state, lost };
  }

  #lostOf(flight: Flight & Pick<LostRequest, 'id'>): LostRequest {
    const nowMs = this.#clock();
    const untilMs = nowMs + STRANDED_MS;
    return { ...flight, word: 'open', admittedUntilMs: nowMs + ADMISSION_MS, untilMs };
  }

  /** Of this one only what it may have cost is remembered. */
  #unname({ id, most, covered, word, untilMs }: LostRequest): void {
    const risk = least(most, covered + this.#beyondCovered());
    this.released(id);
    if (word === 'open') this.#strand(amount(risk), untilMs);
  }

  #unbilled(): bigint {
    return this.accounted - this.#state.confirmed - this.#flying.covered;
  }

  /** What was stranded before keeps its time. */
  #strand(risk: Amount, untilMs: number): void {
    const { stranded, strandedUntilMs } = this.#state;
    this.#state = {
      ...this.#state,
      stranded: amount(stranded + risk),
      strandedUntilMs: stranded === NOTHING ? untilMs : Math.max(strandedUntilMs, untilMs),
    };
  }

  /** Whether there is something that has no bill, and all of it is under way nowhere any more. */
  #isOver(): boolean {
    const { stranded, strandedUntilMs, lost } = this.#state;
    const ends = lost.map(({ untilMs }) => untilMs);
    if (stranded > NOTHING) ends.push(strandedUntilMs);
    return this.#flying.size === 0 && ends.length > 0 && this.#clock() >= Math.max(...ends);
  }

  /** After their time those that were charged are in the sums, and those that were released are over. */
  #forgetStranded(): void {
    if (!this.#isOver()) return;
    const { charged, confirmed, lastN, countedN } = this.#state;
    this.#state = {
      ...this.#state,
      stranded: NOTHING,
      lost: [],
      confirmed: charged > confirmed ? charged : confirmed,
      countedN: lastN > countedN ? lastN : countedN,
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
      countedN: n > known.countedN ? n : known.countedN,
      lastN: n > known.lastN ? n : known.lastN,
    };
    if (pending > known.stranded) {
      this.#strand(amount(pending - known.stranded), this.#clock() + STRANDED_MS);
    }
    // Our own signature over it was shown to us.
    if (ceiling > this.#written.ceiling) this.#written = { epoch: known.epoch, ceiling };
    // What came before this session is not spent by it.
    if (this.#sessionCeiling !== undefined) this.#sessionCeiling += this.accounted - before;
  }

  /** Nothing is signed any more until somebody decides otherwise. What is under way may still end well. */
  blame(faults: readonly string[]): Promise<void> {
    this.#state = { ...this.#state, faults: [...new Set([...this.#state.faults, ...faults])] };
    return this.#saves.save();
  }

  /** The same for a request that has ended and whose bill does not hold: no other bill of it is asked for. */
  halt(requestId: Bytes<16>, faults: readonly string[]): Promise<void> {
    this.stranded(requestId);
    const known = lostIn(this.#state.lost, requestId);
    if (known !== undefined) this.#unname({ ...known, word: 'open' });
    return this.blame(faults);
  }

  /** After what is being written. */
  close(): Promise<void> {
    return this.#saves.idle();
  }

  /** What is under way is lost for whoever reads this after a crash. */
  #afterCrash(): PayState {
    const all = [...this.#state.lost, ...this.#flying.all().map((flight) => this.#lostOf(flight))];
    const unnamed = all.slice(0, -LOST_KEPT);
    const ends = unnamed.map(({ untilMs }) => untilMs);
    return {
      ...this.#state,
      lost: all.slice(-LOST_KEPT),
      stranded: amount(this.#state.stranded + coveredIn(unnamed) + roomIn(unnamed)),
      strandedUntilMs: Math.max(this.#state.strandedUntilMs, ...ends),
    };
  }
}

function least(first: bigint, ...others: readonly (bigint | undefined)[]): bigint {
  let result = first;
  for (const other of others) if (other !== undefined && other < result) result = other;
  return result;
}
