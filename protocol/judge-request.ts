/**
 * How a request body of a surface in front of chat is judged: every member is honoured, accepted because it changes nothing,
 * or refused with its path; none is ignored in silence, and no value goes back. Spec: openai-gateway-and-engine §2.2.
 * @module
 */

import { z } from 'zod';

export type RefusalCode = 'invalid_value' | 'unknown_parameter' | 'unsupported_parameter';

/** The path is that of the sender's own JSON, joined by dots; undefined when it is too strange to be said. */
export interface RequestRefusal {
  readonly outcome: 'refused';
  readonly code: RefusalCode;
  readonly path: string | undefined;
}

export interface RequestRules<Fields> {
  readonly schema: z.ZodType<Fields>;
  /** The names that `schema` has. */
  readonly known: ReadonlySet<string>;
  /** Members of the foreign API that nobody here honours, each with the values that ask for nothing. */
  readonly neutralOnly: Readonly<Record<string, z.ZodType>>;
}

export type Judged<Fields> =
  | { readonly outcome: 'fields'; readonly fields: Fields }
  | RequestRefusal;

export function judgeRequest<Fields>(body: unknown, rules: RequestRules<Fields>): Judged<Fields> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return refuseAt('invalid_value', undefined);
  }
  if (!isBounded(body)) return refuseAt('invalid_value', undefined);
  for (const [name, value] of Object.entries(body)) {
    if (rules.known.has(name)) continue;
    const neutral = Object.hasOwn(rules.neutralOnly, name) ? rules.neutralOnly[name] : undefined;
    if (neutral === undefined) return refuseAt('unknown_parameter', name);
    if (value !== null && !neutral.safeParse(value).success) {
      return refuseAt('unsupported_parameter', name);
    }
  }
  const parsed = rules.schema.safeParse(body);
  return parsed.success ? { outcome: 'fields', fields: parsed.data } : refuseIssue(parsed.error);
}

const PATH_MAX_CHARS = 96;

export function refuseAt(code: RefusalCode, path: string | undefined): RequestRefusal {
  const isSayable =
    path !== undefined && path.length <= PATH_MAX_CHARS && /^[A-Za-z0-9_.-]+$/.test(path);
  return { outcome: 'refused', code, path: isSayable ? path : undefined };
}

/** Members that choose a variety: a variety that is not served here is no mistake of the sender. */
const VARIETIES = new Set(['type', 'role']);

function refuseIssue({ issues }: z.ZodError): RequestRefusal {
  const [issue] = issues;
  if (issue === undefined) return refuseAt('invalid_value', undefined);
  const { path, keys } = deepestIssue(issue);
  const [key] = keys;
  if (key !== undefined) return refuseAt('unknown_parameter', [...path, key].map(String).join('.'));
  const isVariety = VARIETIES.has(String(path.at(-1)));
  return refuseAt(
    isVariety ? 'unsupported_parameter' : 'invalid_value',
    path.map(String).join('.'),
  );
}

interface FoundIssue {
  readonly path: readonly PropertyKey[];
  /** Of members that are not known. */
  readonly keys: readonly string[];
}

/** A union reports each branch; the branch that got furthest is the one that was meant. */
function deepestIssue(issue: z.core.$ZodIssue): FoundIssue {
  const here: FoundIssue = {
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

/** Deep enough for any schema or argument, and shallow enough to be written again without exhausting a stack. */
const DEPTH_MAX = 128;
/** Of arrays and objects at all levels together. A schema that finds fault finds it with each of them. */
const VALUES_MAX = 65_536;

export type FreeObject = Readonly<Record<string, unknown>>;

/** An object whose members are not ours to know, such as a JSON Schema. Handed on as it came, not copied. */
export const FREE_OBJECT = z.custom<FreeObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
);

/** Before anything else looks at it: neither so deep nor of so many parts that looking at it would be the attack. */
export function isBounded(root: object): boolean {
  let level: readonly object[] = [root];
  let values = 0;
  for (let depth = 0; depth < DEPTH_MAX; depth++) {
    const next: object[] = [];
    for (const parent of level) {
      for (const value of Object.values(parent)) {
        if (++values > VALUES_MAX) return false;
        if (typeof value === 'object' && value !== null) next.push(value);
      }
    }
    if (next.length === 0) return true;
    level = next;
  }
  return false;
}
