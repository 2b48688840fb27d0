/**
 * Which keywords are read, and values of keywords as what they must be.
 * Spec: JSON Schema 2020-12; OpenAI "Structured outputs", supported schemas.
 * @module
 */

import { LENGTH_MAX, REPEAT_MAX } from './limits.ts';
import { own } from './pointer.ts';
import { refuse, type Path } from './refusal.ts';

export type Schema = Readonly<Record<string, unknown>>;

/** They say something to people, or to tools that are not here. */
const ANNOTATIONS = [
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
  '$comment',
  '$schema',
  '$defs',
  'definitions',
] as const;

export const TYPES = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const;
export type TypeName = (typeof TYPES)[number];

/** Keywords that speak of values of one type and do not touch others. */
const OF_TYPE: Readonly<Record<string, TypeName>> = {
  properties: 'object',
  required: 'object',
  additionalProperties: 'object',
  propertyNames: 'object',
  items: 'array',
  minItems: 'array',
  maxItems: 'array',
  minLength: 'string',
  maxLength: 'string',
  pattern: 'string',
  format: 'string',
  minimum: 'number',
  maximum: 'number',
  exclusiveMinimum: 'number',
  exclusiveMaximum: 'number',
};

/** Ways to say which values there are; a schema has one of them, or keywords of types. */
const WHOLE = ['$ref', 'anyOf', 'oneOf', 'enum', 'const'] as const;
export type WholeKeyword = (typeof WHOLE)[number];

const KNOWN = new Set<string>([
  ...ANNOTATIONS,
  ...Object.keys(OF_TYPE),
  ...WHOLE,
  'type',
  'nullable',
]);

/** Beside `enum` and `const`: `type`, and each other. Beside the others: nothing but annotations. */
const BESIDE: Readonly<Record<WholeKeyword, readonly string[]>> = {
  $ref: ['nullable'],
  anyOf: ['nullable'],
  oneOf: ['nullable'],
  enum: ['nullable', 'type', 'const'],
  const: ['nullable', 'type', 'enum'],
};

/** The keyword that says what the values are, or undefined when types do. Throws for keywords that are not honoured. */
export function wholeKeyword(schema: Schema, path: Path): WholeKeyword | undefined {
  const stranger = Object.keys(schema).find((keyword) => !KNOWN.has(keyword));
  if (stranger !== undefined) throw refuse('grammar.unsupported', path, stranger);
  const whole = WHOLE.find((keyword) => Object.hasOwn(schema, keyword));
  if (whole === undefined) return undefined;
  const allowed = new Set<string>([...ANNOTATIONS, whole, ...BESIDE[whole]]);
  const beside = Object.keys(schema).find((keyword) => !allowed.has(keyword));
  if (beside !== undefined) throw refuse('grammar.unsupported', path, beside);
  return whole;
}

/** As `type` says, or as the keywords let one guess. Undefined: anything. */
export function typesOf(schema: Schema, path: Path): readonly TypeName[] | undefined {
  const named = own(schema, 'type');
  if (named !== undefined) {
    const list: readonly unknown[] = Array.isArray(named) ? named : [named];
    const types = TYPES.filter((type) => list.includes(type));
    const isSound = list.length > 0 && list.every((name) => TYPES.some((type) => type === name));
    if (!isSound) throw refuse('grammar.invalid', path, 'type');
    return types;
  }
  const guesses = Object.keys(schema).flatMap((keyword) => {
    const type = Object.hasOwn(OF_TYPE, keyword) ? OF_TYPE[keyword] : undefined;
    return type === undefined ? [] : [{ keyword, type }];
  });
  const [first] = guesses;
  const other = guesses.find(({ type }) => type !== first?.type);
  if (other !== undefined) throw refuse('grammar.unsupported', path, other.keyword);
  return first === undefined ? undefined : [first.type];
}

/** A keyword of a type that the schema does not name would be without effect; more likely it is a mistake. */
export function assertOfTypes(schema: Schema, types: readonly TypeName[], path: Path): void {
  const named = new Set<TypeName>(types.map((type) => (type === 'integer' ? 'number' : type)));
  const idle = Object.keys(schema).find((keyword) => {
    const type = Object.hasOwn(OF_TYPE, keyword) ? OF_TYPE[keyword] : undefined;
    return type !== undefined && !named.has(type);
  });
  if (idle !== undefined) throw refuse('grammar.unsupported', path, idle);
}

export function isNullable(schema: Schema, path: Path): boolean {
  const nullable = own(schema, 'nullable');
  if (nullable === undefined) return false;
  if (typeof nullable !== 'boolean') throw refuse('grammar.invalid', path, 'nullable');
  return nullable;
}

/** A lower and an upper count; without an upper one it is Infinity. */
export function countsOf(
  schema: Schema,
  [least, most]: readonly [string, string],
  path: Path,
): readonly [min: number, max: number] {
  const max = most === 'maxLength' ? LENGTH_MAX : REPEAT_MAX;
  const counts = [least, most].map((keyword) => {
    const value = own(schema, keyword);
    if (value === undefined) return undefined;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
      throw refuse('grammar.invalid', path, keyword);
    }
    if (value > max) throw refuse('grammar.limit', path, keyword);
    return value;
  });
  const [low = 0, high = Infinity] = counts;
  if (low > high) throw refuse('grammar.unsatisfiable', path, most);
  return [low, high];
}

/** Throws for everything but a number that JavaScript and JSON agree on. */
export function numberOf(schema: Schema, keyword: string, path: Path): number | undefined {
  const value = own(schema, keyword);
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw refuse('grammar.invalid', path, keyword);
  }
  return value;
}

export function textOf(schema: Schema, keyword: string, path: Path): string | undefined {
  const value = own(schema, keyword);
  if (value === undefined || typeof value === 'string') return value;
  throw refuse('grammar.invalid', path, keyword);
}
