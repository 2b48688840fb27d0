/**
 * The members of a request that not every engine honours, and what each engine offers of them. What is asked for and not
 * offered is refused by its name before the engine hears of it; nothing is left out in silence. Spec:
 * openai-gateway-and-engine §2.2, §6.
 * @module
 */

import type { ChatRequest } from '../protocol/openai/chat.ts';
import type { Sampling } from '../protocol/openai/sampling.ts';
import type { Tooling } from '../protocol/openai/tools.ts';

export const ENGINE_MEMBERS = [
  'prompt',
  'n',
  'seed',
  'stop',
  'frequency_penalty',
  'presence_penalty',
  'logit_bias',
  'logprobs',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'response_format',
  'top_k',
  'min_p',
  'repetition_penalty',
  'reasoning_effort',
  'chat_template_kwargs',
] as const;
export type EngineMember = (typeof ENGINE_MEMBERS)[number];

export interface EngineOffers {
  /**
   * `taken`: tools and forms of answers go to the engine as they were asked. `written`: they are put into the prompt and a
   * grammar here.
   */
  readonly conversations: 'taken' | 'written';
  readonly lacks: ReadonlySet<EngineMember>;
  /** Whether probabilities are told of plain text completions too. Absent: they are. */
  readonly textLogprobs?: 'untold';
}

/** Of an engine that says nothing: what OpenAI's API has, and nothing beside it. */
export const PLAIN_OFFERS: EngineOffers = {
  conversations: 'written',
  lacks: new Set([
    'top_k',
    'min_p',
    'repetition_penalty',
    'reasoning_effort',
    'chat_template_kwargs',
  ]),
};

/** What chat and text requests have in common, and what chats have beside it. */
export type AskedMembers = Pick<ChatRequest, 'choices' | 'stop' | 'topLogprobs'> & {
  readonly sampling: Sampling;
  readonly prompts: number;
} & Partial<Tooling & Pick<ChatRequest, 'reasoningEffort' | 'templateArguments'>>;

/** The first member that asks for something the engine does not offer. */
export function lackedMember(asked: AskedMembers, offers: EngineOffers): EngineMember | undefined {
  const isText = asked.format === undefined;
  if (isText && offers.textLogprobs === 'untold' && asked.topLogprobs !== undefined) {
    return 'logprobs';
  }
  return membersAsked(asked).find((member) => offers.lacks.has(member));
}

/** Those that ask for something: a value that changes nothing is no question. */
function membersAsked(asked: AskedMembers): readonly EngineMember[] {
  const { sampling, tools = [], toolChoice, format, templateArguments = {} } = asked;
  const { topK = 0, minP = 0, repetitionPenalty = 1, seed } = sampling;
  const hasTools = tools.length > 0 && toolChoice?.kind !== 'none';
  const isForced = toolChoice?.kind === 'required' || toolChoice?.kind === 'function';
  const asks: Readonly<Record<EngineMember, boolean>> = {
    prompt: asked.prompts > 1,
    n: asked.choices > 1,
    seed: seed !== undefined,
    stop: asked.stop.length > 0,
    frequency_penalty: sampling.frequencyPenalty !== 0,
    presence_penalty: sampling.presencePenalty !== 0,
    logit_bias: sampling.logitBias.length > 0,
    logprobs: asked.topLogprobs !== undefined,
    tools: hasTools,
    tool_choice: hasTools && isForced,
    parallel_tool_calls: hasTools && asked.parallelToolCalls === false,
    response_format: format !== undefined && format.kind !== 'text',
    top_k: topK > 0,
    min_p: minP > 0,
    repetition_penalty: repetitionPenalty !== 1,
    reasoning_effort: !['none', undefined].includes(asked.reasoningEffort),
    chat_template_kwargs: Object.keys(templateArguments).length > 0,
  };
  return ENGINE_MEMBERS.filter((member) => asks[member]);
}
