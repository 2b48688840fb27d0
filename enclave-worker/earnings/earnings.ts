/**
 * How much this worker is owed, and whether it goes on working on credit. It counts its own receipts: a gateway that
 * acknowledges nothing owes all the same, and loses no more for the worker than the credit that its owner gave.
 * Spec: P§15.2, P§15.3; ton-settlement §4.7, §4.12.
 * @module
 */

import { equalPublic, toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { VeilError } from '../../core/errors.ts';
import { codeOf } from '../../core/node/log.ts';
import type { SignedReceipt } from '../../protocol/receipt.ts';
import { parseSettled, type Settled } from '../../protocol/settled.ts';
import { splitAmount } from '../../settlement/price.ts';
import { workerError } from '../errors.ts';
import type { WorkerLog } from '../events.ts';
import type { ReceiptStore } from '../receipts.ts';
import { judgeChannel, type ChannelDemands, type JudgedChannel } from './channel-soundness.ts';
import type { Holdings } from './holdings.ts';
import { judgeNotice } from './notice.ts';
import type { Acknowledged, BookName, EarningsStore, KeptVoucher } from './store.ts';

export interface CreditTerms extends ChannelDemands {
  /** The most that may be earned, being earned included, and neither paid nor vouchered. 0: free work only. */
  readonly creditMax: bigint;
  /** `on-word`: what the gateway says it has transferred counts as paid. `never`: vouchers alone count. */
  readonly paidCounts: 'on-word' | 'never';
}

export interface EarningsInput {
  readonly book: BookName;
  readonly model: string;
  readonly terms: CreditTerms;
  readonly store: EarningsStore;
  readonly receipts: ReceiptStore;
  readonly holdings: Holdings;
  /** Whether an open statement has this hash, also before it has signed anything. */
  readonly hasStatement: (statementHash: Uint8Array) => boolean;
  readonly clock: Clock;
  readonly log: WorkerLog;
}

const NEWS_STATUS = 204;
const UNSOUND_STATUS = 400;
const ROLLED_BACK_STATUS = 409;
const FAILED_STATUS = 503;

export class Earnings {
  readonly #input: EarningsInput;
  /** Parts of all receipts in the book. */
  #issued: bigint;
  #before: bigint | undefined;
  #last: Acknowledged | undefined;
  #vouchers: readonly KeptVoucher[];
  /** Parts that running exchanges may still earn at most. */
  #reserved = 0n;
  #feeBps = 0;
  #isTrusted = true;

  /** Throws `earnings.store`. */
  constructor(input: EarningsInput) {
    this.#input = input;
    const { issued, before, acknowledged } = input.store.sums(input.book);
    this.#issued = issued;
    this.#before = before;
    this.#last = acknowledged;
    this.#vouchers = input.store.vouchers(input.book);
    for (const { channel, terms } of this.#vouchers) input.holdings.watch(channel, terms);
  }

  /** False once the gateway was found to have forgotten what it acknowledged. */
  get isTrusted(): boolean {
    return this.#isTrusted;
  }

  /** Of the gateway's document; whether the owner agrees to it was decided before. */
  feeIs(feeBps: number): void {
    this.#feeBps = feeBps;
  }

  /** In all, what the gateway had counted before this book included. */
  earned(): bigint {
    return (this.#before ?? 0n) + this.#issued;
  }

  /** Earned, and neither paid nor vouchered. */
  exposure(): bigint {
    const open = this.earned() - this.#paid() - this.#vouchered();
    return open > 0n ? open : 0n;
  }

  /** `ceiling`: what the exchange costs at most. Throws `worker.credit`, `worker.gateway_rolled_back`. */
  admit(ceiling: bigint): void {
    if (!this.#isTrusted) throw workerError('worker.gateway_rolled_back');
    const part = this.#partOf(ceiling);
    if (part === 0n) return;
    this.#bookAdvance();
    if (this.exposure() + this.#reserved + part > this.#input.terms.creditMax) {
      throw workerError('worker.credit', 'window');
    }
    if (!this.#fitsChannel(part)) throw workerError('worker.credit', 'channel');
  }

  /** From `admit` on, until the receipt is counted. */
  enter(ceiling: bigint): { readonly leave: () => void } {
    const part = this.#partOf(ceiling);
    this.#reserved += part;
    return {
      leave: () => {
        this.#reserved -= part;
      },
    };
  }

  /** Never throws: an exchange does not fail because its worth cannot be written down. */
  issued({ receipt }: SignedReceipt): void {
    const { book, model, store, clock, log } = this.#input;
    const { usage, amount, statementHash, workerSeq } = receipt;
    const part = this.#partOf(amount);
    this.#issued += part;
    try {
      store.addReceipt(book, {
        atMs: clock(),
        model,
        statementHash,
        workerSeq,
        inputTokens: usage.prompt + usage.cached,
        outputTokens: usage.completion + usage.reasoning,
        amount,
        part,
      });
    } catch (error) {
      log.event('worker.earnings_failed', { code: codeOf(error) });
    }
  }

  /** A notice of settlement, from the pinned gateway. Returns the status to answer with. */
  settled(bytes: Uint8Array): number {
    const { asset } = this.#input.book;
    const { clock, receipts, hasStatement } = this.#input;
    if (!this.#isTrusted) return ROLLED_BACK_STATUS;
    let notice: Settled;
    let channel: JudgedChannel;
    try {
      notice = parseSettled(bytes);
      channel = this.#judgeChannel(notice);
    } catch (error) {
      if (!(error instanceof VeilError)) throw error;
      return this.#refuse('format');
    }
    const name = toHex(notice.statementHash);
    const fresh = hasStatement(notice.statementHash) ? NOTHING_SIGNED : undefined;
    const standing = receipts.standing(name) ?? fresh;
    const judged = judgeNotice(notice, { asset, nowMs: clock(), standing, last: this.#last });
    switch (judged.outcome) {
      case 'unsound':
        return this.#refuse(judged.fault);
      case 'rolled_back':
        return this.#distrust(notice, judged);
      case 'late':
        return NEWS_STATUS;
      case 'news':
        if (channel.outcome === 'unsound') return this.#refuse(channel.fault);
        return this.#take(notice, channel.voucher);
      default:
        return judged satisfies never;
    }
  }

  #judgeChannel({ channel }: Settled): JudgedChannel {
    if (channel === null) return { outcome: 'sound', voucher: undefined };
    return judgeChannel(channel, this.#input.terms, this.#vouchers);
  }

  #take(notice: Settled, voucher: KeptVoucher | undefined): number {
    const { book, store, receipts, holdings, log } = this.#input;
    const { statementHash, workerSeq, earned, paid, atMs, channel } = notice;
    const acknowledged = { statementHash, workerSeq, earned, paid, atMs };
    receipts.acknowledge(toHex(statementHash), workerSeq);
    const before = this.#before ?? this.#countedBefore(earned);
    try {
      store.addNotice(book, { acknowledged, before, voucher });
      this.#vouchers = store.vouchers(book);
    } catch (error) {
      log.event('worker.earnings_failed', { code: codeOf(error) });
      return FAILED_STATUS;
    }
    this.#before = before;
    this.#last = acknowledged;
    if (channel !== null) holdings.watch(channel.channel, channel.terms);
    log.event('worker.settled', { statement: statementHash, earned, paid, open: this.exposure() });
    return NEWS_STATUS;
  }

  /** A worker whose book is younger than its work takes the gateway's word once for what was before: it is owed for that. */
  #countedBefore(said: bigint): bigint {
    let open = 0n;
    for (const { receipt } of this.#input.receipts.unacknowledged()) {
      open += this.#partOf(receipt.amount);
    }
    const counted = said - (this.#issued - open);
    return counted > 0n ? counted : 0n;
  }

  #refuse(check: string): number {
    this.#input.log.event('worker.notice_refused', { check });
    return UNSOUND_STATUS;
  }

  #distrust(
    { statementHash }: Settled,
    { known, said }: { readonly known: bigint; readonly said: bigint },
  ): number {
    this.#isTrusted = false;
    const fields = { statement: statementHash, known, said };
    this.#input.log.event('worker.gateway_rolled_back', fields);
    return ROLLED_BACK_STATUS;
  }

  /**
   * What is vouchered beyond all that is in the book was earned before it, or by others who share the channel: counted as
   * work to come, it would be credit that the owner did not give.
   */
  #bookAdvance(): void {
    if (this.#before === undefined) return;
    const advance = this.#vouchered() - this.earned();
    if (advance > 0n) this.#before += advance;
  }

  #partOf(amount: bigint): bigint {
    return splitAmount(amount, this.#feeBps).worker;
  }

  #paid(): bigint {
    return this.#input.terms.paidCounts === 'on-word' ? (this.#last?.paid ?? 0n) : 0n;
  }

  #vouchered(): bigint {
    let sum = 0n;
    for (const channel of this.#channels()) sum += this.#coveredBy(channel);
    return sum;
  }

  /** The newest voucher of each channel, the newest channel last. */
  #channels(): readonly KeptVoucher[] {
    const newest = new Map<string, KeptVoucher>();
    for (const voucher of this.#vouchers) {
      const name = toHex(voucher.channel);
      const known = newest.get(name);
      if (known !== undefined && known.epoch > voucher.epoch) continue;
      newest.delete(name);
      newest.set(name, voucher);
    }
    return [...newest.values()];
  }

  /** What was claimed is paid; what a voucher of the present epoch promises counts as far as the channel holds it. */
  #coveredBy({ channel, ceiling }: KeptVoucher): bigint {
    const { holdings } = this.#input;
    if (holdings.by === 'word') return ceiling;
    const seen = holdings.of(channel);
    if (seen === undefined) return 0n;
    const present = this.#vouchers.find(
      (kept) => kept.epoch === seen.epoch && equalPublic(kept.channel, channel),
    );
    const promised = present?.ceiling ?? 0n;
    const good = promised < seen.holds ? promised : seen.holds;
    return good > seen.claimed ? good : seen.claimed;
  }

  /** A worker that is paid by a channel does not earn more than it holds: no voucher could pay that. */
  #fitsChannel(part: bigint): boolean {
    const { holdings } = this.#input;
    const channels = this.#channels();
    const current = channels.at(-1);
    if (current === undefined || holdings.by === 'word') return true;
    let elsewhere = this.#paid();
    for (const channel of channels.slice(0, -1)) elsewhere += this.#coveredBy(channel);
    const holds = holdings.of(current.channel)?.holds ?? 0n;
    return this.earned() - elsewhere + this.#reserved + part <= holds;
  }
}

const NOTHING_SIGNED = { issued: 0n, acknowledged: 0n };
