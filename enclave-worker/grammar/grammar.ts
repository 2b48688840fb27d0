/**
 * From what an app may ask of an answer's form to a grammar that the engine samples under (GBNF, as llama.cpp reads
 * it): a JSON Schema, any JSON object, calls of tools. Nothing here knows an engine, and nothing is ignored: what cannot
 * be honoured is refused by keyword and path. Spec: docs/structured-output.md; openai-gateway-and-engine §5.5, C09–C11.
 * @module
 */

import { Emitter } from './emit.ts';
import { objectRule } from './free-json.ts';
import { readSchema } from './read.ts';
import { refusalOf, type SchemaRefusal } from './refusal.ts';
import { Rules } from './rules.ts';
import { toolRule, type ToolRequest } from './tools.ts';
import { Work } from './work.ts';

export { refusalFailure, type SchemaRefusal } from './refusal.ts';
export type { ToolFunction } from './tool-text.ts';
export type { PlainAnswer, ToolChoice, ToolRequest } from './tools.ts';

export type GrammarDecision =
  | {
      readonly outcome: 'compiled';
      /** GBNF with the start rule `root`. It always parses: llama.cpp prints one that does not. */
      readonly grammar: string;
    }
  | { readonly outcome: 'refused'; readonly refusal: SchemaRefusal };

/**
 * For `response_format: {type: 'json_schema'}`. `schema` is untrusted JSON as `parseJson` gives it; `param` says where it
 * stands in the request, for the refusal. Every text of the grammar is JSON that satisfies the schema.
 */
export function schemaGrammar(schema: unknown, param: string): GrammarDecision {
  return decide(() => {
    const rules = new Rules();
    const graph = readSchema(schema, param.split('.'));
    return rules.text(new Emitter(graph, rules, new Work()).root());
  });
}

/** For `response_format: {type: 'json_object'}`: one JSON object of bounded depth. */
export function jsonObjectGrammar(): string {
  const rules = new Rules();
  return rules.text(objectRule(rules, []));
}

/**
 * For `tools` with `tool_choice` auto, required or named; with none there is nothing to compile and nothing to read.
 * What the model writes under it is read by `ToolCallReader` (tool-calls.ts), what the model is shown of tools is made
 * in tool-text.ts. Refusals name `tools.N.function.parameters…`, `tools.N.function.name`, `tools`, `tool_choice`, or what
 * `answer` says.
 */
export function toolGrammar(request: ToolRequest): GrammarDecision {
  return decide(() => {
    const rules = new Rules();
    return rules.text(toolRule(rules, request, new Work()));
  });
}

/** Turns what `refuse` throws into an answer. Everything else is a bug and stays an error. */
function decide(compile: () => string): GrammarDecision {
  try {
    return { outcome: 'compiled', grammar: compile() };
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === undefined) throw error;
    return { outcome: 'refused', refusal };
  }
}
