/**
 * One choice, token by token: drawn, counted, turned into text that may be shown, ended at the first of all ends.
 * Spec: openai-gateway-and-engine §5.3.
 * @module
 */

import type { LlamaContextSequence, LlamaGrammar, Token, TokenBias } from 'node-llama-cpp';
import { WINDOW_MESSAGES, type FromChild, type GenerateMessage } from './messages.ts';
import type { LoadedModel } from './model.ts';
import { samplingOptions } from './sampling-options.ts';
import { StopScanner, TokenText } from './text-stream.ts';
import { tokenChances } from './token-chances.ts';
import { TokenTrail } from './token-trail.ts';

export interface RunningJob {
  aborted: boolean;
  /** Messages with content that were sent and not yet taken. */
  unread: number;
  wake: (() => void) | undefined;
}

export interface ChoiceRun {
  readonly loaded: LoadedModel;
  readonly message: GenerateMessage;
  readonly job: RunningJob;
  readonly send: (message: FromChild) => void;
  readonly sequence: LlamaContextSequence;
  readonly choice: number;
  /** What is left of the prompt to be evaluated; at least one token. */
  readonly tail: Token[];
  /** Of output tokens. */
  readonly limit: number;
  readonly bias: TokenBias | undefined;
  readonly grammar: LlamaGrammar | undefined;
  /** Of the job, with those of the choices before. */
  readonly count: { tokens: number };
}

export type ChoiceEnd = 'stop' | 'length' | 'aborted';

export async function runChoice(run: ChoiceRun): Promise<ChoiceEnd> {
  const { loaded, message, job, sequence, limit, count } = run;
  const output = new Output(run);
  const generated: Token[] = [];
  const options = samplingOptions(run, generated);
  for await (const token of sequence.evaluate(run.tail, options)) {
    if (job.aborted) return 'aborted';
    generated.push(token);
    count.tokens++;
    if (message.topLogprobs !== undefined) {
      const chances = await tokenChances(loaded, sequence, {
        drawn: token,
        top: message.topLogprobs,
      });
      output.trail.add(chances);
    }
    if (output.push(token)) return 'stop';
    if (generated.length >= limit) return output.end() ? 'stop' : 'length';
    await untilRead(job);
  }
  if (job.aborted) return 'aborted';
  output.end();
  return 'stop';
}

/** From tokens to messages. */
class Output {
  readonly trail = new TokenTrail();
  readonly #run: ChoiceRun;
  readonly #text: TokenText<Token>;
  readonly #stops: StopScanner;

  constructor(run: ChoiceRun) {
    this.#run = run;
    this.#text = new TokenText((tokens, before) =>
      run.loaded.model.detokenize(tokens, false, before),
    );
    this.#stops = new StopScanner(run.message.stop);
  }

  /** True: a stop string has come. */
  push(token: Token): boolean {
    const text = this.#text.push(token);
    this.trail.became(text, this.#text.isWhole ? 'whole' : 'held');
    const { text: shown, stopped } = this.#stops.push(text);
    this.#send(shown, stopped);
    return stopped;
  }

  /** No more tokens. True: a stop string was in what had been held back. */
  end(): boolean {
    const text = this.#text.end();
    this.trail.became(text, 'whole');
    const { text: shown, stopped } = this.#stops.push(text);
    const rest = stopped ? '' : this.#stops.end();
    this.#send(shown + rest, true);
    return stopped;
  }

  #send(text: string, isLast: boolean): void {
    const { message, job, send, choice, count } = this.#run;
    const { id, topLogprobs } = message;
    const told = topLogprobs === undefined ? undefined : this.trail.show(text);
    if (isLast) told?.push(...this.trail.end());
    if (isLast && text === '' && (told ?? []).length === 0) return;
    job.unread++;
    const tokens = told === undefined ? {} : { tokens: told };
    send({ kind: 'text', id, choice, text, ...tokens, completionTokens: count.tokens });
  }
}

async function untilRead(job: RunningJob): Promise<void> {
  while (!job.aborted && job.unread >= WINDOW_MESSAGES) {
    await new Promise<void>((resolve) => {
      job.wake = resolve;
    });
  }
}
