/** An engine over the fake upstream, and what came of a job. @module */

import {
  UPSTREAM_CONFIG,
  type UpstreamConfig,
} from '../../../enclave-worker/engines/openai-upstream/config.ts';
import {
  startOpenAiUpstream,
  type OpenAiUpstreamOptions,
} from '../../../enclave-worker/engines/openai-upstream/engine.ts';
import type {
  Engine,
  EngineEvent,
  GenerateJob,
  Generation,
} from '../../../enclave-worker/engine.ts';
import { VeilError } from '../../../core/errors.ts';
import type { Usage } from '../../../protocol/receipt.ts';
import type { Tooling } from '../../../protocol/openai/tools.ts';
import { generateJob, NEVER, type JobMore } from '../../support/engine-jobs.ts';
import type { FakeUpstream } from '../../support/fake-upstream.ts';

export const PLAIN_TOOLING: Tooling = {
  tools: [],
  toolChoice: { kind: 'none' },
  parallelToolCalls: true,
  format: { kind: 'text' },
};

export interface UpstreamEngine {
  readonly engine: Engine;
  readonly problems: string[];
  readonly states: string[];
}

export function configFor(fake: FakeUpstream, more: Partial<UpstreamConfig> = {}): UpstreamConfig {
  return UPSTREAM_CONFIG.parse({ kind: 'vllm', url: fake.url, model: fake.model, ...more });
}

export async function startOver(
  fake: FakeUpstream,
  more: Partial<OpenAiUpstreamOptions> = {},
  config: Partial<UpstreamConfig> = {},
): Promise<UpstreamEngine> {
  const problems: string[] = [];
  const states: string[] = [];
  const engine = await startOpenAiUpstream({
    config: configFor(fake, config),
    contextTokens: fake.contextTokens,
    slots: 4,
    serves: ['chat', 'completions', 'embeddings'],
    assertWeights: () => Promise.resolve(),
    onState: (state) => void states.push(state),
    onProblem: (problem) => void problems.push(problem),
    ...more,
  });
  return { engine, problems, states };
}

/** A question as an app asks it, for an engine that takes conversations. */
export function chat(more: JobMore = {}, tooling: Partial<Tooling> = {}): GenerateJob {
  const messages = [{ role: 'user' as const, content: 'Hello there' }];
  const prompts = [
    { kind: 'conversation' as const, messages, tooling: { ...PLAIN_TOOLING, ...tooling } },
  ];
  return generateJob('', { prompts, ...more });
}

export interface Outcome {
  readonly text: string;
  readonly reasoning: string;
  readonly events: readonly EngineEvent[];
  /** Of the last choice that ended, in order of their ends. */
  readonly reasons: readonly string[];
  /** Of the error it ended with: its code, and the problem that it names. */
  readonly error: string | undefined;
  readonly usage: Usage;
}

export function outcomeOf(
  { engine }: Pick<UpstreamEngine, 'engine'>,
  job: GenerateJob = chat(),
  signal: AbortSignal = NEVER,
): Promise<Outcome> {
  return readOut(engine.generate(job, signal));
}

export async function readOut(generation: Generation): Promise<Outcome> {
  const events: EngineEvent[] = [];
  let error: string | undefined;
  try {
    for await (const event of generation.events) events.push(event);
  } catch (thrown) {
    if (!(thrown instanceof VeilError)) throw thrown;
    const { problem } = thrown.facts;
    error = typeof problem === 'string' ? `${thrown.code} ${problem}` : thrown.code;
  }
  const texts = (kind: 'text' | 'reasoning'): string =>
    events.map((event) => (event.kind === kind ? event.text : '')).join('');
  return {
    text: texts('text'),
    reasoning: texts('reasoning'),
    events,
    reasons: events.flatMap((event) => (event.kind === 'choice-end' ? [event.reason] : [])),
    error,
    usage: generation.usage(),
  };
}
