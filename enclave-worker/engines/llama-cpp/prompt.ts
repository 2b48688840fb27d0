/**
 * Prompts as tokens: what a template adds becomes control tokens, everything that somebody wrote becomes text tokens,
 * whatever it spells. Spec: openai-gateway-and-engine §5.3 "template".
 * @module
 */

import type { ChatHistoryItem, Token } from 'node-llama-cpp';
import { assert } from '../../../core/errors.ts';
import { engineError } from '../../errors.ts';
import { TOKEN_BYTES_MAX, type GenerateMessage } from './messages.ts';
import type { LoadedModel } from './model.ts';

type Prompt = GenerateMessage['prompts'][number];

/** All of a job, each within the context and all within its bound. Throws `engine.prompt_too_long`. */
export function promptTokens(
  loaded: LoadedModel,
  { prompts, maxPromptTokens }: Pick<GenerateMessage, 'prompts' | 'maxPromptTokens'>,
): readonly (readonly Token[])[] {
  assertCanFit(loaded, prompts.flatMap(textsOf), maxPromptTokens);
  const all = prompts.map((prompt) => tokensOf(loaded, prompt));
  const total = all.reduce((sum, tokens) => sum + tokens.length, 0);
  const longest = Math.max(...all.map((tokens) => tokens.length));
  if (longest >= loaded.contextTokens || total > maxPromptTokens) {
    throw engineError('engine.prompt_too_long', '', { facts: { tokens: total } });
  }
  if (all.some((tokens) => tokens.length === 0)) throw engineError('engine.failed', 'no tokens');
  return all;
}

/**
 * A text with more bytes than the longest tokens could hold cannot fit, and tokenising it to find out would hold up every
 * other job: 0.2 s a megabyte.
 */
export function assertCanFit(
  { contextTokens }: LoadedModel,
  texts: readonly string[],
  maxPromptTokens: number,
): void {
  let total = 0;
  for (const text of texts) total += Buffer.byteLength(text);
  const tokensMax = Math.min(contextTokens * Math.max(1, texts.length), maxPromptTokens);
  if (total > tokensMax * TOKEN_BYTES_MAX) throw engineError('engine.prompt_too_long', 'bytes');
}

function textsOf(prompt: Prompt): readonly string[] {
  if (prompt.kind === 'text') return [prompt.text];
  return prompt.messages.map(({ content }) => content);
}

function tokensOf(loaded: LoadedModel, prompt: Prompt): readonly Token[] {
  const { model, wrapper } = loaded;
  if (prompt.kind === 'text') return withBeginning(loaded, model.tokenize(prompt.text));
  if (wrapper === undefined) throw engineError('engine.failed', 'no template');
  const { contextText } = wrapper.generateContextState({ chatHistory: historyOf(prompt) });
  return withBeginning(loaded, contextText.tokenize(model.tokenizer));
}

function withBeginning({ model }: LoadedModel, tokens: Token[]): readonly Token[] {
  const { bos, shouldPrependBosToken } = model.tokens;
  return shouldPrependBosToken && bos !== null && tokens[0] !== bos ? [bos, ...tokens] : tokens;
}

function historyOf({ messages }: Extract<Prompt, { kind: 'chat' }>): ChatHistoryItem[] {
  const items = messages.map(({ role, content }): ChatHistoryItem => {
    if (role === 'assistant') return { type: 'model', response: [content] };
    if (role === 'system') return { type: 'system', text: content };
    return { type: 'user', text: content };
  });
  return [...items, { type: 'model', response: [] }];
}

export function lastOf(tokens: readonly Token[]): Token {
  const last = tokens.at(-1);
  assert(last !== undefined, 'a prompt has a token');
  return last;
}
