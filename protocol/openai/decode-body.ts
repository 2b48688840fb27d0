/**
 * How request bodies are judged, whatever the endpoint: every member is honoured, accepted because it changes nothing, or
 * refused with its name; none is ignored in silence. Spec: openai-gateway-and-engine §2.2.
 * @module
 */

import type { z } from 'zod';
import { openAiFailure, type OpenAiFailure } from './errors.ts';

export interface Refused {
  readonly outcome: 'refused';
  readonly failure: OpenAiFailure;
}

export type Decision<Request> =
  | { readonly outcome: 'decoded'; readonly request: Request }
  | Refused;

/** What one endpoint knows. `Fields` are the members that it honours or that change nothing. */
export interface BodyRules<Fields> {
  readonly schema: z.ZodType<Fields>;
  readonly known: ReadonlySet<string>;
  /** Members that nobody here honours, each with the values that ask for nothing. */
  readonly neutralOnly: Readonly<Record<string, z.ZodType>>;
  /** Known to OpenAI's API and served by nobody here. */
  readonly never: ReadonlySet<string>;
}

const PARAM_MAX_CHARS = 96;

/** `body` is untrusted JSON. What is refused is named, never with the value that came. */
export function decodeBody<Fields>(
  body: unknown,
  rules: BodyRules<Fields>,
): { readonly outcome: 'fields'; readonly fields: Fields } | Refused {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return refuse('invalid_value');
  }
  for (const [name, value] of Object.entries(body)) {
    const refusal = unservedMember(rules, name, value);
    if (refusal !== undefined) return refusal;
  }
  const parsed = rules.schema.safeParse(body);
  if (!parsed.success) return refuseIssue(parsed.error.issues[0]);
  return { outcome: 'fields', fields: parsed.data };
}

function unservedMember<Fields>(
  { known, neutralOnly, never }: BodyRules<Fields>,
  name: string,
  value: unknown,
): Refused | undefined {
  if (known.has(name)) {
    const stores = name === 'store' && value === true;
    return stores ? refuse('unsupported_parameter', name) : undefined;
  }
  if (value === null && (never.has(name) || Object.hasOwn(neutralOnly, name))) return undefined;
  if (never.has(name)) return refuse('unsupported_parameter', name);
  const neutral = Object.hasOwn(neutralOnly, name) ? neutralOnly[name] : undefined;
  if (neutral === undefined) return refuse('unknown_parameter', name);
  return neutral.safeParse(value).success ? undefined : refuse('unsupported_parameter', name);
}

export function refuse(
  code: 'invalid_value' | 'unknown_parameter' | 'unsupported_parameter',
  param?: string,
): Refused {
  const named = param === undefined || !isParamName(param) ? {} : { param };
  return { outcome: 'refused', failure: openAiFailure(code, named) };
}

/** A parameter's name goes back to the sender; text that could be content does not. */
function isParamName(param: string): boolean {
  return param.length <= PARAM_MAX_CHARS && /^[A-Za-z0-9_.$-]+$/.test(param);
}

/** Members of a message or a part that exist in OpenAI's API and that nobody here can honour. */
const UNSERVED_MEMBERS = new Set(['name', 'audio', 'tool_calls', 'function_call', 'tool_call_id']);
/** Where a word that is not served stands, such as a role, a kind of part or a kind of tool. */
const UNSERVED_WORDS = [
  /^messages\.\d+\.role$/,
  /^messages\.\d+\.content\.\d+\.type$/,
  /^messages\.\d+\.tool_calls\.\d+\.type$/,
  /^tools\.\d+\.type$/,
  /^tool_choice\.type$/,
  /^response_format\.type$/,
];

function refuseIssue(issue: z.core.$ZodIssue | undefined): Refused {
  if (issue === undefined) return refuse('invalid_value');
  const deepest = deepestIssue(issue);
  const path = deepest.path.map(String).join('.');
  if (deepest.code === 'unrecognized_keys') {
    const [key = ''] = deepest.keys;
    const code = UNSERVED_MEMBERS.has(key) ? 'unsupported_parameter' : 'unknown_parameter';
    return refuse(code, path === '' ? key : `${path}.${key}`);
  }
  if (UNSERVED_WORDS.some((place) => place.test(path))) {
    return refuse('unsupported_parameter', path);
  }
  return refuse('invalid_value', path);
}

interface FoundIssue {
  readonly code: string;
  readonly path: readonly PropertyKey[];
  readonly keys: readonly string[];
}

/** A union reports each branch; the branch that got furthest is the one that was meant. */
function deepestIssue(issue: z.core.$ZodIssue): FoundIssue {
  const here: FoundIssue = {
    code: issue.code,
    path: issue.path,
    keys: issue.code === 'unrecognized_keys' ? issue.keys : [],
  };
  if (issue.code !== 'invalid_union') return here;
  const inner = issue.errors
    .flat()
    .map(deepestIssue)
    .map((found) => ({ ...found, path: [...issue.path, ...found.path] }));
  return inner.reduce((best, found) => (found.path.length > best.path.length ? found : best), here);
}
