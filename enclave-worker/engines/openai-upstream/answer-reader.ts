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
import { ANSWER_TEXT_MAX_BYTES, PIECES_SLACK, TOKEN_MAX_BYTES } from './limits.ts';
import type { PieceKind, Spent } from './spent.ts';
import type { SseEvent } from './sse-reader.ts';

export interface AnswerRules {
  /** Of all prompts. */
  readonly choices: number;
  /** Of all choices together. */
  readonly outputMax: number;
  /** How the upstream names the model in its answers; undefined: it has not been heard yet. */
  readonly echo: string | undefined;
  /** Of the likeliest tokens so many are told; undefined: none is. */
  readonly topLogprobs: number | undefined;
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
  #tokensTold = 0;

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
    this.#assertBounded();
    return events;
  }

  /** An answer in one piece is gathered whole before it leaves. */
  #assertBounded(): void {
    const { spent, outputMax, choices } = this.#rules;
    const piecesMax = outputMax + PIECES_SLACK * choices;
    const bytesMax = Math.min(ANSWER_TEXT_MAX_BYTES, piecesMax * TOKEN_MAX_BYTES);
    const isBounded =
      spent.pieces <= piecesMax && this.#tokensTold <= piecesMax && spent.bytes <= bytesMax;
    if (!isBounded) throw upstreamError('runaway');
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
    if (usage !== null && usage !== undefined) spent.report(usage, at, first && (first.index ?? 0));
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
    if (!isSaid(finish)) return events;
    return [...events, ...this.#finish(index, choice, finish)];
  }

  #pieces(choice: number, choiceSaid: UpstreamChoice): readonly EngineEvent[] {
    const { delta, text } = choiceSaid;
    const events: EngineEvent[] = [];
    const thought = wellFormed(delta?.reasoning_content ?? delta?.reasoning);
    if (thought !== '') {
      this.#count(choice, 'reasoning', thought);
      events.push({ kind: 'reasoning', choice, text: thought });
    }
    // A refusal is what the model says; nobody here has another place for it.
    const said = wellFormed(delta?.content ?? text ?? delta?.refusal);
    const tokens = this.#tokens(said, choiceSaid);
    if (said === '' && tokens === undefined) return events;
    if (said !== '') this.#count(choice, 'text', said);
    events.push({ kind: 'text', choice, text: said, ...(tokens !== undefined && { tokens }) });
    return events;
  }

  /**
   * Half a character has a token and no text yet. The mark of the end has neither a text nor a place in it, and what the
   * model thinks has its place elsewhere.
   */
  #tokens(
    said: string,
    { delta, logprobs, finish_reason: finish }: UpstreamChoice,
  ): readonly TokenLogprob[] | undefined {
    const { topLogprobs } = this.#rules;
    if (topLogprobs === undefined) return undefined;
    const told = logprobs?.content ?? [];
    const isThought = (delta?.reasoning_content ?? delta?.reasoning ?? '') !== '';
    if (said === '' && (told.length === 0 || isThought || isSaid(finish))) return undefined;
    this.#tokensTold += told.length;
    return told.map((token) => tokenOf(token, topLogprobs));
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

function isSaid(finish: UpstreamChoice['finish_reason']): finish is string | number {
  return finish !== null && finish !== undefined && finish !== '';
}

function tokenOf({ top_logprobs: top, ...chance }: UpstreamToken, most: number): TokenLogprob {
  return { ...chanceOf(chance), top: (top ?? []).slice(0, most).map(chanceOf) };
}

function chanceOf({ token, logprob, bytes }: UpstreamChance): TokenChance {
  return {
    bytes: bytes === null || bytes === undefined ? utf8(token) : Uint8Array.from(bytes),
    logprob: Math.min(0, logprob),
  };
}
