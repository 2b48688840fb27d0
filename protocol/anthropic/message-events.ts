/**
 * A chat stream as the events of a Messages stream. One block is open at a time; only a complete answer gets its
 * `message_stop`. Spec: Anthropic API reference "Streaming messages".
 * @module
 */

import { hasCode } from '../../core/errors.ts';
import type { TypedEvent } from '../typed-event.ts';
import {
  ChatStreamReader,
  readFailure,
  type ChatFailure,
  type ChatHead,
  type ChatStep,
} from '../openai/chat-answer.ts';
import { BROKEN_ANSWER, type FrontStream } from '../openai/chat-front.ts';
import { anthropicError, typeInStream } from './errors.ts';
import { callBlock, countsJson, startedMessage, stopOf, textBlock } from './message-object.ts';

export class MessageEvents implements FrontStream {
  readonly #stops: readonly string[];
  readonly #reader = new ChatStreamReader();
  #open: ChatStep['kind'] | undefined;
  #blocks = 0;
  #calls = 0;
  #begun = false;
  #ended = false;

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  push(chunk: unknown): readonly TypedEvent[] {
    if (this.#ended) return [];
    let steps: readonly ChatStep[];
    try {
      steps = this.#reader.push(chunk);
    } catch (error) {
      if (!hasCode(error, 'chat.answer')) throw error;
      return this.fail(readFailure(chunk) ?? BROKEN_ANSWER);
    }
    const { head } = this.#reader;
    if (head === undefined) return [];
    return [...this.#begin(head), ...steps.flatMap((step) => this.#step(step))];
  }

  end(): readonly TypedEvent[] {
    if (this.#ended) return [];
    const { ending } = this.#reader;
    if (ending === undefined) return this.fail(BROKEN_ANSWER);
    this.#ended = true;
    const delta = { ...stopOf(ending.end, this.#calls, this.#stops), container: null };
    return [
      ...this.#close(),
      { type: 'message_delta', delta, usage: countsJson(ending.counts) },
      { type: 'message_stop' },
    ];
  }

  fail({ message, type, code }: ChatFailure): readonly TypedEvent[] {
    if (this.#ended) return [];
    this.#ended = true;
    return [{ ...anthropicError(typeInStream(type, code), message) }];
  }

  #begin(head: ChatHead): readonly TypedEvent[] {
    if (this.#begun) return [];
    this.#begun = true;
    return [{ type: 'message_start', message: startedMessage(head) }];
  }

  #step(step: ChatStep): readonly TypedEvent[] {
    if (step.kind === 'call') {
      this.#calls++;
      return [...this.#close(), this.#start('call', callBlock(step, {}))];
    }
    if (step.kind === 'arguments') {
      return [this.#delta({ type: 'input_json_delta', partial_json: step.text })];
    }
    const delta = { type: 'text_delta', text: step.text };
    if (this.#open === 'text') return [this.#delta(delta)];
    return [...this.#close(), this.#start('text', textBlock('')), this.#delta(delta)];
  }

  #start(kind: 'text' | 'call', block: object): TypedEvent {
    this.#open = kind;
    return { type: 'content_block_start', index: this.#blocks, content_block: block };
  }

  #delta(delta: object): TypedEvent {
    return { type: 'content_block_delta', index: this.#blocks, delta };
  }

  #close(): readonly TypedEvent[] {
    if (this.#open === undefined) return [];
    this.#open = undefined;
    return [{ type: 'content_block_stop', index: this.#blocks++ }];
  }
}
