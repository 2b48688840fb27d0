/**
 * What each kind of upstream is known to do, in one table. What it claims here is tried at every start (probe.ts); what it
 * lacks is refused by name. To add one: add its row. Spec: openai-gateway-and-engine §6; the documentation of vLLM, SGLang
 * and Ollama; llama.cpp tools/server/README.md and source, release v0.5.0.
 * @module
 */

import type { EngineMember } from '../../engine-members.ts';

export interface UpstreamKind {
  readonly name: string;
  /** Answers 200 when the model is loaded. */
  readonly healthPath: string;
  /** How the tokens of a prompt are counted before it runs. `bytes`: by none, and each byte stands for a token. */
  readonly counting: 'vllm' | 'llama-cpp' | 'bytes';
  /** Where it says how many answers it is writing. Absent: nowhere. */
  readonly running?: RunningGauge;
  /** Of several choices: one count for all, or one after the other for each. */
  readonly usageOf: 'answer' | 'choice';
  /**
   * How tenants are kept from meeting each other's prefixes: by a salt, by reusing nothing, or not at all.
   */
  readonly isolation: 'salt' | 'no-reuse' | 'none';
  readonly conversations: 'taken' | 'written';
  /** The member that takes a grammar. Absent: none does. */
  readonly grammar?: 'grammar' | 'ebnf' | 'structured_outputs';
  readonly lacks: readonly EngineMember[];
  /** How it calls "all tokens", and what repeats. Absent: it has no such members. */
  readonly sampling?: { readonly topKOff: number; readonly repetition: string };
  /** Members that every request has beside what was asked. */
  readonly fixed: Readonly<Record<string, number | boolean>>;
}

export type RunningGauge =
  | { readonly kind: 'metric'; readonly path: string; readonly name: string }
  | { readonly kind: 'slots'; readonly path: string };

const vllm: UpstreamKind = {
  name: 'vllm',
  healthPath: '/health',
  counting: 'vllm',
  running: { kind: 'metric', path: '/metrics', name: 'vllm:num_requests_running' },
  usageOf: 'answer',
  isolation: 'salt',
  conversations: 'taken',
  grammar: 'structured_outputs',
  lacks: [],
  sampling: { topKOff: -1, repetition: 'repetition_penalty' },
  fixed: {},
};

const sglang: UpstreamKind = {
  name: 'sglang',
  healthPath: '/health',
  counting: 'bytes',
  running: { kind: 'metric', path: '/metrics', name: 'sglang:num_running_reqs' },
  usageOf: 'answer',
  isolation: 'salt',
  conversations: 'taken',
  grammar: 'ebnf',
  lacks: [],
  sampling: { topKOff: -1, repetition: 'repetition_penalty' },
  fixed: {},
};

const llamaCppServer: UpstreamKind = {
  name: 'llama-cpp-server',
  healthPath: '/health',
  counting: 'llama-cpp',
  running: { kind: 'slots', path: '/slots' },
  usageOf: 'choice',
  isolation: 'no-reuse',
  conversations: 'written',
  grammar: 'grammar',
  lacks: [],
  sampling: { topKOff: 0, repetition: 'repeat_penalty' },
  // By itself it looks back over 64 tokens only.
  fixed: { timings_per_token: true, repeat_last_n: 32_768 },
};

const OUTSIDE_OPENAI: readonly EngineMember[] = [
  'top_k',
  'min_p',
  'repetition_penalty',
  'chat_template_kwargs',
];

const ollama: UpstreamKind = {
  name: 'ollama',
  healthPath: '/',
  counting: 'bytes',
  usageOf: 'answer',
  isolation: 'none',
  conversations: 'taken',
  // It takes members that it does not know without a word.
  lacks: [
    ...OUTSIDE_OPENAI,
    'prompt',
    'n',
    'logit_bias',
    'logprobs',
    'tool_choice',
    'parallel_tool_calls',
  ],
  fixed: {},
};

/** Any other server that speaks OpenAI's API, and nothing beside it. */
const openai: UpstreamKind = {
  name: 'openai',
  healthPath: '/v1/models',
  counting: 'bytes',
  usageOf: 'answer',
  isolation: 'none',
  conversations: 'taken',
  lacks: [...OUTSIDE_OPENAI, 'reasoning_effort'],
  fixed: {},
};

export const UPSTREAM_KINDS = [vllm, sglang, llamaCppServer, ollama, openai] as const;
export const UPSTREAM_KIND_NAMES = [
  'vllm',
  'sglang',
  'llama-cpp-server',
  'ollama',
  'openai',
] as const;
export type UpstreamKindName = (typeof UPSTREAM_KIND_NAMES)[number];

export function kindNamed(name: UpstreamKindName): UpstreamKind {
  return UPSTREAM_KINDS.find((kind) => kind.name === name) ?? openai;
}
