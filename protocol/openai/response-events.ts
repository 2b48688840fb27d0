/**
 * A chat stream as the events of a Responses stream. One item is open at a time; each closes before the next begins, and the
 * last event says how the answer stands. Spec: OpenAI API reference "Streaming events"; openai-gateway-and-engine §2.7.
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
} from './chat-answer.ts';
import { BROKEN_ANSWER, type FrontStream } from './chat-front.ts';
import {
  callItem,
  itemId,
  lastStatus,
  messageItem,
  outputText,
  responseObject,
  type OutputItem,
  type ResponseEcho,
  type ResponseStanding,
} from './response-object.ts';

type OpenItem =
  | { readonly kind: 'message'; readonly id: string; text: string }
  | {
      readonly kind: 'call';
      readonly id: string;
      readonly callId: string;
      readonly name: string;
      text: string;
    };

export class ResponseEvents implements FrontStream {
  readonly #echo: ResponseEcho;
  readonly #reader = new ChatStreamReader();
  readonly #output: OutputItem[] = [];
  #open: OpenItem | undefined;
  #sequence = 0;
  #begun = false;
  #ended = false;

  constructor(echo: ResponseEcho) {
    this.#echo = echo;
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
    return [...this.#begin(head), ...steps.flatMap((step) => this.#step(head, step))];
  }

  end(): readonly TypedEvent[] {
    if (this.#ended) return [];
    const { head, ending } = this.#reader;
    if (head === undefined || ending === undefined) return this.fail(BROKEN_ANSWER);
    this.#ended = true;
    const status = lastStatus(ending.end);
    return [
      ...this.#close(status),
      this.#standing(`response.${status}`, head, { status: 'ended', ...ending }),
    ];
  }

  fail({ message, param, code }: ChatFailure): readonly TypedEvent[] {
    if (this.#ended) return [];
    this.#ended = true;
    const { head } = this.#reader;
    const said = code ?? 'server_error';
    if (head === undefined) return [this.#event('error', { code: said, message, param })];
    const error = { code: said, message };
    return [this.#standing('response.failed', head, { status: 'failed', error })];
  }

  #event(type: string, members: object): TypedEvent {
    return { type, sequence_number: this.#sequence++, ...members };
  }

  #standing(type: string, head: ChatHead, standing: ResponseStanding): TypedEvent {
    const output = [...this.#output];
    return this.#event(type, { response: responseObject(this.#echo, head, output, standing) });
  }

  #begin(head: ChatHead): readonly TypedEvent[] {
    if (this.#begun) return [];
    this.#begun = true;
    return [
      this.#standing('response.created', head, { status: 'in_progress' }),
      this.#standing('response.in_progress', head, { status: 'in_progress' }),
    ];
  }

  #step(head: ChatHead, step: ChatStep): readonly TypedEvent[] {
    if (step.kind === 'call') return [...this.#close('completed'), ...this.#openCall(head, step)];
    if (step.kind === 'text' && this.#open?.kind !== 'message') {
      return [...this.#close('completed'), ...this.#openMessage(head), ...this.#grow(step.text)];
    }
    return this.#grow(step.text);
  }

  #openMessage(head: ChatHead): readonly TypedEvent[] {
    const id = itemId(head, 'msg', this.#output.length);
    this.#open = { kind: 'message', id, text: '' };
    return [
      this.#event('response.output_item.added', {
        output_index: this.#output.length,
        item: messageItem(id, 'in_progress'),
      }),
      this.#event('response.content_part.added', this.#inItem(id, { part: outputText('') })),
    ];
  }

  #openCall(
    head: ChatHead,
    call: { readonly id: string; readonly name: string },
  ): readonly TypedEvent[] {
    const id = itemId(head, 'fc', this.#output.length);
    this.#open = { kind: 'call', id, callId: call.id, name: call.name, text: '' };
    const item = callItem(id, 'in_progress', { ...call, arguments: '' });
    return [this.#event('response.output_item.added', { output_index: this.#output.length, item })];
  }

  #grow(delta: string): readonly TypedEvent[] {
    const open = this.#open;
    if (open === undefined) return [];
    open.text += delta;
    if (open.kind === 'message') {
      const members = this.#inItem(open.id, { delta, logprobs: [] });
      return [this.#event('response.output_text.delta', members)];
    }
    const members = { item_id: open.id, output_index: this.#output.length, delta };
    return [this.#event('response.function_call_arguments.delta', members)];
  }

  /** Of the one content part of the message at hand. */
  #inItem(id: string, members: object): object {
    return { item_id: id, output_index: this.#output.length, content_index: 0, ...members };
  }

  #close(status: 'completed' | 'incomplete'): readonly TypedEvent[] {
    const open = this.#open;
    if (open === undefined) return [];
    this.#open = undefined;
    const item =
      open.kind === 'message'
        ? messageItem(open.id, status, open.text)
        : callItem(open.id, status, { id: open.callId, name: open.name, arguments: open.text });
    const events = [
      ...this.#doneOf(open),
      this.#event('response.output_item.done', { output_index: this.#output.length, item }),
    ];
    this.#output.push(item);
    return events;
  }

  #doneOf(open: OpenItem): readonly TypedEvent[] {
    const { id, text } = open;
    if (open.kind === 'call') {
      const members = {
        item_id: id,
        output_index: this.#output.length,
        name: open.name,
        arguments: text,
      };
      return [this.#event('response.function_call_arguments.done', members)];
    }
    return [
      this.#event('response.output_text.done', this.#inItem(id, { text, logprobs: [] })),
      this.#event('response.content_part.done', this.#inItem(id, { part: outputText(text) })),
    ];
  }
}
