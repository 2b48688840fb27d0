/**
 * One streamed answer of an upstream, chunk by chunk, as events of an engine. Strict about what an app would act on: choices
 * that were asked for, calls that keep their name, an end for every choice. Everything else is brought into one form. Spec:
 * openai-gateway-and-engine §2.4, §6 rules 3 and 4.
 * @module
 */

import { utf8 } from '../../../core/bytes.ts';
import type { FinishReason } from '../../../protocol/openai/answer-shape.ts';
import type { TokenChance, TokenLogprob } from '../../../protocol/openai/logprobs.ts';
import type { EngineEvent } from '../../engine.ts';
import { CallReader } from './call-reader.ts';
import {
  decodeChunk,
  type UpstreamChance,
  type UpstreamChoice,
  type UpstreamChunk,
  type UpstreamToken,
} from './chunk.ts';
import { upstreamError } from './errors.ts';
import { PIECES_SLACK } from './limits.ts';
import type { PieceKind, Spent } from './spent.ts';
import type { SseEvent } from './sse-reader.ts';

export interface AnswerRules {
  /** Of all prompts. */
  readonly choices: number;
  /** Of all choices together. */
  readonly outputMax: number;
  /** How the upstream names the model in its answers; undefined: it has not been heard yet. */
  readonly echo: string | undefined;
  readonly logprobs: boolean;
  readonly spent: Spent;
}

const DONE = '[DONE]';

/** What each server calls the ways in which an answer ends. Any other word says nothing that an app could rely on. */
const REASONS: ReadonlyMap<string, FinishReason> = new Map([
  ['stop', 'stop'],
  ['eos', 'stop'],
  ['eos_token', 'stop'],
  ['end_turn', 'stop'],
  ['stop_sequence', 'stop'],
  ['length', 'length'],
  ['max_tokens', 'length'],
  ['model_length', 'length'],
  ['tool_calls', 'tool_calls'],
  ['tool_use', 'tool_calls'],
  ['function_call', 'tool_calls'],
  ['content_filter', 'content_filter'],
]);

interface Choice {
  readonly calls: CallReader;
  reason: FinishReason | undefined;
}

export class AnswerReader {
  readonly #rules: AnswerRules;
  readonly #choices: readonly Choice[];
  #echo: string | undefined;
  #isDone = false;

