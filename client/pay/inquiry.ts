/**
 * Before more is signed, the gateway is asked what became of requests whose answer got lost: a bill is held against what was
 * asked and counted, what was let go is signed for no more. Spec: ton-settlement §4.3 "Client check", §4.5 "Endpoints".
 * @module
 */

import { toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { VeilError } from '../../core/errors.ts';
import { ASK_AT_ONCE, ASK_PAUSE_MS, ASK_TIMEOUT_MS } from '../limits.ts';
import type { ChannelAccount } from './account.ts';
import type { AskSettlement, SettlementWord } from './ask.ts';
import type { Books } from './books.ts';
import type { LostRequest } from './lost.ts';
import { recall } from './recall.ts';
import { stopPaying, type OnFault } from './stop-paying.ts';

export interface InquiryParts {
  readonly account: ChannelAccount;
  readonly clock: Clock;
  readonly onFault: OnFault | undefined;
}

export interface InquiryVia {
  readonly books: Books;
  readonly askSettlement: AskSettlement;
}

/** `due`: those that were not asked about just now. */
export type Urgency = 'due' | 'now';

/** One for all sessions of a channel. */
export class Inquiry {
  readonly #parts: InquiryParts;
  readonly #askedMs = new Map<string, number>();
  #running: Promise<void> | undefined;

  constructor(parts: InquiryParts) {
    this.#parts = parts;
  }

  /**
   * One round of questions; when `due`, the one that runs if there is one. What nobody answers stays as it is. Rejects with what is not
   * ours only, and with what the disk says about a halt.
   */
  async ask(via: InquiryVia, urgency: Urgency): Promise<void> {
    // A round under way may have left out what has to be known now.
    if (urgency === 'now') await this.#running;
    this.#running ??= this.#round(via, urgency).finally(() => (this.#running = undefined));
    await this.#running;
  }

  async #round(via: InquiryVia, urgency: Urgency): Promise<void> {
    const { account } = this.#parts;
    // What is found out then is nobody's to sign on.
    if (account.isHalted) return;
    const due = this.#due(urgency);
    if (due.length === 0) return;
    const shown = { voucher: account.standing, pass: account.pass };
    const limit = AbortSignal.timeout(ASK_TIMEOUT_MS);
    const words = await Promise.all(
      due.map(async (lost) => ({ lost, word: await via.askSettlement(lost.id, shown, limit) })),
    );
    for (const { lost, word } of words) await this.#take(lost, word, via.books, limit);
  }

  #due(urgency: Urgency): readonly LostRequest[] {
    const { account, clock } = this.#parts;
    const nowMs = clock();
    const all = account.lost.map((lost) => ({ lost, name: toHex(lost.id) }));
    const names = new Set(all.map(({ name }) => name));
    for (const name of this.#askedMs.keys()) if (!names.has(name)) this.#askedMs.delete(name);
    const askedMs = (name: string): number => this.#askedMs.get(name) ?? Number.NEGATIVE_INFINITY;
    const due = all
      .filter(({ name }) => urgency === 'now' || Math.abs(nowMs - askedMs(name)) >= ASK_PAUSE_MS)
      .toSorted(
        (one, other) =>
          order(one.lost) - order(other.lost) || askedMs(one.name) - askedMs(other.name),
      )
      .slice(0, ASK_AT_ONCE);
    for (const { name } of due) this.#askedMs.set(name, nowMs);
    return due.map(({ lost }) => lost);
  }

  async #take(
    lost: LostRequest,
    word: SettlementWord,
    books: Books,
    signal: AbortSignal,
  ): Promise<void> {
    const { account } = this.#parts;
    switch (word.state) {
      case 'silent':
        return;
      case 'reserved':
        return account.stillOpen(lost.id);
      case 'released':
        return account.released(lost.id);
      case 'unknown':
        return account.neverSeen(lost.id);
      case 'settled':
        // Nothing is signed while a bill is looked at.
        return account.during(this.#recall(lost, word, books, signal));
    }
  }

  async #recall(
    lost: LostRequest,
    word: Extract<SettlementWord, { state: 'settled' }>,
    books: Books,
    signal: AbortSignal,
  ): Promise<void> {
    const { account, clock, onFault } = this.#parts;
    try {
      const recalled = await recall(lost, word, { account, books, clock }, signal);
      if (recalled.outcome === 'holds') account.recalled(lost.id, recalled.line);
      if (recalled.outcome === 'fault') await stopPaying(lost.id, recalled, { account, onFault });
    } catch (error) {
      // A gateway that says nothing of itself now is asked again.
      if (!signal.aborted && !(error instanceof VeilError)) throw error;
    }
  }
}

/** Those that the limit is on come first. */
function order({ word }: LostRequest): number {
  return word === 'open' ? 0 : 1;
}
