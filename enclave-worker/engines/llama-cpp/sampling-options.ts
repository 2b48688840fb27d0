/**
 * What was asked about drawing tokens, in the library's words. Spec: OpenAI API reference "Create chat completion";
 * openai-gateway-and-engine §5.3.
 * @module
 */

import {
  LlamaGrammarEvaluationState,
  TokenBias,
  type LlamaGrammar,
  type LlamaModel,
  type SequenceEvaluateOptions,
  type Token,
} from 'node-llama-cpp';
import { engineError } from '../../errors.ts';
import { SEEDS, type GenerateMessage } from './messages.ts';
import type { LoadedModel } from './model.ts';

export interface Drawing {
  readonly loaded: LoadedModel;
  readonly message: GenerateMessage;
  readonly choice: number;
  readonly limit: number;
  readonly bias: TokenBias | undefined;
  readonly grammar: LlamaGrammar | undefined;
}

/** `generated` grows while the options are in use. */
export function samplingOptions(
  { loaded, message, choice, limit, bias, grammar }: Drawing,
  generated: Token[],
): SequenceEvaluateOptions {
  const { temperature, topP, frequencyPenalty, presencePenalty } = message;
  const { topK = 0, minP = 0, repetitionPenalty = 1 } = message;
  const isPunished = frequencyPenalty !== 0 || presencePenalty !== 0 || repetitionPenalty !== 1;
  return {
    temperature,
    topP,
    topK,
    minP,
    seed: (message.seed + choice) % SEEDS,
    ...(bias !== undefined && { tokenBias: bias }),
    ...(grammar !== undefined && {
      grammarEvaluationState: new LlamaGrammarEvaluationState({ model: loaded.model, grammar }),
    }),
    ...(isPunished && {
      repeatPenalty: {
        // Only what was generated, as OpenAI counts.
        punishTokens: () => generated,
        maxPunishTokens: limit,
        penalty: repetitionPenalty,
        frequencyPenalty,
        presencePenalty,
      },
    }),
  };
}

/**
 * Throws `engine.logit_bias` for a token that the model does not have, and for one that ends an answer: the library leaves
 * those alone without saying so.
 */
export function biasOf(
  { model }: LoadedModel,
  { logitBias, grammar }: GenerateMessage,
): TokenBias | undefined {
  if (logitBias.length === 0 && grammar === undefined) return undefined;
  const wanted = new Map<number, number>(logitBias);
  const bias = TokenBias.for(model);
  if (grammar !== undefined) bias.set(controlTokens(model), 'never');
  if (wanted.size === 0) return bias;
  for (const token of model.iterateAllTokens()) {
    const logit = wanted.get(token);
    if (logit === undefined) continue;
    if (model.isEogToken(token)) throw engineError('engine.logit_bias');
    bias.set([token], { logit });
    wanted.delete(token);
  }
  if (wanted.size > 0) throw engineError('engine.logit_bias');
  return bias;
}

const CONTROL_TOKENS = new WeakMap<LlamaModel, Token[]>();

/** A grammar takes them by their names, inside a string even, and in the answer they are nothing. */
function controlTokens(model: LlamaModel): Token[] {
  const known = CONTROL_TOKENS.get(model);
  if (known !== undefined) return known;
  const tokens = [...model.iterateAllTokens()].filter(
    (token) => model.getTokenAttributes(token).control && !model.isEogToken(token),
  );
  CONTROL_TOKENS.set(model, tokens);
  return tokens;
}

/** Throws what the library throws for one that it cannot read; ours it can. */
export async function grammarOf(
  { llama }: LoadedModel,
  { grammar }: GenerateMessage,
): Promise<LlamaGrammar | undefined> {
  return grammar === undefined ? undefined : llama.createGrammar({ grammar });
}
