/**
 * Generated text on its way into the seal, whole or as events. Spec: openai-gateway-and-engine §2.3, §2.4.
 * @module
 */

import type {
  AnswerShape,
  FinishReason,
  StreamObject,
  WholeChoice,
} from '../protocol/openai/answer-shape.ts';
import type { TokenLogprob } from '../protocol/openai/logprobs.ts';
import type { AnswerVoice } from './answer-voice.ts';
import type { EngineEvent, Generation } from './engine.ts';
import { HEAD_HOLD_MAX_MS, PING_EVERY_MS } from './limits.ts';
import type { Metering } from './metering.ts';
import type { SealedAnswer } from './sealed-answer.ts';

export interface Answering {
  readonly shape: AnswerShape;
  readonly voice: AnswerVoice;
  /** Of all prompts. */
  readonly choices: number;
  readonly out: SealedAnswer;
  readonly generation: Generation;
  readonly events: AsyncIterable<EngineEvent>;
}

export type AnswerEnd = 'complete' | 'aborted';

interface Gathered {
  text: string;
  reasoning: string;
  readonly tokens: TokenLogprob[];
  readonly calls: { readonly id: string; readonly name: string; arguments: string }[];
  wholeCalls: number;
  finishReason: FinishReason | undefined;
}

export async function answerWhole(answering: Answering): Promise<AnswerEnd> {
  const { shape, voice, out, generation, events } = answering;
  const choices = Array.from({ length: answering.choices }, (): Gathered => ({
    text: '',
    reasoning: '',
    tokens: [],
    calls: [],
    wholeCalls: 0,
    finishReason: undefined,
  }));
  for await (const event of events) {
    const choice = 'choice' in event ? choices[event.choice ?? 0] : choices[0];
    if (choice !== undefined) gather(choice, event);
    if (event.kind !== 'end') continue;
    const { reason } = event;
    if (reason === 'aborted') return reason;
    const whole = choices.map(({ calls, wholeCalls, finishReason, ...said }): WholeChoice => ({
      ...said,
      // A call that broke off is nothing that a program could act on.
      calls: calls.slice(0, wholeCalls),
      finishReason: finishReason ?? reason,
    }));
    const isInTime = out.whole(voice.whole(shape.whole(whole, generation.usage())));
    return isInTime ? 'complete' : 'aborted';
  }
  return 'aborted';
}

function gather(choice: Gathered, event: EngineEvent): void {
  switch (event.kind) {
    case 'text':
      choice.text += event.text;
      for (const token of event.tokens ?? []) choice.tokens.push(token);
      return;
    case 'reasoning':
      choice.reasoning += event.text;
      return;
    case 'call':
      choice.calls.push({ id: event.id, name: event.name, arguments: '' });
      return;
    case 'arguments': {
      const call = choice.calls[event.index];
      if (call !== undefined) call.arguments += event.text;
      return;
    }
    case 'choice-end':
      choice.finishReason = event.reason;
      choice.wholeCalls = event.wholeCalls ?? choice.calls.length;
      return;
    case 'started':
    case 'end':
  }
}

export async function answerStream(
  answering: Answering,
  includeUsage: boolean,
  metering: Metering | undefined,
): Promise<AnswerEnd> {
  const { voice, out, generation, events } = answering;
  const stream = new ChoiceStream(answering);
  // The status waits for the first text, because an HTTP error is worth more than an event; but not for ever.
  const silence = watchSilence(() => {
    stream.begin();
    out.event(voice.ping);
  });
  try {
    for await (const event of events) {
      if (event.kind === 'started') continue;
      if (event.kind === 'end' && event.reason === 'aborted') return event.reason;
      silence.heard();
      stream.begin();
      if (isPiece(event)) {
        stream.piece(event);
        metering?.wrote();
        await out.room();
        continue;
      }
      if (event.kind === 'choice-end') {
        stream.finish(event.choice, event.reason);
        continue;
      }
      if (event.reason === 'aborted') return event.reason;
      stream.finishAll(event.reason);
      if (includeUsage) stream.say(answering.shape.usage(generation.usage()));
      out.lastEvent(voice.done());
      return 'complete';
    }
    return 'aborted';
  } finally {
    silence.stop();
  }
}

type Piece = Extract<EngineEvent, { kind: 'text' | 'reasoning' | 'call' | 'arguments' }>;

function isPiece(event: EngineEvent): event is Piece {
  const { kind } = event;
  return kind === 'text' || kind === 'reasoning' || kind === 'call' || kind === 'arguments';
}

class ChoiceStream {
  readonly #answering: Answering;
  readonly #open: Set<number>;

  constructor(answering: Answering) {
    this.#answering = answering;
    this.#open = new Set(Array.from({ length: answering.choices }, (_, choice) => choice));
  }

  say(said: StreamObject): void {
    const { out, voice } = this.#answering;
    out.event(voice.object(said));
  }

  begin(): void {
    const { out, shape } = this.#answering;
    if (out.status !== undefined) return;
    out.beginStream();
    for (const choice of this.#open) {
      const first = shape.begin(choice);
      if (first !== undefined) this.say(first);
    }
  }

  piece(event: Piece): void {
    const { shape } = this.#answering;
    const { choice = 0 } = event;
    if (event.kind === 'reasoning') {
      const thought = shape.reasoning(choice, event.text);
      if (thought !== undefined) this.say(thought);
      return;
    }
    const said =
      event.kind === 'text'
        ? shape.piece(choice, { text: event.text, tokens: event.tokens ?? [] })
        : shape.call(choice, event);
    this.say(said);
  }

  finish(choice: number, reason: FinishReason): void {
    if (this.#open.delete(choice)) this.say(this.#answering.shape.finish(choice, reason));
  }

  finishAll(reason: FinishReason): void {
    // A set may lose what it is at.
    for (const choice of this.#open) this.finish(choice, reason);
  }
}

function watchSilence(ping: () => void): {
  readonly heard: () => void;
  readonly stop: () => void;
} {
  const timer = setInterval(ping, Math.min(PING_EVERY_MS, HEAD_HOLD_MAX_MS));
  return { heard: () => void timer.refresh(), stop: () => clearInterval(timer) };
}
