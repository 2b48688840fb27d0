/** An engine that makes a token when a test lets it, so that where an answer stands is known and not a matter of speed. @module */

import { sha256 } from '#primitives';
import { utf8 } from '../../../core/bytes.ts';
import type { EngineEvent, GenerateJob, Generation } from '../../../enclave-worker/engine.ts';
import { pause } from '../../../core/node/lifecycle.ts';
import type { LabEngine } from './engines.ts';

export class PacedJob {
  readonly text: string;
  /** The first prompt's last turn. */
  readonly asked: string;
  produced = 0;
  ended = false;
  aborted = false;
  #allowed: number;
  #everyMs = 0;
  #wake: (() => void) | undefined;

  constructor(asked: string, allowed: number, text: string) {
    this.asked = asked;
    this.#allowed = allowed;
    this.text = text;
  }

  /** So many tokens more. */
  allow(tokens: number): void {
    this.#allowed += tokens;
    this.#wake?.();
  }

  /** From now on by itself, a token in so many milliseconds. */
  freeRun(everyMs: number): void {
    this.#everyMs = everyMs;
    this.allow(Number.POSITIVE_INFINITY);
  }

  async mayGoOn(signal: AbortSignal): Promise<boolean> {
    while (this.produced >= this.#allowed && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    if (this.#everyMs > 0) await pause(this.#everyMs, signal);
    return !signal.aborted;
  }
}

export interface PacedEngine extends LabEngine {
  /** In order of their beginning. */
  readonly jobs: readonly PacedJob[];
}

const PROMPT_TOKENS = 7;

export interface PaceOptions {
  readonly slots?: number;
  readonly contextTokens?: number;
  /** What each token says, and how many a job may make before it is told more. */
  readonly of: (asked: string) => { readonly text: string; readonly allowed: number };
}

export function pacedEngine(options: PaceOptions): PacedEngine {
  const { slots = 4, contextTokens = 4096 } = options;
  const jobs: PacedJob[] = [];
  return {
    jobs,
    weights: sha256(utf8('a paced engine')),
    cleanUp: () => Promise.resolve(),
    engine: {
      name: 'paced',
      capabilities: ['chat'],
      contextTokens,
      slots,
      healthy: () => true,
      close: () => Promise.resolve(),
      embed: () => {
        throw new Error('no embeddings');
      },
      generate: (job, signal) => {
        const asked = askedIn(job);
        const { text, allowed } = options.of(asked);
        const paced = new PacedJob(asked, allowed, text);
        jobs.push(paced);
        return running(paced, job, signal);
      },
    },
  };
}

function askedIn({ prompts }: GenerateJob): string {
  const [prompt] = prompts;
  return prompt?.kind === 'chat' ? (prompt.messages.at(-1)?.content ?? '') : '';
}

function running(paced: PacedJob, job: GenerateJob, signal: AbortSignal): Generation {
  return {
    usage: () => ({ prompt: PROMPT_TOKENS, cached: 0, completion: paced.produced, reasoning: 0 }),
    events: (async function* play(): AsyncGenerator<EngineEvent> {
      try {
        yield { kind: 'started' };
        while (paced.produced < job.maxOutputTokens) {
          if (!(await paced.mayGoOn(signal))) {
            paced.aborted = true;
            yield { kind: 'end', reason: 'aborted' };
            return;
          }
          paced.produced++;
          yield { kind: 'text', text: paced.text };
        }
        yield { kind: 'end', reason: 'length' };
      } finally {
        paced.ended = true;
      }
    })(),
  };
}
