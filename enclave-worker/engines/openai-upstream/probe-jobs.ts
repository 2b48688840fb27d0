/** What is asked at a start to find out what an upstream does. None of it is anybody's prompt. @module */

import type { Sampling } from '../../../protocol/openai/sampling.ts';
import type { Tooling } from '../../../protocol/openai/tools.ts';
import type { GenerateJob, Prompt } from '../../engine.ts';
import type { EngineMember } from '../../engine-members.ts';
import { ABORT_PROBE_TOKENS, PROBE_TOKENS } from './limits.ts';
import type { Upstream } from './upstream.ts';

const GREEDY: Sampling = {
  temperature: 0,
  topP: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  logitBias: [],
  seed: undefined,
};

const PLAIN: Tooling = {
  tools: [],
  toolChoice: { kind: 'none' },
  parallelToolCalls: true,
  format: { kind: 'text' },
};

const TOOL = {
  name: 'report_number',
  description: 'Reports a number.',
  parameters: {
    type: 'object',
    properties: { number: { type: 'integer' } },
    required: ['number'],
    additionalProperties: false,
  },
};

const SCHEMA = {
  type: 'object',
  properties: { ok: { type: 'boolean' } },
  required: ['ok'],
  additionalProperties: false,
};

const GREETING = 'Say hello.';
const STORY = 'Count from one to a thousand, in words, without leaving one out.';
/** Often enough for the blocks in which caches keep prefixes, and no more than fits. */
const SENTENCE = 'The quick brown fox jumps over the lazy dog. ';
const SENTENCES_MAX = 16;
/** At the most, also in small vocabularies. */
const SENTENCE_TOKENS = 46;

function chatPrompt({ conversations }: Upstream, content: string, tooling = PLAIN): Prompt {
  const messages = [{ role: 'user' as const, content }];
  return conversations === 'taken'
    ? { kind: 'conversation', messages, tooling }
    : { kind: 'chat', messages };
}

function job(prompt: Prompt, more: Partial<GenerateJob> = {}): GenerateJob {
  return {
    prompts: [prompt],
    choices: 1,
    maxPromptTokens: Number.MAX_SAFE_INTEGER,
    maxOutputTokens: PROBE_TOKENS,
    sampling: GREEDY,
    stop: [],
    ...more,
  };
}

export function chatJob(upstream: Upstream): GenerateJob {
  return job(chatPrompt(upstream, GREETING));
}

export function textJob(): GenerateJob {
  return job({ kind: 'text', text: 'One, two, three,' });
}

/** Of whichever kind the upstream serves; long enough that it is not over by itself. */
export function longJob(upstream: Upstream, serves: 'chat' | 'completions'): GenerateJob {
  const prompt: Prompt =
    serves === 'chat' ? chatPrompt(upstream, STORY) : { kind: 'text', text: STORY };
  return job(prompt, { maxOutputTokens: ABORT_PROBE_TOKENS });
}

export function longPromptJob(
  upstream: Upstream,
  { contextTokens, tenant, serves }: LongPrompt,
): GenerateJob {
  const times = Math.min(SENTENCES_MAX, Math.max(1, Math.floor(contextTokens / SENTENCE_TOKENS)));
  const content = `${SENTENCE.repeat(times)}Say hello.`;
  const prompt: Prompt =
    serves === 'chat' ? chatPrompt(upstream, content) : { kind: 'text', text: content };
  return job(prompt, { cacheNamespace: tenant, maxOutputTokens: 1 });
}

interface LongPrompt {
  readonly contextTokens: number;
  readonly tenant: string;
  readonly serves: 'chat' | 'completions';
}

/** One question for each member that some servers of a kind take and others do not. */
export function memberJobs(upstream: Upstream): ReadonlyMap<EngineMember, GenerateJob> {
  const greeting = chatPrompt(upstream, GREETING);
  const sampled = (more: Partial<Sampling>): GenerateJob =>
    job(greeting, { sampling: { ...GREEDY, ...more } });
  return new Map<EngineMember, GenerateJob>([
    ['n', job(greeting, { choices: 2 })],
    ['logprobs', job(greeting, { topLogprobs: 1 })],
    ['stop', job(greeting, { stop: ['zzzz'] })],
    ['seed', sampled({ seed: 1 })],
    ['frequency_penalty', sampled({ frequencyPenalty: 0.5 })],
    ['presence_penalty', sampled({ presencePenalty: 0.5 })],
    ['logit_bias', sampled({ logitBias: [[1, -1]] })],
    ['top_k', sampled({ topK: 2, temperature: 1 })],
    ['min_p', sampled({ minP: 0.1, temperature: 1 })],
    ['repetition_penalty', sampled({ repetitionPenalty: 1.1 })],
    ['reasoning_effort', job(greeting, { reasoningEffort: 'low' })],
    ['chat_template_kwargs', job(greeting, { templateArguments: { enable_thinking: false } })],
    ...(upstream.conversations === 'taken' ? takenJobs(upstream) : writtenJobs(upstream)),
  ]);
}

function takenJobs(upstream: Upstream): readonly (readonly [EngineMember, GenerateJob])[] {
  const asked = (tooling: Partial<Tooling>, maxOutputTokens = PROBE_TOKENS): GenerateJob =>
    job(chatPrompt(upstream, 'Report the number 7.', { ...PLAIN, ...tooling }), {
      maxOutputTokens,
    });
  const tools = [TOOL];
  const forced = { tools, toolChoice: { kind: 'function', name: TOOL.name } } as const;
  const format = { kind: 'json_schema', schema: SCHEMA } as const;
  return [
    ['tools', asked({ tools, toolChoice: { kind: 'auto' } })],
    ['tool_choice', asked(forced, FORM_TOKENS)],
    ['parallel_tool_calls', asked({ ...forced, parallelToolCalls: false }, FORM_TOKENS)],
    ['response_format', asked({ format }, FORM_TOKENS)],
  ];
}

/** What tools and schemas are made of here. */
function writtenJobs(upstream: Upstream): readonly (readonly [EngineMember, GenerateJob])[] {
  const grammar = 'root ::= "{\\"ok\\":" ("true" | "false") "}"';
  const held = job(chatPrompt(upstream, GREETING), { grammar, maxOutputTokens: FORM_TOKENS });
  return [['response_format', held]];
}

/** A model that thinks first needs room for it. */
const FORM_TOKENS = 1024;

export function isForm(text: string): boolean {
  return /^\s*\{\s*"ok"\s*:\s*(?:true|false)\s*\}\s*$/.test(text);
}

export const PROBE_TOOL = TOOL.name;
