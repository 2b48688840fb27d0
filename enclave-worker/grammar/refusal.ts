/**
 * Why a schema is refused: which keyword, and where it stands. The path is made of what the sender named and goes back
 * to the sender alone; names that could be text are replaced by their position. Spec: openai-gateway-and-engine §2.9
 * C11, STYLE §6.
 * @module
 */

import { defineErrors, VeilError, type ErrorSpec } from '../../core/errors.ts';
import { openAiFailure, type OpenAiFailure } from '../../protocol/openai/errors.ts';
import { PARAM_MAX_CHARS, PARAM_STEP_MAX_CHARS } from './limits.ts';

const REFUSED = { status: 400, recovery: 'fix_request' } as const satisfies Partial<ErrorSpec>;

const TABLE = {
  /** Known to JSON Schema, or to nobody; this compiler cannot honour it. */
  'grammar.unsupported': {
    ...REFUSED,
    public: 'The schema uses a keyword, or a combination of keywords, that is not supported.',
  },
  /** The keyword is supported and its value is not one that it may have. */
  'grammar.invalid': { ...REFUSED, public: 'The schema has a keyword whose value is not valid.' },
  /** No finite text satisfies it. */
  'grammar.unsatisfiable': { ...REFUSED, public: 'Nothing can satisfy this part of the schema.' },
  'grammar.limit': { ...REFUSED, public: 'The schema is larger or more complex than allowed.' },
} as const satisfies Readonly<Record<string, ErrorSpec>>;

export const grammarError = defineErrors(TABLE);

export type RefusalCode = keyof typeof TABLE;

/** The way from the top of the parameter to a schema inside it. */
export type Path = readonly string[];

export interface SchemaRefusal {
  readonly code: RefusalCode;
  /** From the top of the request, the keyword included: `response_format.json_schema.schema.properties.a.pattern`. */
  readonly param: string;
  readonly keyword: string;
}

/** Throws nothing itself; `throw refuse(...)` ends the compilation, and `refusalOf` turns it into an answer. */
export function refuse(code: RefusalCode, path: Path, keyword: string): VeilError {
  const name = keywordName(keyword);
  return grammarError(code, '', { facts: { param: paramOf([...path, name]), keyword: name } });
}

/** What `refuse` said, or undefined for every other error. */
export function refusalOf(error: unknown): SchemaRefusal | undefined {
  if (!(error instanceof VeilError) || !isRefusalCode(error.code)) return undefined;
  const { param, keyword } = error.facts;
  if (typeof param !== 'string' || typeof keyword !== 'string') return undefined;
  return { code: error.code, param, keyword };
}

/** What an OpenAI client is told: 400 with the keyword in the message and its path in `param`. */
export function refusalFailure({ code, param, keyword }: SchemaRefusal): OpenAiFailure {
  const unsupported = code === 'grammar.unsupported' || code === 'grammar.limit';
  return openAiFailure(unsupported ? 'unsupported_parameter' : 'invalid_value', {
    param,
    message: `${TABLE[code].public} Keyword: ${keyword}`,
  });
}

function isRefusalCode(code: string): code is RefusalCode {
  return Object.hasOwn(TABLE, code);
}

/** A keyword nobody knows may be anything; only what looks like one is repeated. */
function keywordName(keyword: string): string {
  return /^\$?[A-Za-z][A-Za-z0-9_]*$/.test(keyword) && keyword.length <= PARAM_STEP_MAX_CHARS
    ? keyword
    : 'unknown';
}

/** Steps in the middle of a long path are left out: its ends say most. */
function paramOf(path: Path): string {
  const steps = [...path];
  while (steps.length > 1 && steps.join('.').length > PARAM_MAX_CHARS) {
    steps.splice(Math.floor((steps.length - 1) / 2), 1);
  }
  return steps.join('.');
}

/** A name as a step of a path, or what stands for it where the name is not plain. */
export function stepOf(name: string, otherwise: string): string {
  const isPlain = /^[A-Za-z0-9_-]+$/.test(name) && name.length <= PARAM_STEP_MAX_CHARS;
  return isPlain ? name : otherwise;
}
