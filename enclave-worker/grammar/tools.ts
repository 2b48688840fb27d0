/**
 * The grammar of an answer that may or must call tools. While the model may also answer in words, every text is allowed
 * that does not open a call; once one is opened, nothing but a call of a tool that exists, with arguments that satisfy
 * its schema, can follow. Spec: docs/structured-output.md "Tool calls"; OpenAI API reference `tool_choice`.
 * @module
 */

import { charClass } from './automaton-rules.ts';
import { charsOf, complement } from './char-set.ts';
import { Emitter } from './emit.ts';
import { objectRule } from './free-json.ts';
import { PARALLEL_CALLS_MAX, TOOL_NAME_MAX_CHARS, TOOLS_MAX } from './limits.ts';
import { readSchema } from './read.ts';
import { refuse, type Path } from './refusal.ts';
import { literal, oneOf, type Rules } from './rules.ts';
import {
  CALL_ARGUMENTS,
  CALL_CLOSE,
  CALL_NAME,
  CALL_NEXT,
  CALL_OPEN,
  type ToolFunction,
} from './tool-text.ts';
import { trieRule } from './trie.ts';
import type { Work } from './work.ts';

export type ToolChoice =
  /** Words or calls. */
  | { readonly kind: 'auto' }
  /** At least one call. */
  | { readonly kind: 'required' }
  /** One call of this tool. */
  | { readonly kind: 'function'; readonly name: string };

/** What an answer without calls is: any text, or what `response_format` asks for. */
export type PlainAnswer =
  | { readonly kind: 'text' }
  | { readonly kind: 'json_object' }
  | { readonly kind: 'json_schema'; readonly schema: unknown; readonly param: string };

export interface ToolRequest {
  readonly tools: readonly ToolFunction[];
  /** `none` is not here: without calls there is no grammar of calls. */
  readonly choice: ToolChoice;
  /** `parallel_tool_calls`; OpenAI's default is true. */
  readonly parallel: boolean;
  /** Only looked at when the choice is `auto`. */
  readonly answer: PlainAnswer;
}

const TOP: Path = ['tools'];

/** The rule of the whole answer. Throws `grammar.*` with `tools.N.function.parameters…`, `tools`, or `tool_choice`. */
export function toolRule(rules: Rules, request: ToolRequest, work: Work): string {
  assertTools(request.tools);
  const { choice, answer } = request;
  const parallel = request.parallel && choice.kind !== 'function';
  const calls = callsRule(rules, callRule(rules, request, work), parallel);
  if (choice.kind === 'auto' && answer.kind === 'text') return wordsRule(rules, calls);
  const plain =
    choice.kind === 'auto' && answer.kind !== 'text' ? [answerRule(rules, answer, work)] : [];
  const refs = [...plain, calls];
  return rules.add({
    body: oneOf([...plain, `${literal(CALL_OPEN)} ${calls}`]),
    needs: [refs],
    refs,
    openPaths: 1,
    path: TOP,
  });
}

function answerRule(
  rules: Rules,
  answer: Exclude<PlainAnswer, { readonly kind: 'text' }>,
  work: Work,
): string {
  if (answer.kind === 'json_object') return objectRule(rules, TOP);
  const graph = readSchema(answer.schema, answer.param.split('.'));
  return new Emitter(graph, rules, work).root();
}

function assertTools(tools: readonly ToolFunction[]): void {
  if (tools.length === 0) throw refuse('grammar.invalid', [], 'tools');
  if (tools.length > TOOLS_MAX) throw refuse('grammar.limit', [], 'tools');
  const names = new Set<string>();
  tools.forEach(({ name }, index) => {
    const isName = /^[A-Za-z0-9_-]+$/.test(name) && name.length <= TOOL_NAME_MAX_CHARS;
    if (!isName || names.has(name)) {
      throw refuse('grammar.invalid', ['tools', String(index), 'function'], 'name');
    }
    names.add(name);
  });
}

/** A call without its opening. */
function callRule(rules: Rules, { tools, choice }: ToolRequest, work: Work): string {
  const chosen = tools
    .map((tool, index) => ({ tool, index }))
    .filter(({ tool }) => choice.kind !== 'function' || tool.name === choice.name);
  if (chosen.length === 0) throw refuse('grammar.invalid', [], 'tool_choice');
  const endings = chosen.map(({ tool, index }) => ({
    text: `${CALL_NAME}${tool.name}${CALL_ARGUMENTS}`,
    next: argumentsRule(rules, tool, index, work),
  }));
  const named = trieRule(rules, endings, TOP);
  const body = `${named} ${literal(CALL_CLOSE)}`;
  return rules.add({ body, needs: [[named]], refs: [named], openPaths: 1, path: TOP });
}

function argumentsRule(
  rules: Rules,
  { parameters }: ToolFunction,
  index: number,
  work: Work,
): string {
  const path = ['tools', String(index), 'function', 'parameters'];
  if (parameters === undefined || parameters === null) return rules.flat('"{" "}"', path);
  const graph = readSchema(parameters, path);
  const emitter = new Emitter(graph, rules, work);
  const isObject = emitter.kinds().every((kind) => kind === 'object' || kind === 'record');
  if (!isObject) throw refuse('grammar.unsupported', path, 'type');
  return emitter.root();
}

function callsRule(rules: Rules, call: string, parallel: boolean): string {
  if (!parallel) return call;
  const next = rules.add({
    body: `${literal(CALL_NEXT + CALL_OPEN)} ${call}`,
    needs: [[call]],
    refs: [call],
    openPaths: 1,
    path: TOP,
  });
  return rules.add({
    body: `${call} ${next}{0,${PARALLEL_CALLS_MAX - 1}}`,
    needs: [[call]],
    refs: [call, next],
    openPaths: 1,
    path: TOP,
  });
}

/**
 * Any text; where it has spelled the opening of a call, the calls. One state for each character of the opening that the
 * text ends with; its first character occurs in it once, so that a mismatch falls back to the start.
 */
function wordsRule(rules: Rules, calls: string): string {
  const [first = ''] = CALL_OPEN;
  const names = Array.from(CALL_OPEN, () => rules.reserve(TOP));
  const [start = ''] = names;
  Array.from(CALL_OPEN).forEach((char, at) => {
    const next = names[at + 1] ?? calls;
    const again = char === first ? [] : [`${literal(first)} ${names[1] ?? ''}`];
    const other = `${charClass(complement(charsOf(first + char)))} ${start}`;
    const body = oneOf([`${literal(char)} ${next}`, ...again, other, '""']);
    const refs = [next, start, names[1] ?? ''];
    // The calls are counted as needed, because a model that opens one must be able to end it.
    const needs = at + 1 === CALL_OPEN.length ? [[calls]] : [[]];
    rules.define(names[at] ?? '', { body, needs, refs, openPaths: 1, path: TOP });
  });
  return start;
}
