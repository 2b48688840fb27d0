/**
 * What is wrong with a policy, for whoever wrote it: the line, the member, what is wanted there, and what was probably
 * meant. The value itself is not repeated; names are.
 * Spec: gpu-and-policy §5.2.
 * @module
 */

import type { z } from 'zod';
import type { VeilError } from '../../../core/errors.ts';
import type { Json } from '../../../core/json.ts';
import { policyError } from '../../errors.ts';
import { nearestName } from './nearest-name.ts';
import type { PolicyPath } from '../yaml.ts';

export interface PolicyProblem {
  /** `policy.yaml:31`. */
  readonly at: string;
  /** `rules.0.cpu.tee: want tdx or snp`. */
  readonly message: string;
  /** What was probably meant. */
  readonly hint?: string;
}

export interface Places {
  readonly at: (path: PolicyPath) => string;
  readonly atName: (path: PolicyPath, name: string) => string;
}

export interface ProblemContext {
  readonly value: Json;
  readonly places: Places;
  /** The names that members may have at a path. */
  readonly membersAt: (path: PolicyPath) => readonly string[];
}

type Issue = z.core.$ZodIssue;

/** In the order of the schema. */
export function schemaProblems(
  issues: readonly Issue[],
  context: ProblemContext,
): readonly PolicyProblem[] {
  const flat = issues.flatMap((issue) => decidedBranch(issue, []));
  const missing = flat.filter(({ path }) => found(context.value, path) === undefined);
  return flat.flatMap((issue) => issueProblems(issue, missing, context));
}

const PROBLEMS = new WeakMap<VeilError, readonly PolicyProblem[]>();
const PROBLEMS_SHOWN_MAX = 50;

/** To throw: all problems, one line each. */
export function unusable(
  code: 'policy.syntax' | 'policy.schema' | 'policy.inconsistent',
  problems: readonly PolicyProblem[],
): VeilError {
  const shown = problems.slice(0, PROBLEMS_SHOWN_MAX).map(problemLine);
  const hidden = problems.length - shown.length;
  const error = policyError(
    code,
    `\n${shown.join('\n')}${hidden > 0 ? `\nand ${hidden} more` : ''}`,
  );
  PROBLEMS.set(error, problems);
  return error;
}

/** One by one, of an error that says why a policy does not load; undefined for any other. */
export function problemsOf(error: VeilError): readonly PolicyProblem[] | undefined {
  return PROBLEMS.get(error);
}

/** `file:line: message (hint)`. */
export function problemLine({ at, message, hint }: PolicyProblem): string {
  return `${at}: ${message}${hint === undefined ? '' : ` (${hint})`}`;
}

export function pathText(path: PolicyPath): string {
  return path.length === 0 ? '(policy)' : path.map(String).join('.');
}

/**
 * Of a choice, the branch that was meant, when that is clear: all that is wrong with it lies deeper, and with every other
 * branch something is wrong at once. "want {any: true, …}" helps nobody who forgot the note.
 */
function decidedBranch(issue: Issue, prefix: PolicyPath): readonly Issue[] {
  const path = [...prefix, ...issue.path];
  if (issue.code !== 'invalid_union') return [{ ...issue, path }];
  const meant = issue.errors.filter(
    (branch) =>
      branch.length > 0 &&
      branch.every((inner) => inner.path.length > 0 && inner.code !== 'unrecognized_keys'),
  );
  const [only] = meant;
  if (only === undefined || meant.length > 1) return [{ ...issue, path }];
  return only.flatMap((inner) => decidedBranch(inner, path));
}

function issueProblems(
  issue: Issue,
  missing: readonly Issue[],
  context: ProblemContext,
): readonly PolicyProblem[] {
  const { path } = issue;
  const { places, value } = context;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((name) => ({
      at: places.atName(path, name),
      message: `${pathText([...path, name])}: no such member`,
      ...hinted(unknownMemberHint(path, name, missing, context)),
    }));
  }
  const got = found(value, path);
  const want = wantText(issue, got);
  const message = got === undefined ? `missing (${want})` : want;
  return [
    {
      at: places.at(path),
      message: `${pathText(path)}: ${message}`,
      ...(got === undefined ? {} : hinted(valueHint(issue, got))),
    },
  ];
}

function hinted(hint: string | undefined): { readonly hint?: string } {
  return hint === undefined ? {} : { hint };
}

function unknownMemberHint(
  path: PolicyPath,
  name: string,
  missing: readonly Issue[],
  { membersAt, value }: ProblemContext,
): string | undefined {
  const home = missing.find((issue) => issue.path.at(-1) === name);
  if (home !== undefined) {
    return `it belongs in ${pathText(home.path.slice(0, -1))}: is it indented right?`;
  }
  const here = found(value, path);
  const present = typeof here === 'object' && here !== null ? Object.keys(here) : [];
  const absent = membersAt(path).filter((member) => !present.includes(member));
  return didYouMean(name, absent);
}

