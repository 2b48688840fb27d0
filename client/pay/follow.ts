/**
 * Pay as you go, the payer's half: while an answer is read, the ceiling is raised step by step with what the worker meters
 * and this client has read, three steps ahead of it. Whoever meters more than has arrived is followed no further.
 * Spec: ton-settlement §4.4; P§10.7.
 * @module
 */

import { VeilError } from '../../core/errors.ts';
import type { AttestedKey } from '../../attestation/verdict.ts';
import { verifyMeter, type Meter } from '../../protocol/meter.ts';
import { ceilingOf } from '../../protocol/price.ts';
import type { ClientExchange } from '../../protocol/sx/seal.ts';
import { costOfMore, STEPS_AHEAD, stepTokens, tokensAtFirst } from '../../settlement/steps.ts';
import type { ReadMeter } from '../answer-opener.ts';
import { clientError } from '../errors.ts';
import { RAISE_ATTEMPTS, RAISE_PAUSE_MS } from '../limits.ts';
import type { ChannelAccount } from './account.ts';
import type { Raised, RaiseVoucher } from './raise.ts';
import { meterExceeds, METERED, type Recount, type TokenBounds } from './recount.ts';

/** A METER that counts more than this client had read: what its worker signed, and what was read. */
export interface ExcessMeter {
  /** signature ‖ VGM1. */
  readonly payload: Uint8Array;
  readonly key: AttestedKey;
  readonly recount: TokenBounds;
}

/** What a gateway reserves before an answer begins: the dearest recipient, at the bound on the prompt and three steps. */
export function coveredAtFirst(
  { prelude, keys }: Pick<ClientExchange, 'prelude' | 'keys'>,
  chunkTokens: number,
): bigint {
  const maxOutput = Math.min(prelude.maxOutput, tokensAtFirst(chunkTokens));
  const costs = keys.map(({ prices }) => ceilingOf(prices, prelude.maxPrompt, maxOutput));
  return leastOf(prelude.maxAmount, costs.reduce(greaterOf, 0n));
}

export interface FollowInput {
  readonly account: ChannelAccount;
  readonly exchange: Pick<ClientExchange, 'prelude' | 'keys'>;
  readonly chunkTokens: number;
  /** Of what is read; fed before the METER that counts it. */
  readonly recount: Recount;
  readonly raise: RaiseVoucher;
  /** Once, when no more is signed for this answer although it goes on. */
  readonly onHeldBack: (reason: VeilError) => void;
}

export class Following {
  readonly #input: FollowInput;
  readonly #step: number;
  readonly #end = new AbortController();
  #last: Meter | undefined;
  #bounds: TokenBounds | undefined;
  #excess: ExcessMeter | undefined;
  /** To be covered, and covered by a voucher that the gateway has. */
  #wanted: bigint;
  #given: bigint;
  #isRunning = false;
  #isHeldBack = false;
  /** Not one of ours: it has to surface. */
  #bug: { readonly error: unknown } | undefined;

  constructor(input: FollowInput) {
    this.#input = input;
    this.#step = stepTokens(input.chunkTokens);
    this.#given = coveredAtFirst(input.exchange, input.chunkTokens);
    this.#wanted = this.#given;
  }

  /** Undefined: nothing was metered that had not arrived. */
  get excess(): ExcessMeter | undefined {
    return this.#excess;
  }

  /** Never throws: a METER decides nothing about the answer. */
  take(read: ReadMeter, key: AttestedKey): void {
    if (this.#isHeldBack || this.#end.signal.aborted) return;
    try {
      this.#want(read, key);
      void this.#follow();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The answer has ended, one way or another: no voucher leaves any more. */
  end(): void {
    this.#end.abort();
  }

  /** Throws what was thrown meanwhile and is not ours: by the app's memory, its tokenizer or its callback. */
  assertSound(): void {
    if (this.#bug !== undefined) throw this.#bug.error;
  }

  #want({ bytes: payload, frames }: ReadMeter, key: AttestedKey): void {
    const { account, exchange, recount } = this.#input;
    const { prelude } = exchange;
    const meter = verifyMeter(payload, { key, prelude, previous: this.#last, frames });
    this.#last = meter;
    // They only grow: what an earlier look has room for needs no new one.
    if (this.#bounds === undefined || meterExceeds(meter, this.#bounds, key.prices)) {
      this.#bounds = recount.soFar();
    }
    if (meterExceeds(meter, this.#bounds, key.prices)) {
      this.#excess = { payload, key, recount: this.#bounds };
      // Nothing is signed from here on whatever the disk says; it is written again when the answer has ended.
      account.blame([METERED]).catch(() => undefined);
      throw clientError('client.pay_halted', METERED);
    }
    const ahead = meter.amount + costOfMore(key.prices, this.#step * STEPS_AHEAD);
    this.#wanted = greaterOf(this.#wanted, leastOf(prelude.maxAmount, ahead));
  }

  /** One voucher at a time, each for what is wanted by then. Never rejects. */
  async #follow(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      for (let lost = 0; this.#wanted > this.#given && !this.#isOver;) {
        const error = await this.#raise();
        lost = error === undefined ? 0 : lost + 1;
        if (lost === RAISE_ATTEMPTS) throw error;
        if (error !== undefined) await pause(RAISE_PAUSE_MS, this.#end.signal);
      }
    } catch (error) {
      if (!this.#end.signal.aborted) this.#fail(error);
    } finally {
      this.#isRunning = false;
    }
  }

  get #isOver(): boolean {
    return this.#isHeldBack || this.#end.signal.aborted;
  }

  /** Why it is worth another try; undefined when it was taken. Throws why it is not. */
  async #raise(): Promise<VeilError | undefined> {
    const { account, exchange, raise } = this.#input;
    const wanted = this.#wanted;
    const voucher = await account.raise(exchange.prelude.msgId, wanted);
    // What was signed stays here where the answer ended, or was found out, while it was written.
    const raised: Raised =
      voucher === undefined || this.#isOver
        ? { outcome: 'taken' }
        : await raise({ voucher, pass: account.pass }, this.#end.signal);
    if (raised.outcome === 'refused') throw raised.error;
    if (raised.outcome === 'lost') return raised.error;
    this.#given = wanted;
    return undefined;
  }

  #fail(error: unknown): void {
    try {
      if (!(error instanceof VeilError)) throw error;
      if (this.#isHeldBack) return;
      this.#isHeldBack = true;
      this.#input.onHeldBack(error);
    } catch (bug) {
      this.#isHeldBack = true;
      this.#bug ??= { error: bug };
    }
  }
}

function leastOf(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}

function greaterOf(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const over = AbortSignal.any([signal, AbortSignal.timeout(ms)]);
  if (over.aborted) return;
  await new Promise<void>((resolve) => {
    over.addEventListener('abort', () => resolve(), { once: true });
  });
}
