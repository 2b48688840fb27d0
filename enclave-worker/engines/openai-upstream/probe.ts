/**
 * What an upstream is and does, found out before the worker says that it serves: it is there, it has the model and room for
 * its context, answers end as they should, tokens are counted soundly, an abort takes effect, tenants do not meet. Any of it
 * missing ends the start. What its kind claims beside that is tried one by one; what does not hold is not offered. Spec:
 * openai-gateway-and-engine §6.
 * @module
 */

import { hasCode, VeilError } from '../../../core/errors.ts';
import { pause } from '../../../core/node/lifecycle.ts';
import type { Capability } from '../../../protocol/openai/endpoints.ts';
import type { Usage } from '../../../protocol/receipt.ts';
import type { GenerateJob } from '../../engine.ts';
import type { EngineMember, EngineOffers } from '../../engine-members.ts';
import { probeError, upstreamError, type Probe, type UsageProblem } from './errors.ts';
import { startEmbedding } from './embed.ts';
import { startExchange } from './exchange.ts';
import { ABORT_EFFECT_MAX_MS, ABORT_POLL_MS, PROBE_TIMEOUT_MS, READY_POLL_MS } from './limits.ts';
import {
  chatJob,
  isForm,
  longJob,
  longPromptJob,
  memberJobs,
  PROBE_TOOL,
  textJob,
} from './probe-jobs.ts';
import { runningAnswers } from './running.ts';
import { ask, listedModel, type ListedModel, type Upstream } from './upstream.ts';

export interface ProbeInput {
  readonly upstream: Upstream;
  readonly serves: readonly Capability[];
  readonly contextTokens: number;
  readonly signal: AbortSignal;
}

export interface Probed {
  readonly offers: EngineOffers;
  readonly model: ListedModel;
  /** How the upstream names the model in its answers. */
  readonly echo: string | undefined;
}

/** Throws `engine.probe`. */
export async function probe(input: ProbeInput): Promise<Probed> {
  await untilReady(input);
  const model = await served(input);
  const echo = await answers(input);
  const context = { ...input, echo };
  await abortHolds(context);
  await isolationHolds(context);
  const lacks = await unheld(context);
  const { conversations } = input.upstream;
  // Servers tell them in lists without bytes, which cannot be put together again.
  return { offers: { conversations, lacks, textLogprobs: 'untold' }, model, echo };
}

/** Loading a model takes minutes, and nobody is there to answer meanwhile. */
async function untilReady({ upstream, signal }: ProbeInput): Promise<void> {
  const { healthPath } = upstream.kind;
  const late = AbortSignal.timeout(upstream.config.readyWithinMs);
  const stop = AbortSignal.any([signal, late]);
  for (;;) {
    const state = await stateOf(upstream, healthPath, stop);
    if (state === 'ready') return;
    if (state === 'foreign') throw probeError('ready');
    if (!(await pause(READY_POLL_MS, stop))) {
      signal.throwIfAborted();
      throw probeError('ready');
    }
  }
}

async function stateOf(
  upstream: Upstream,
  path: string,
  signal: AbortSignal,
): Promise<'ready' | 'loading' | 'foreign'> {
  try {
    const { status } = await ask(upstream, path, { signal });
    if (status === 200) return 'ready';
    return status === 503 ? 'loading' : 'foreign';
  } catch (error) {
    // Some answer with words.
    if (hasCode(error, 'http.content')) return 'ready';
    if (hasCode(error, 'http.origin')) throw probeError('address', error);
    if (error instanceof VeilError && error.code.startsWith('http.')) return 'loading';
    throw error;
  }
}

async function served({ upstream, contextTokens, signal }: ProbeInput): Promise<ListedModel> {
  const model = await tried('model', () => listedModel(upstream, { signal }));
  if (model === undefined) throw probeError('model');
  const { contextTokens: room } = model;
  // A card that promises more than there is would have prompts cut or refused.
  if (room !== undefined && room < contextTokens) throw probeError('context');
  return model;
}

/** Everything that the card promises, once. */
async function answers(input: ProbeInput): Promise<string | undefined> {
  const { upstream, serves, signal } = input;
  let echo: string | undefined;
  if (serves.includes('chat')) echo = await answered(input, 'chat', chatJob(upstream));
  if (serves.includes('completions')) {
    echo = (await answered({ ...input, echo }, 'completions', textJob())) ?? echo;
  }
  if (serves.includes('embeddings')) {
    await tried('embeddings', async () => {
      const job = { inputs: ['hello', 'good evening'], maxPromptTokens: Number.MAX_SAFE_INTEGER };
      const embedding = startEmbedding({ upstream, onOver: () => undefined }, job, signal);
      await embedding.vectors;
      if (embedding.usage().prompt < 1) throw probeError('usage');
    });
  }
  return echo;
}

interface Heard extends ProbeInput {
  readonly echo: string | undefined;
}

async function answered(
  input: ProbeInput & { readonly echo?: string | undefined },
  name: 'chat' | 'completions',
  job: GenerateJob,
): Promise<string | undefined> {
  const found = await tried(name, () => run({ ...input, echo: input.echo }, job));
  const { prompt, completion, reasoning } = found.usage;
  const isSound = found.isCounted && found.problems.length === 0;
  if (!isSound || prompt < 1 || completion + reasoning < 1) throw probeError('usage');
  return found.echo;
}

interface Run {
  readonly text: string;
  readonly calls: readonly string[];
  readonly choicesEnded: number;
  readonly hasTokens: boolean;
  readonly usage: Usage;
  /** Of the prompt, by the upstream's own word. */
  readonly cachedSaid: number;
  readonly isCounted: boolean;
  readonly problems: readonly UsageProblem[];
  readonly echo: string | undefined;
}

