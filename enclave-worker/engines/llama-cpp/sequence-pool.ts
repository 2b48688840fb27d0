/**
 * The fixed pool of sequences, and what some of them still hold of an earlier request. A sequence is gone on with only by a request
 * of the same namespace: the time that it saves would tell anybody else what was asked before. What is held is bounded by the pool,
 * goes when another request needs the place, and is forgotten after a while. Spec: P§7.2; openai-gateway-and-engine §5.3 "prefix
 * reuse", §5.4.
 * @module
 */

import type { LlamaContextSequence, Token } from 'node-llama-cpp';
import { deferred } from '../../../core/deferred.ts';
import { PREFIX_KEEP_MS, PREFIX_TOKENS_MIN } from '../../limits.ts';

interface Place {
  readonly sequence: LlamaContextSequence;
  /** Whose tokens it holds; nobody's when it is empty. */
  readonly namespace: string | undefined;
  readonly keptAtMs: number;
  /** When what it held for nobody is gone. Rejects as the library does. */
  readonly emptied: Promise<void>;
}

export interface TakenSequence {
  readonly sequence: LlamaContextSequence;
  /** So many of the prompt's first tokens are in it, and nothing else; at least one token of the prompt is left. */
  readonly reused: number;
}

const EMPTY: Promise<void> = Promise.resolve();

export class SequencePool {
  /** Oldest first. */
  #free: Place[];
  readonly #broken = deferred<void>();

  constructor(sequences: readonly LlamaContextSequence[]) {
    this.#free = sequences.map((sequence) => ({
      sequence,
      namespace: undefined,
      keptAtMs: 0,
      emptied: EMPTY,
    }));
  }

  /** Resolves when a sequence cannot be emptied: whatever runs on it from then on fails, and only a new process helps. */
  get broken(): Promise<void> {
    return this.#broken.promise;
  }

  /** Undefined: none is free. */
  async take(
    namespace: string | undefined,
    prompt: readonly Token[],
  ): Promise<TakenSequence | undefined> {
    const place = this.#choose(namespace, prompt);
    if (place === undefined) return undefined;
    this.#free = this.#free.filter((other) => other !== place);
    try {
      await place.emptied;
      const reused = await this.#adapt(place, namespace, prompt);
      return { sequence: place.sequence, reused };
    } catch (error) {
      this.empty(place.sequence);
      throw error;
    }
  }

  /** What it holds stays for the next request of this namespace. */
  keep(sequence: LlamaContextSequence, namespace: string, nowMs: number): void {
    this.#free.push({ sequence, namespace, keptAtMs: nowMs, emptied: EMPTY });
  }

  /** Back at once; whoever takes it waits until nothing is left in it. */
  empty(sequence: LlamaContextSequence): void {
    const emptied = cleared(sequence);
    // Told to whoever takes it, too.
    emptied.catch(() => this.#broken.resolve());
    this.#free.push({ sequence, namespace: undefined, keptAtMs: 0, emptied });
  }

  /** Empties what nobody has come back for. */
  forgetIdle(nowMs: number): void {
    const idle = this.#free.filter(
      ({ namespace, keptAtMs }) => namespace !== undefined && nowMs - keptAtMs >= PREFIX_KEEP_MS,
    );
    this.#free = this.#free.filter((place) => !idle.includes(place));
    for (const { sequence } of idle) this.empty(sequence);
  }

  /** The longest of its own, else an empty one, else what was kept the longest ago. */
  #choose(namespace: string | undefined, prompt: readonly Token[]): Place | undefined {
    let best: Place | undefined;
    let longest = 0;
    for (const place of this.#free) {
      const length = reusable(place, namespace, prompt);
      if (length <= longest) continue;
      best = place;
      longest = length;
    }
    return best ?? this.#free.find((place) => place.namespace === undefined) ?? this.#free[0];
  }

  async #adapt(
    place: Place,
    namespace: string | undefined,
    prompt: readonly Token[],
  ): Promise<number> {
    const { sequence } = place;
    const length = reusable(place, namespace, prompt);
    if (length > 0) {
      const { usedInputTokens: before } = sequence.tokenMeter;
      await sequence.eraseContextTokenRanges([{ start: length, end: sequence.nextTokenIndex }]);
      // Where the library could not cut, it has evaluated all of it again: then nothing was saved.
      const isCut = sequence.nextTokenIndex === length;
      if (isCut && sequence.tokenMeter.usedInputTokens === before) return length;
    }
    await sequence.clearHistory();
    return 0;
  }
}

/**
 * The library takes nothing out of a sequence that it believes to be empty. A decode that failed half-way has left cells there, and
 * llama.cpp refuses every other one on top of them; so one token shows that there are none.
 */
async function cleared(sequence: LlamaContextSequence): Promise<void> {
  if (sequence.nextTokenIndex === 0) {
    const [token] = sequence.model.tokenize('a');
    if (token !== undefined) await sequence.evaluateWithoutGeneratingNewTokens([token]);
  }
  await sequence.clearHistory();
}

/** Of the prompt, without its last token, which has to be evaluated for what comes after it. */
function reusable(
  { sequence, namespace: owner }: Place,
  namespace: string | undefined,
  prompt: readonly Token[],
): number {
  if (namespace === undefined || owner !== namespace) return 0;
  // Its state is not cells that could be cut.
  if (sequence.needsCheckpoints) return 0;
  const held = sequence.contextTokens;
  const most = Math.min(held.length, prompt.length - 1);
  let length = 0;
  while (length < most && held[length] === prompt[length]) length++;
  return length >= PREFIX_TOKENS_MIN ? length : 0;
}
