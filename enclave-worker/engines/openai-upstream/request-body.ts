/**
 * A job in the words of an upstream: always as a stream, so that an abort takes effect and tokens are counted as they come;
 * with every member that was asked for, and with those said that its own defaults would decide otherwise. Spec:
 * openai-gateway-and-engine §6 rules 1 and 2.
 * @module
 */

import { hmacSha256, randomBytes } from '#primitives';
import { toHex, utf8 } from '../../../core/bytes.ts';
import { assert } from '../../../core/errors.ts';
import { CHAT_PATH, COMPLETIONS_PATH } from '../../../protocol/openai/endpoints.ts';
import type { ChatMessage } from '../../../protocol/openai/chat.ts';
import type { Sampling } from '../../../protocol/openai/sampling.ts';
import type { AnswerFormat, ToolChoice, Tooling } from '../../../protocol/openai/tools.ts';
import type { ChatTurn, GenerateJob, Prompt } from '../../engine.ts';
import type { UpstreamKind } from './kinds.ts';
import type { Upstream } from './upstream.ts';

type Body = Readonly<Record<string, unknown>>;

export interface UpstreamRequest {
  readonly path: typeof CHAT_PATH | typeof COMPLETIONS_PATH;
  readonly body: Body;
}

/** Known to this process alone: what an upstream sees of a tenant is good for nothing anywhere else. */
const SALT_KEY = randomBytes(32);
/** vLLM takes no zero; whoever asks for the likeliest token alone gets it with this too. */
const TOP_P_MIN = 1e-6;
/** Of 31 bits, which every server takes. */
const SEEDS = 0x7fffffff;

export function requestOf(
  { kind, config }: Upstream,
  job: GenerateJob,
  maxTokens: number,
): UpstreamRequest {
  const { path, body } = promptOf(job.prompts);
  return {
    path,
    body: {
      model: config.model,
      ...body,
      stream: true,
      stream_options: { include_usage: true, continuous_usage_stats: isContinuous(kind) },
      max_tokens: maxTokens,
      n: job.choices,
      ...samplingBody(kind, job.sampling),
      ...(job.stop.length > 0 && { stop: job.stop }),
      ...logprobsBody(job),
      ...grammarBody(kind, job.grammar),
      ...(job.reasoningEffort !== undefined && { reasoning_effort: job.reasoningEffort }),
      ...(job.templateArguments !== undefined && { chat_template_kwargs: job.templateArguments }),
      ...isolationBody({ kind, config }, job.cacheNamespace),
      ...kind.fixed,
    },
  };
}

function isContinuous({ isolation }: UpstreamKind): boolean | undefined {
  return isolation === 'salt' ? true : undefined;
}

/** What the tokens of a prompt are counted from. */
export function promptOf(prompts: readonly Prompt[]): UpstreamRequest {
  const [first] = prompts;
  assert(first !== undefined, 'a generation of nothing');
  if (first.kind === 'text') {
    const texts = prompts.map((prompt) => (prompt.kind === 'text' ? prompt.text : ''));
    return { path: COMPLETIONS_PATH, body: { prompt: texts.length === 1 ? first.text : texts } };
  }
  assert(prompts.length === 1, 'one chat at a time');
  if (first.kind === 'chat') {
    return { path: CHAT_PATH, body: { messages: first.messages.map(plainTurn) } };
  }
  const messages = first.messages.map(messageBody);
  return { path: CHAT_PATH, body: { messages, ...toolingBody(first.tooling) } };
}

function plainTurn({ role, content }: ChatTurn): Body {
  return { role, content };
}

function messageBody(message: ChatMessage): Body {
  const { role, content } = message;
  if (role === 'tool') return { role, content, tool_call_id: message.toolCallId };
  if (role !== 'assistant') return { role, content };
  const calls = message.toolCalls.map(({ id, name, arguments: given }) => ({
    id,
    type: 'function',
    function: { name, arguments: given },
  }));
  return {
    role,
    content: content === '' && calls.length > 0 ? null : content,
    ...(calls.length > 0 && { tool_calls: calls }),
    ...(message.reasoning !== undefined && { reasoning_content: message.reasoning }),
  };
}

function toolingBody({ tools, toolChoice, parallelToolCalls, format }: Tooling): Body {
  if (toolChoice.kind === 'none') return formatBody(format);
  return {
    tools: tools.map(({ name, description, parameters }) => ({
      type: 'function',
      function: {
        name,
        ...(description !== undefined && { description }),
        parameters: parameters ?? { type: 'object', properties: {} },
      },
    })),
    ...choiceBody(toolChoice),
    ...(!parallelToolCalls && { parallel_tool_calls: false }),
    ...formatBody(format),
  };
}

/** `auto` is what every server does without the member; some take no other. */
function choiceBody(choice: ToolChoice): Body {
  if (choice.kind === 'required') return { tool_choice: 'required' };
  if (choice.kind !== 'function') return {};
  return { tool_choice: { type: 'function', function: { name: choice.name } } };
}

function formatBody(format: AnswerFormat): Body {
  if (format.kind === 'text') return {};
  if (format.kind === 'json_object') return { response_format: { type: 'json_object' } };
  const schema = { name: 'answer', schema: format.schema, strict: true };
  return { response_format: { type: 'json_schema', json_schema: schema } };
}

function samplingBody({ sampling: words }: UpstreamKind, sampling: Sampling): Body {
  const { temperature, topP, frequencyPenalty, presencePenalty, logitBias, seed } = sampling;
  const { topK = 0, minP = 0, repetitionPenalty = 1 } = sampling;
  return {
    temperature,
    top_p: Math.max(TOP_P_MIN, topP),
    ...(frequencyPenalty !== 0 && { frequency_penalty: frequencyPenalty }),
    ...(presencePenalty !== 0 && { presence_penalty: presencePenalty }),
    ...(logitBias.length > 0 && { logit_bias: Object.fromEntries(logitBias) }),
    ...(seed !== undefined && { seed: ((seed % SEEDS) + SEEDS) % SEEDS }),
    // Said also when they ask for nothing: servers and models bring defaults of their own.
    ...(words !== undefined && {
      top_k: topK === 0 ? words.topKOff : topK,
      min_p: minP,
      [words.repetition]: repetitionPenalty,
    }),
  };
}

function logprobsBody({ topLogprobs }: GenerateJob): Body {
  return topLogprobs === undefined ? {} : { logprobs: true, top_logprobs: topLogprobs };
}

function grammarBody({ grammar: member }: UpstreamKind, grammar: string | undefined): Body {
  if (grammar === undefined) return {};
  assert(member !== undefined, 'a grammar for an upstream that takes none');
  return { [member]: member === 'structured_outputs' ? { grammar } : grammar };
}

/** A tenant is a salted key and nothing else; without a namespace nobody's prefix is met, not even one's own. */
function isolationBody(
  { kind, config }: Pick<Upstream, 'kind' | 'config'>,
  namespace: string | undefined,
): Body {
  const isShared = config.prefixCache === 'shared';
  if (kind.isolation === 'no-reuse') return { cache_prompt: isShared };
  if (kind.isolation === 'none' || isShared) return {};
  const salt = namespace === undefined ? randomBytes(32) : hmacSha256(SALT_KEY, utf8(namespace));
  return { cache_salt: toHex(salt) };
}