async function run(
  { upstream, contextTokens, echo, signal }: Heard,
  job: GenerateJob,
): Promise<Run> {
  const problems: UsageProblem[] = [];
  let heard = echo;
  let isCounted = false;
  let cachedSaid = 0;
  const stop = AbortSignal.any([signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]);
  const generation = startExchange(
    {
      upstream,
      contextTokens,
      echo,
      onUsageProblem: (problem) => void problems.push(problem),
      onOver: (over) => {
        if (over.outcome !== 'whole') return;
        heard = over.echo;
        ({ isCounted, cachedSaid } = over);
      },
    },
    job,
    stop,
  );
  const calls: string[] = [];
  let text = '';
  let choicesEnded = 0;
  let hasTokens = false;
  for await (const event of generation.events) {
    if (event.kind === 'text') {
      text += event.text;
      hasTokens ||= (event.tokens ?? []).length > 0;
    }
    if (event.kind === 'call') calls.push(event.name);
    if (event.kind === 'choice-end') choicesEnded++;
    if (event.kind === 'end' && event.reason === 'aborted') throw upstreamError('timeout');
  }
  return {
    text,
    calls,
    choicesEnded,
    hasTokens,
    usage: generation.usage(),
    cachedSaid,
    isCounted,
    problems,
    echo: heard,
  };
}

/** An upstream that goes on writing for nobody keeps the place of the next one, and costs its owner. */
async function abortHolds(input: Heard): Promise<void> {
  const { upstream, signal } = input;
  const serves = generating(input);
  if (serves === undefined) return;
  await tried('abort', async () => {
    // As many as there are places: the one that is asked next would have to wait.
    await Promise.all(Array.from({ length: upstream.slots }, () => abortedAnswer(input, serves)));
  });
  const late = AbortSignal.timeout(ABORT_EFFECT_MAX_MS);
  const next = serves === 'chat' ? chatJob(upstream) : textJob();
  for (;;) {
    // Some servers count anew only when they work.
    await tried('abort', () => run({ ...input, signal: AbortSignal.any([signal, late]) }, next));
    const running = await runningAnswers(upstream, signal);
    if (running === undefined && upstream.kind.running !== undefined) throw probeError('abort');
    if (running === undefined || running === 0) return;
    if (!(await pause(ABORT_POLL_MS, AbortSignal.any([signal, late])))) throw probeError('abort');
  }
}

async function abortedAnswer(input: Heard, serves: 'chat' | 'completions'): Promise<void> {
  const stop = new AbortController();
  const late = AbortSignal.timeout(PROBE_TIMEOUT_MS);
  const generation = startExchange(
    { ...input, onUsageProblem: () => undefined, onOver: () => undefined },
    longJob(input.upstream, serves),
    AbortSignal.any([input.signal, late, stop.signal]),
  );
  for await (const { kind } of generation.events) {
    if (kind === 'text' || kind === 'reasoning') stop.abort();
  }
}

function generating({ serves }: ProbeInput): 'chat' | 'completions' | undefined {
  if (serves.includes('chat')) return 'chat';
  return serves.includes('completions') ? 'completions' : undefined;
}

/** The same long prompt for two tenants: what the second one finds there would be the first one's. */
async function isolationHolds(input: Heard): Promise<void> {
  const { upstream, contextTokens } = input;
  const serves = generating(input);
  if (upstream.config.prefixCache === 'shared' || serves === undefined) return;
  if (upstream.kind.isolation === 'none') throw probeError('isolation');
  for (const tenant of ['one', 'other']) {
    const job = longPromptJob(upstream, { contextTokens, tenant, serves });
    const found = await tried('isolation', () => run(input, job));
    if (found.cachedSaid > 0) throw probeError('isolation');
  }
}

const MADE_OF_GRAMMARS: readonly EngineMember[] = ['tools', 'tool_choice', 'parallel_tool_calls'];

/** The members that the kind claims and this server does not keep to. */
async function unheld(input: Heard): Promise<ReadonlySet<EngineMember>> {
  const { upstream, serves } = input;
  const lacks = new Set(upstream.kind.lacks);
  // There is no chat to ask for tools or more than one choice in.
  if (!serves.includes('chat')) return lacks;
  for (const [member, job] of memberJobs(upstream)) {
    if (!lacks.has(member) && !(await holds(input, member, job))) lacks.add(member);
  }
  // What is written is made of grammars.
  const isMade = upstream.conversations === 'taken' || !lacks.has('response_format');
  return isMade ? lacks : new Set([...lacks, ...MADE_OF_GRAMMARS]);
}

async function holds(input: Heard, member: EngineMember, job: GenerateJob): Promise<boolean> {
  try {
    const found = await run(input, job);
    if (found.problems.length > 0) return false;
    if (member === 'n') return found.choicesEnded === job.choices;
    if (member === 'logprobs') return found.hasTokens;
    if (member === 'response_format') return isForm(found.text);
    if (member === 'tool_choice' || member === 'parallel_tool_calls') {
      return found.calls.length === 1 && found.calls[0] === PROBE_TOOL;
    }
    return true;
  } catch (error) {
    if (error instanceof VeilError && !input.signal.aborted) return false;
    throw error;
  }
}

async function tried<Value>(name: Probe, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (cause) {
    if (hasCode(cause, 'engine.probe') || !(cause instanceof VeilError)) throw cause;
    throw probeError(name, cause);
  }
}
