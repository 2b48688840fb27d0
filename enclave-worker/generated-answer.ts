/**
 * Generated text on its way into the seal, whole or as events. Spec: openai-gateway-and-engine §2.3, §2.4.
 * @module
 */

import type { AnswerShape, FinishReason, WholeChoice } from '../protocol/openai/answer-shape.ts';
import type { TokenLogprob } from '../protocol/openai/logprobs.ts';
import { SSE_DONE, SSE_PING, sseEvent } from '../protocol/openai/sse.ts';
import type { EngineEvent, Generation } from './engine.ts';
import { HEAD_HOLD_MAX_MS, PING_EVERY_MS } from './limits.ts';
import type { Metering } from './metering.ts';
import type { SealedAnswer } from './sealed-answer.ts';

export interface Answering {
  readonly shape: AnswerShape;
  /** Of all prompts. */
  readonly choices: number;
  readonly out: SealedAnswer;
  readonly generation: Generation;
  readonly events: AsyncIterable<EngineEvent>;
}

export type AnswerEnd = 'complete' | 'aborted';

interface Gathered {
  text: string;
  readonly tokens: TokenLogprob[];
  finishReason: FinishReason | undefined;
}

export async function answerWhole(answering: Answering): Promise<AnswerEnd> {
  const { shape, out, generation, events } = answering;
  const choices = Array.from({ length: answering.choices }, (): Gathered => ({
    text: '',
    tokens: [],
    finishReason: undefined,
  }));
  for await (const event of events) {
    if (event.kind === 'text') {
      const choice = choices[event.choice ?? 0];
      if (choice === undefined) continue;
      choice.text += event.text;
      choice.tokens.push(...(event.tokens ?? []));
    }
    if (event.kind === 'choice-end') {
      const choice = choices[event.choice];
      if (choice !== undefined) choice.finishReason = event.reason;
    }
    if (event.kind !== 'end') continue;
    const { reason } = event;
    if (reason === 'aborted') return reason;
    const whole = choices.map(({ text, tokens, finishReason }): WholeChoice => ({
      text,
      tokens,
      finishReason: finishReason ?? reason,
    }));
    out.json(200, shape.whole(whole, generation.usage()));
    return 'complete';
  }
  return 'aborted';
}

export async function answerStream(
  answering: Answering,
  includeUsage: boolean,
  metering: Metering | undefined,
): Promise<AnswerEnd> {
  const { out, generation, events } = answering;
  const stream = new ChoiceStream(answering);
  // The status waits for the first text, because an HTTP error is worth more than an event; but not for ever.
  const silence = watchSilence(() => {
    stream.begin();
    out.event(SSE_PING);
  });
  try {
    for await (const event of events) {
      if (event.kind === 'started') continue;
      if (event.kind === 'end' && event.reason === 'aborted') return event.reason;
      silence.heard();
      stream.begin();
      if (event.kind === 'text') {
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
      if (includeUsage) out.event(sseEvent(answering.shape.usage(generation.usage())));
      out.event(SSE_DONE);
      return 'complete';
    }
    return 'aborted';
  } finally {
    silence.stop();
  }
}

class ChoiceStream {
  readonly #answering: Answering;
  readonly #open: Set<number>;

  constructor(answering: Answering) {
    this.#answering = answering;
    this.#open = new Set(Array.from({ length: answering.choices }, (_, choice) => choice));
  }

  begin(): void {
    const { out, shape } = this.#answering;
    if (out.status !== undefined) return;
    out.beginStream();
    for (const choice of this.#open) {
      const first = shape.begin(choice);
      if (first !== undefined) out.event(sseEvent(first));
    }
  }

  piece({ choice = 0, text, tokens = [] }: Extract<EngineEvent, { kind: 'text' }>): void {
    const { out, shape } = this.#answering;
    out.event(sseEvent(shape.piece(choice, { text, tokens })));
  }

  finish(choice: number, reason: FinishReason): void {
    const { out, shape } = this.#answering;
    if (this.#open.delete(choice)) out.event(sseEvent(shape.finish(choice, reason)));
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