export function didYouMean(name: string, known: Iterable<string>): string | undefined {
  const nearest = nearestName(name, known);
  return nearest === undefined ? undefined : `did you mean ${nearest}?`;
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'text',
  int: 'a whole number',
  number: 'a number',
  array: 'a list such as [a, b], or [] for none',
  object: 'members, each on its own line: name: value',
  record: 'members, each on its own line: name: value',
};

/** Our own words stay; the schema library's are for programmers. */
function wantText(issue: Issue, got: unknown): string {
  const isOurs = !/^(?:Invalid|Too |Unrecognized)/.test(issue.message);
  if (isOurs) return issue.message;
  if (issue.code === 'invalid_type') return typeText(issue.expected, got);
  if (issue.code === 'invalid_value') return wantOneOf(issue.values.map(String));
  if (issue.code === 'too_big') return `at most ${issue.maximum}${unitOf(issue.origin)}`;
  if (issue.code === 'too_small') return `at least ${issue.minimum}${unitOf(issue.origin)}`;
  // The only choice by a member's value that there is.
  return issue.code === 'invalid_union' && issue.discriminator === 'tee'
    ? 'want tdx or snp'
    : 'want another value';
}

function typeText(expected: string, got: unknown): string {
  if (expected === 'array' && isObject(got)) return 'want a list: each entry begins with "- "';
  return `want ${TYPE_WORDS[expected] ?? expected}`;
}

function wantOneOf(values: readonly string[]): string {
  const [only] = values;
  if (values.length === 1) return `want ${only ?? ''}, nothing else`;
  return `want ${values.slice(0, -1).join(', ')} or ${values.at(-1) ?? ''}`;
}

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters';
  return origin === 'array' ? ' entries' : '';
}

function valueHint(issue: Issue, got: unknown): string | undefined {
  if (got === null) return 'nothing stands there';
  if (typeof got === 'number' && issue.code !== 'too_big' && issue.code !== 'too_small') {
    return 'a number as it stands: put it in quotes';
  }
  if (issue.code === 'invalid_type' && typeof got === 'string' && /^\d+$/.test(got)) {
    return 'leave out the quotes';
  }
  if (typeof got !== 'string') return undefined;
  return (
    wildcardHint(issue, got) ??
    quoteHint(got) ??
    hexHint(got, issue.message) ??
    nearValueHint(issue, got)
  );
}

/** Whoever writes one expects more than one thing to be admitted. */
function wildcardHint({ code, message }: Issue, got: string): string | undefined {
  if (message.includes('any: true')) return undefined;
  if (code === 'invalid_value' && got === 'any') return 'this check cannot be switched off';
  if (!/[*?|^$+\\]|\[.*\]|\(.*\)/.test(got) && !/^(?:any|all)$/i.test(got)) return undefined;
  return 'there are no wildcards: name each one';
}

function quoteHint(got: string): string | undefined {
  return /^[^'"].*['"]$/.test(got) ? 'a quote at the end and none at the beginning' : undefined;
}

const HEX_WANTED =
  /want (\d+) bytes in lower-case hex|and (\d+) lower-case hex digits|want (\d+) lower-case hex/;

function hexHint(got: string, want: string): string | undefined {
  const [, bytes, ...digits] = HEX_WANTED.exec(want) ?? [];
  const given = digits.find((text) => text !== undefined);
  const length = bytes === undefined ? Number(given) : 2 * Number(bytes);
  const hex = got.replace(/^(?:sha256:|0x)/, '');
  if (Number.isNaN(length) || !/^[0-9a-f]+$/i.test(hex)) return undefined;
  if (hex.length !== length) return `these are ${hex.length} hex digits, ${length} are wanted`;
  if (/[A-F]/.test(hex)) return 'upper-case digits: write them in lower case';
  return got === hex ? 'the prefix is missing' : undefined;
}

function nearValueHint(issue: Issue, got: string): string | undefined {
  if (issue.code !== 'invalid_value' || issue.values.length < 2) return undefined;
  return didYouMean(got, issue.values.map(String));
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Undefined when it is not there: JSON has no such value. */
function found(value: Json, path: PolicyPath): unknown {
  let node: unknown = value;
  for (const name of path) {
    if (typeof node !== 'object' || node === null) return undefined;
    node = new Map<PropertyKey, unknown>(Object.entries(node)).get(String(name));
  }
  return node;
}
