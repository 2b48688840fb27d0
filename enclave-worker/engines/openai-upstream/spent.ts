/**
 * How many tokens an answer has cost, by what the upstream says and never by more than can be: of what was delivered every
 * token is at least one byte, a prompt is no longer than its text and its template, and what was counted once stays. An
 * upstream that counts wrongly so costs its owner, and never an app. Spec: openai-gateway-and-engine §2.6; docs/engines.md
 * "What is billed".
 * @module
 */

import type { Usage } from '../../../protocol/receipt.ts';
import type { UpstreamUsage } from './chunk.ts';
import type { UsageProblem } from './errors.ts';
import { SPECIAL_TOKENS_PER_CALL, SPECIAL_TOKENS_PER_CHOICE } from './limits.ts';

export interface SpentBounds {
  /** Of all prompts: what the client signed for, and what their text can be. */
  readonly promptMax: number;
  /** As the upstream's own tokenizer counted before it ran. */
  readonly promptCounted: number | undefined;
  /** Of all choices together. */
  readonly outputMax: number;
  readonly usageOf: 'answer' | 'choice';
  /** Whether what is told of prefixes that were reused is this tenant's own. */
  readonly cache: 'own' | 'none';
  readonly onProblem: (problem: UsageProblem) => void;
}

export type PieceKind = 'text' | 'reasoning' | 'call';

interface Delivered {
  bytes: number;
  pieces: number;
}

export class Spent {
  readonly #bounds: SpentBounds;
  readonly #said = new Set<UsageProblem>();
  readonly #text: Delivered = { bytes: 0, pieces: 0 };
  readonly #reasoning: Delivered = { bytes: 0, pieces: 0 };
  readonly #choices = new Set<number>();
  /** Of choices that are counted each for itself: the newest count of each. */
  readonly #byChoice = new Map<number, number>();
  #calls = 0;
  #prompt: number;
  #cached = 0;
  #completion: number | undefined;
  #thought: number | undefined;
  /** Counts have come with pieces of the answer, so pieces themselves need not be counted. */
  #isContinuous = false;

  constructor(bounds: SpentBounds) {
    this.#bounds = bounds;
    this.#prompt = Math.min(bounds.promptCounted ?? 0, bounds.promptMax);
  }

  get hasReport(): boolean {
    return this.#completion !== undefined;
  }

  get cachedSaid(): number {
    return this.#cached;
  }

  /** No more pieces than tokens were asked for; an upstream that goes on is cut. */
  get pieces(): number {
    return this.#text.pieces + this.#reasoning.pieces;
  }

  delivered(choice: number, kind: PieceKind, bytes: number): void {
    this.#choices.add(choice);
    const to = kind === 'reasoning' ? this.#reasoning : this.#text;
    to.bytes += bytes;
    to.pieces++;
  }

  called(): void {
    this.#calls++;
  }

  /** `choice`: whose count it is, where each has its own; undefined at the end of the answer. */
  report(usage: UpstreamUsage, at: 'piece' | 'end', choice?: number): void {
    const prompt = this.#number(usage.prompt_tokens);
    const completion = this.#number(usage.completion_tokens);
    if (prompt !== undefined) this.#countPrompt(prompt, usage);
    if (completion === undefined) return;
    this.#isContinuous ||= at === 'piece';
    if (this.#bounds.usageOf === 'answer') this.#count(completion, usage);
    else this.#countChoice(completion, choice);
  }

  /** Once, when the answer is over. */
  end(): void {
    if (!this.hasReport) this.#odd('usage-missing');
    const { completion, reasoning } = this.#split();
    const isMore = this.#total() > completion + reasoning;
    if (isMore) this.#odd('usage-absurd');
  }

  usage(): Usage {
    const { completion, reasoning } = this.#split();
    const cached = this.#bounds.cache === 'own' ? Math.min(this.#cached, this.#prompt) : 0;
    return { prompt: this.#prompt - cached, cached, completion, reasoning };
  }

  /** The two kinds apart, each bounded by its own bytes: an app that sees no reasoning judges the rest by itself. */
  #split(): { readonly completion: number; readonly reasoning: number } {
    const total = Math.min(this.#total(), this.#bounds.outputMax);
    const share = this.pieces === 0 ? 0 : this.#reasoning.pieces / this.pieces;
    const thought = Math.min(this.#thought ?? Math.round(total * share), total);
    const special =
      this.#choices.size * SPECIAL_TOKENS_PER_CHOICE + this.#calls * SPECIAL_TOKENS_PER_CALL;
    const isThinking = this.#reasoning.pieces > 0 ? SPECIAL_TOKENS_PER_CHOICE : 0;
    return {
      completion: Math.min(total - thought, this.#text.bytes + special),
      reasoning: Math.min(thought, this.#reasoning.bytes + isThinking),
    };
  }

  #total(): number {
    const counted = this.#completion ?? 0;
    return this.#isContinuous ? counted : Math.max(counted, this.pieces);
  }

  #countPrompt(said: number, usage: UpstreamUsage): void {
    const { promptMax } = this.#bounds;
    if (said > promptMax) this.#odd('usage-absurd');
    const prompt = Math.min(said, promptMax);
    if (prompt < this.#prompt && this.hasReport) this.#odd('usage-decreasing');
    // A count before the answer is a forecast: what ran is what counts.
    this.#prompt = this.hasReport ? Math.max(this.#prompt, prompt) : prompt;
    const cached = this.#number(usage.prompt_tokens_details?.cached_tokens ?? 0);
    if (cached !== undefined) this.#cached = Math.max(this.#cached, cached);
  }

  #count(said: number, usage: UpstreamUsage): void {
    this.#rise(said);
    const thought = this.#number(usage.completion_tokens_details?.reasoning_tokens ?? undefined);
    if (thought !== undefined && (thought > 0 || this.#thought !== undefined)) {
      this.#thought = Math.max(this.#thought ?? 0, thought);
    }
  }

  /** At the end of a choice its count comes once more, and does not say whose it is. */
  #countChoice(said: number, choice: number | undefined): void {
    if (choice === undefined) {
      if (this.#byChoice.size === 0) this.#rise((this.#completion ?? 0) + said);
      return;
    }
    const before = this.#byChoice.get(choice) ?? 0;
    if (said < before) this.#odd('usage-decreasing');
    this.#byChoice.set(choice, Math.max(before, said));
    this.#rise([...this.#byChoice.values()].reduce((sum, count) => sum + count, 0));
  }

  #rise(said: number): void {
    const before = this.#completion ?? 0;
    if (said < before) this.#odd('usage-decreasing');
    if (said > this.#bounds.outputMax) this.#odd('usage-absurd');
    this.#completion = Math.max(before, Math.min(said, this.#bounds.outputMax));
  }

  #number(said: unknown): number | undefined {
    if (said === undefined || said === null) return undefined;
    if (typeof said === 'number' && Number.isSafeInteger(said) && said >= 0) return said;
    this.#odd('usage-absurd');
    return undefined;
  }

  #odd(problem: UsageProblem): void {
    if (this.#said.has(problem)) return;
    this.#said.add(problem);
    this.#bounds.onProblem(problem);
  }
}
