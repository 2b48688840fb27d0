/**
 * The members of a chat request that say which tools may be called and what form an answer has, in shape only: what a schema
 * means, and whether it can be honoured, is judged where the answer is made. Spec: OpenAI API reference `tools`,
 * `tool_choice`, `response_format`; openai-gateway-and-engine §2.2.
 * @module
 */

import { z } from 'zod';

export interface ToolFunction {
  readonly name: string;
  readonly description?: string | undefined;
  /** A JSON Schema of an object, unread. Absent: no arguments. */
  readonly parameters?: unknown;
  /** Asked for by name. Where the form of calls is made here they follow the schema in any case. */
  readonly strict?: true;
}

export type ToolChoice =
  | { readonly kind: 'none' }
  | { readonly kind: 'auto' }
  | { readonly kind: 'required' }
  | { readonly kind: 'function'; readonly name: string };

export type AnswerFormat =
  | { readonly kind: 'text' }
  | { readonly kind: 'json_object' }
  /** `schema` is unread JSON. */
  | { readonly kind: 'json_schema'; readonly schema: unknown };

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON text of an object, as the model wrote it. */
  readonly arguments: string;
}

const TOOLS_MAX = 128;
const NAME_MAX_CHARS = 64;
const ID_MAX_CHARS = 256;
const TEXT_MAX_CHARS = 8_388_608;

const NAME = z
  .string()
  .min(1)
  .max(NAME_MAX_CHARS)
  .regex(/^[A-Za-z0-9_-]+$/);

const TOOL = z.strictObject({
  type: z.literal('function'),
  function: z.strictObject({
    name: NAME,
    description: z.string().max(TEXT_MAX_CHARS).nullish(),
    parameters: z.unknown().optional(),
    strict: z.boolean().nullish(),
  }),
});

const CHOICE = z.union([
  z.enum(['none', 'auto', 'required']),
  z.strictObject({ type: z.literal('function'), function: z.strictObject({ name: NAME }) }),
]);

const FORMAT = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({
    type: z.literal('json_schema'),
    json_schema: z.strictObject({
      name: NAME,
      description: z.string().max(TEXT_MAX_CHARS).nullish(),
      schema: z.unknown().optional(),
      strict: z.boolean().nullish(),
    }),
  }),
]);

export const TOOL_FIELDS = {
  tools: z.array(TOOL).max(TOOLS_MAX).nullish(),
  tool_choice: CHOICE.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  response_format: FORMAT.nullish(),
};

const FIELDS = z.object(TOOL_FIELDS);
type ToolFields = z.infer<typeof FIELDS>;

export const TOOL_CALL_ID = z.string().min(1).max(ID_MAX_CHARS);

/** As an app sends an earlier call back. */
export const TOOL_CALLS = z
  .array(
    z.strictObject({
      id: TOOL_CALL_ID,
      type: z.literal('function'),
      function: z.strictObject({ name: NAME, arguments: z.string().max(TEXT_MAX_CHARS) }),
    }),
  )
  .max(TOOLS_MAX);

export interface Tooling {
  readonly tools: readonly ToolFunction[];
  readonly toolChoice: ToolChoice;
  readonly parallelToolCalls: boolean;
  readonly format: AnswerFormat;
}

export function toolingOf(fields: ToolFields): Tooling {
  const tools = (fields.tools ?? []).map(({ function: tool }) => ({
    name: tool.name,
    description: tool.description ?? undefined,
    parameters: tool.parameters,
    ...(tool.strict === true && { strict: true as const }),
  }));
  return {
    tools,
    toolChoice: tools.length === 0 ? { kind: 'none' } : choiceOf(fields.tool_choice),
    parallelToolCalls: fields.parallel_tool_calls ?? true,
    format: formatOf(fields.response_format),
  };
}

function choiceOf(choice: ToolFields['tool_choice']): ToolChoice {
  if (choice === null || choice === undefined) return { kind: 'auto' };
  if (typeof choice === 'string') return { kind: choice };
  return { kind: 'function', name: choice.function.name };
}

function formatOf(format: ToolFields['response_format']): AnswerFormat {
  if (format === null || format === undefined || format.type === 'text') return { kind: 'text' };
  if (format.type === 'json_object') return { kind: 'json_object' };
  const { schema } = format.json_schema;
  if (schema === null || schema === undefined) return { kind: 'json_object' };
  return { kind: 'json_schema', schema };
}

/** The name of a member that stands without what it needs. */
export function toolConflict(fields: ToolFields): string | undefined {
  const names = (fields.tools ?? []).map((tool) => tool.function.name);
  const doubled = names.findIndex((name, at) => names.indexOf(name) !== at);
  if (doubled !== -1) return `tools.${doubled}.function.name`;
  const { tool_choice: choice } = fields;
  if (choice === 'required' && names.length === 0) return 'tool_choice';
  if (typeof choice !== 'object' || choice === null) return undefined;
  return names.includes(choice.function.name) ? undefined : 'tool_choice';
}
