/**
 * What a worker asks of whatever runs the model. An engine sees prompts in clear; it logs nothing and keeps nothing
 * between two generations. Registry: engines.ts. Spec: openai-gateway-and-engine §2.6, §5.3, §5.4.
 * @module
 */

import type { ChatCapability, ChatTurn } from '../protocol/openai/chat.ts';
import type { Usage } from '../protocol/receipt.ts';

export interface GenerateJob {
  readonly messages: readonly ChatTurn[];
  /** A longer prompt is refused with `engine.prompt_too_long`, before anything runs. */
  readonly maxPromptTokens: number;
  /** At most this many tokens; fewer when the context has less room left, which ends as `length`. */
  readonly maxOutputTokens: number;
  /** 0 is greedy. */
  readonly temperature: number;
  readonly topP: number;
  /** Absent: a fresh random seed. The same seed gives the same text only as best effort (batching). */
  readonly seed?: number;
  /** Generation ends before the first of these; none of them appears in the text. */
  readonly stop: readonly string[];
}

export type EngineEvent =
  /** The prompt fits and work has begun. Comes first. */
  | { readonly kind: 'started' }
  | { readonly kind: 'text'; readonly text: string }
  /** Comes last, unless the iteration throws. */
  | { readonly kind: 'end'; readonly reason: 'stop' | 'length' | 'aborted' };

export interface Generation {
  /** Iterate once. A slow reader slows the engine down. Throws `engine.*`. */
  readonly events: AsyncIterable<EngineEvent>;
  /** Counted so far; right at every moment and after every way to end, a crash included. */
  readonly usage: () => Usage;
}

export interface Engine {
  readonly name: string;
  readonly capabilities: readonly ChatCapability[];
  /** Prompt and answer together. */
  readonly contextTokens: number;
  /** Generations that can run at the same time. */
  readonly slots: number;
  /** Throws `engine.busy` or `engine.down` at once. Aborting ends `events` within a second. */
  generate(job: GenerateJob, signal: AbortSignal): Generation;
  readonly healthy: () => boolean;
  close(): Promise<void>;
}