  constructor(rules: AnswerRules) {
    this.#rules = rules;
    this.#echo = rules.echo;
    this.#choices = Array.from({ length: rules.choices }, () => ({
      calls: new CallReader(),
      reason: undefined,
    }));
  }

  /** The name of the model as it was heard. */
  get echo(): string | undefined {
    return this.#echo;
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  /** Throws `engine.upstream`. */
  push({ name, data }: SseEvent): readonly EngineEvent[] {
    if (this.#isDone) return [];
    if (data === DONE) {
      this.#isDone = true;
      return [];
    }
    if (name === 'error') throw upstreamError('in-band');
    const chunk = decodeChunk(data);
    this.#hear(chunk);
    const events = (chunk.choices ?? []).flatMap((choice) => this.#choice(choice));
    this.#report(chunk);
    const { spent, outputMax, choices } = this.#rules;
    if (spent.pieces > outputMax + PIECES_SLACK * choices) throw upstreamError('runaway');
    return events;
  }

  /** After the last byte. Throws `engine.upstream` for an answer that has not ended. */
  end(): readonly EngineEvent[] {
    const { reason } = this.#choices[0] ?? {};
    if (reason === undefined || this.#choices.some((choice) => choice.reason === undefined)) {
      throw upstreamError('unfinished');
    }
    this.#rules.spent.end();
    return [{ kind: 'end', reason }];
  }

  #hear({ model }: UpstreamChunk): void {
    if (model === null || model === undefined || model === '') return;
    this.#echo ??= model;
    // Another model than the one that was probed and measured.
    if (this.#echo !== model) throw upstreamError('model');
  }

  #report({ choices, usage, timings }: UpstreamChunk): void {
    const { spent } = this.#rules;
    const [first] = choices ?? [];
    const at = first === undefined ? 'end' : 'piece';
    if (usage !== null && usage !== undefined) spent.report(usage, at);
    if (timings === null || timings === undefined || first === undefined) return;
    const said = { completion_tokens: timings.predicted_n };
    spent.report(said, at, first.index ?? 0);
  }

  #choice(said: UpstreamChoice): readonly EngineEvent[] {
    const index = said.index ?? 0;
    const choice = this.#choices[index];
    if (choice === undefined) throw upstreamError('choice');
    const events = [...this.#pieces(index, said), ...this.#callPieces(index, choice, said)];
    if (choice.reason !== undefined && events.length > 0) throw upstreamError('after-finish');
    const { finish_reason: finish } = said;
    if (finish === null || finish === undefined || finish === '') return events;
    return [...events, ...this.#finish(index, choice, finish)];
  }

  #pieces(choice: number, { delta, text, logprobs }: UpstreamChoice): readonly EngineEvent[] {
    const events: EngineEvent[] = [];
    const thought = wellFormed(delta?.reasoning_content ?? delta?.reasoning);
    if (thought !== '') {
      this.#count(choice, 'reasoning', thought);
      events.push({ kind: 'reasoning', choice, text: thought });
    }
    // A refusal is what the model says; nobody here has another place for it.
    const said = wellFormed(delta?.content ?? text ?? delta?.refusal);
    const tokens = this.#rules.logprobs ? (logprobs?.content ?? []).map(tokenOf) : [];
    if (said === '') return events;
    this.#count(choice, 'text', said);
    events.push({ kind: 'text', choice, text: said, ...(this.#rules.logprobs && { tokens }) });
    return events;
  }

  #callPieces(index: number, { calls }: Choice, { delta }: UpstreamChoice): readonly EngineEvent[] {
    const { spent } = this.#rules;
    return (delta?.tool_calls ?? [])
      .flatMap((call) => calls.push(call))
      .map((piece) => {
        if (piece.kind === 'call') {
          spent.called();
          this.#count(index, 'call', piece.name);
        } else this.#count(index, 'call', piece.text);
        return { ...piece, choice: index };
      });
  }

  #count(choice: number, kind: PieceKind, text: string): void {
    this.#rules.spent.delivered(choice, kind, utf8(text).length);
  }

  #finish(index: number, choice: Choice, finish: string | number): readonly EngineEvent[] {
    const word = REASONS.get(String(finish).toLowerCase());
    if (word === undefined) throw upstreamError('finish');
    const { calls } = choice;
    const reason = reasonOf(word, calls.count);
    if (choice.reason !== undefined) {
      if (choice.reason !== reason) throw upstreamError('finish');
      return [];
    }
    choice.reason = reason;
    // Where the answer was cut, the last call may be too.
    const wholeCalls = reason === 'length' ? calls.whole() : calls.count;
    return [{ kind: 'choice-end', choice: index, reason, wholeCalls }];
  }
}

/** Servers differ in what they call an answer that has calls, in particular forced ones. */
function reasonOf(word: FinishReason, calls: number): FinishReason {
  if (word === 'stop' && calls > 0) return 'tool_calls';
  return word === 'tool_calls' && calls === 0 ? 'stop' : word;
}

/** Half a character has no bytes: what cannot be written is replaced, as TextEncoder would. */
function wellFormed(text: string | null | undefined): string {
  return (text ?? '').toWellFormed();
}

function tokenOf({ top_logprobs: top, ...chance }: UpstreamToken): TokenLogprob {
  return { ...chanceOf(chance), top: (top ?? []).map(chanceOf) };
}

function chanceOf({ token, logprob, bytes }: UpstreamChance): TokenChance {
  return {
    bytes: bytes === null || bytes === undefined ? utf8(token) : Uint8Array.from(bytes),
    logprob: Math.min(0, logprob),
  };
}
