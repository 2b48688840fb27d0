/**
 * The form that an answer is made to have: calls of tools, JSON, a schema; as a grammar that the engine writes under, or the
 * reason why it cannot be honoured. Spec: docs/structured-output.md; openai-gateway-and-engine §2.2.
 * @module
 */

import type { ChatRequest } from '../protocol/openai/chat.ts';
import type { OpenAiFailure } from '../protocol/openai/errors.ts';
import type { AnswerFormat, ToolFunction } from '../protocol/openai/tools.ts';
import {
  jsonObjectGrammar,
  refusalFailure,
  schemaGrammar,
  toolGrammar,
  type GrammarDecision,
  type PlainAnswer,
} from './grammar/grammar.ts';

export interface AnswerForm {
  readonly grammar: string | undefined;
  /** What the model is told of. */
  readonly tools: readonly ToolFunction[];
  /** Present: the answer may hold calls, and is of this kind without them. */
  readonly toolAnswer: 'text' | 'json' | undefined;
}

export type FormDecision =
  | { readonly outcome: 'formed'; readonly form: AnswerForm }
  | { readonly outcome: 'refused'; readonly failure: OpenAiFailure };

const SCHEMA_PARAM = 'response_format.json_schema.schema';

export function formOf({
  tools,
  toolChoice,
  parallelToolCalls,
  format,
}: Pick<ChatRequest, 'tools' | 'toolChoice' | 'parallelToolCalls' | 'format'>): FormDecision {
  if (toolChoice.kind === 'none') return formatForm(format);
  const answer = plainAnswerOf(format);
  const grammar = toolGrammar({ tools, choice: toolChoice, parallel: parallelToolCalls, answer });
  return formed(grammar, tools, format.kind === 'text' ? 'text' : 'json');
}

function formatForm(format: AnswerFormat): FormDecision {
  if (format.kind === 'text') {
    const form = { grammar: undefined, tools: [], toolAnswer: undefined };
    return { outcome: 'formed', form };
  }
  if (format.kind === 'json_schema') {
    return formed(schemaGrammar(format.schema, SCHEMA_PARAM), [], undefined);
  }
  return formed({ outcome: 'compiled', grammar: jsonObjectGrammar() }, [], undefined);
}

function plainAnswerOf(format: AnswerFormat): PlainAnswer {
  return format.kind === 'json_schema' ? { ...format, param: SCHEMA_PARAM } : format;
}

function formed(
  decision: GrammarDecision,
  tools: readonly ToolFunction[],
  toolAnswer: AnswerForm['toolAnswer'],
): FormDecision {
  if (decision.outcome === 'refused') {
    return { outcome: 'refused', failure: refusalFailure(decision.refusal) };
  }
  return { outcome: 'formed', form: { grammar: decision.grammar, tools, toolAnswer } };
}
