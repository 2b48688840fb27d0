/**
 * What a worker asks of whatever runs the model. An engine sees prompts in clear; it logs nothing, and keeps nothing
 * between two jobs but what is evaluated of a prompt, in memory, for jobs of the same namespace. Registry: engines.ts. Spec: openai-gateway-and-engine §2.6, §5.3, §5.4.
 * @module
 */

import type { Capability } from '../protocol/openai/endpoints.ts';
import type { ChatMessage } from '../protocol/openai/chat.ts';
import type { CallPiece, FinishReason } from '../protocol/openai/answer-shape.ts';
import type { TokenLogprob } from '../protocol/openai/logprobs.ts';
import type { TemplateArguments } from '../protocol/openai/reasoning.ts';
import type { Sampling } from '../protocol/openai/sampling.ts';
import type { Tooling } from '../protocol/openai/tools.ts';
import type { Usage } from '../protocol/receipt.ts';
import type { EngineOffers } from './engine-members.ts';

export interface ChatTurn {
  readonly role: 'system' | 'user' | 'assistant';
  /** Always text, never markup: control tokens spelled out in it stay text. */
  readonly content: string;
}

export type Prompt =
  | { readonly kind: 'chat'; readonly messages: readonly ChatTurn[] }
  /** A chat as it was asked, tools and form of the answer with it: only for engines that take conversations. */
  | {
      readonly kind: 'conversation';
      readonly messages: readonly ChatMessage[];
      readonly tooling: Tooling;
    }
  /** Goes on where the text ends, without a template around it. */
  | { readonly kind: 'text'; readonly text: string };

export interface GenerateJob {
  /** At least one. */
  readonly prompts: readonly Prompt[];
  /** Of each prompt. Choice number: place of the prompt × this + place among its choices. */
  readonly choices: number;
  /** Of all prompts together. More are refused with `engine.prompt_too_long`, before anything runs. */
  readonly maxPromptTokens: number;
  /** At most this many tokens in each choice; fewer when the context has less room left, which ends as `length`. */
  readonly maxOutputTokens: number;
  /** A bias for a token that the model does not have is refused with `engine.logit_bias`, before anything runs. */
  readonly sampling: Sampling;
  /** A choice ends before the first of these; none of them appears in its text. */
  readonly stop: readonly string[];
  /** Present: text comes with its tokens, and each with so many of the likeliest. */
  readonly topLogprobs?: number | undefined;
  /** Whose earlier prompts this may go on with; other jobs never. Absent: nobody's, and nothing of it is kept. */
  readonly cacheNamespace?: string | undefined;
  /** GBNF with the start rule `root`: every choice is a text of it, as far as it comes. */
  readonly grammar?: string | undefined;
  /** The two below only where the engine offers them. */
  readonly reasoningEffort?: string | undefined;
  readonly templateArguments?: TemplateArguments | undefined;
}

export type EngineEvent =
  /** The prompts fit and work has begun. Comes first. */
  | { readonly kind: 'started' }
  | {
      readonly kind: 'text';
      /** Absent: the first. */
      readonly choice?: number;
      /** Empty only when there are tokens that add nothing to it. */
      readonly text: string;
      readonly tokens?: readonly TokenLogprob[];
    }
  /** What the model thinks, where the engine tells it apart. Never empty. */
  | { readonly kind: 'reasoning'; readonly choice?: number; readonly text: string }
  /** Of a call of a tool, where the engine itself knows what one is. */
  | (CallPiece & { readonly choice?: number })
  /** One choice of several is complete; the generation goes on. */
  | {
      readonly kind: 'choice-end';
      readonly choice: number;
      readonly reason: FinishReason;
      /** Of its calls, so many are whole. Absent: all. */
      readonly wholeCalls?: number;
    }
  /** Ends every choice that has not ended. Comes last, unless the iteration throws. */
  | { readonly kind: 'end'; readonly reason: FinishReason | 'aborted' };

export interface Generation {
  /** Iterate once. A slow reader slows the engine down. Throws `engine.*`. */
  readonly events: AsyncIterable<EngineEvent>;
  /** Counted so far, a prompt once for all its choices; right at every moment and after every way to end, a crash included. */
  readonly usage: () => Usage;
}

export interface EmbedJob {
  readonly inputs: readonly string[];
  /** Of all inputs together. More are refused with `engine.prompt_too_long`, before anything runs. */
  readonly maxPromptTokens: number;
}

export interface Embedding {
  /** One for each input, in order, of length one. Throws `engine.*`; `engine.aborted` after an abort. */
  readonly vectors: Promise<readonly Float32Array[]>;
  readonly usage: () => Usage;
}

export interface Engine {
  readonly name: string;
  readonly capabilities: readonly Capability[];
  /** What of a request it can be asked. Absent: `PLAIN_OFFERS`. */
  readonly offers?: EngineOffers;
  /** Prompt and answer together. */
  readonly contextTokens: number;
  /** Jobs that can run at the same time. */
  readonly slots: number;
  /** Throws `engine.busy` or `engine.down` at once. Aborting ends `events` within a second. */
  generate(job: GenerateJob, signal: AbortSignal): Generation;
  /** Throws as `generate`. Only where `embeddings` is among the capabilities. */
  embed(job: EmbedJob, signal: AbortSignal): Embedding;
  readonly healthy: () => boolean;
  close(): Promise<void>;
}
