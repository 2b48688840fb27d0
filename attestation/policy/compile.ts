/**
 * Policy text → a policy that evaluation accepts: read strictly, decoded, checked for sense, frozen, and named by the
 * digest of its canonical form. Comments and layout do not change the digest.
 * Spec: gpu-and-policy §5.2, §5.3.
 * @module
 */

import { sha256 } from '#primitives';
import type { z } from 'zod';
import { toHex, utf8, type Bytes } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { canonicalJson } from '../../core/json.ts';
import { policyError } from '../errors.ts';
import type { PolicyRef } from '../verdict.ts';
import { POLICY_LIFETIME_MAX_DAYS, POLICY_SCHEMA, type PolicyDocument } from './schema.ts';
import { readPolicyText, type PolicyPath, type PolicyText } from './yaml.ts';

const PROBLEMS_SHOWN_MAX = 50;
const DAY_MS = 86_400_000;

/** Only `compilePolicy` makes one; `appraise` refuses anything else. */
export interface CompiledPolicy {
  readonly document: PolicyDocument;
  /** RFC 8785 text of what was read. */
  readonly canonical: string;
  /** SHA-256 of `canonical`. */
  readonly digest: Bytes<32>;
  /** Where a member stands, such as `production.yaml:31`, for people. */
  readonly at: (...path: PolicyPath) => string;
}

export interface CompileOptions {
  /** The file name in messages. */
  readonly source: string;
}

const COMPILED = new WeakSet<CompiledPolicy>();

/**
 * Does not look at the clock: an expired policy compiles, and denies. Throws `policy.size`, `policy.syntax`,
 * `policy.schema`, `policy.inconsistent` with one line per problem: `file:line: path: what is wanted`.
 */
export function compilePolicy(
  bytes: Uint8Array,
  { source }: CompileOptions = { source: 'policy' },
): CompiledPolicy {
  const text = readPolicyText(bytes, source);
  const decoded = POLICY_SCHEMA.safeParse(text.value);
  if (!decoded.success) {
    throw policyError(
      'policy.schema',
      listed(decoded.error.issues.flatMap(issueLines(text)), source),
    );
  }
  const problems = inconsistencies(decoded.data).map(({ path, what }) => ({
    line: text.lineOf(path),
    what: `${pathText(path)}: ${what}`,
  }));
  if (problems.length > 0) throw policyError('policy.inconsistent', listed(problems, source));
  const canonical = canonicalJson(text.value);
  const policy: CompiledPolicy = Object.freeze({
    document: frozen(decoded.data),
    canonical,
    digest: sha256(utf8(canonical)),
    at: (...path: PolicyPath) => `${source}:${text.lineOf(path)}`,
  });
  COMPILED.add(policy);
  return policy;
}

/** Throws when `policy` did not come out of `compilePolicy`. */
export function assertCompiled(policy: CompiledPolicy): void {
  assert(COMPILED.has(policy), 'a policy that compilePolicy did not make');
}

export function policyRef({ document, digest }: CompiledPolicy): PolicyRef {
  return { name: document.name, serial: document.serial, digest };
}

interface Problem {
  readonly line: number;
  readonly what: string;
}

function listed(problems: readonly Problem[], source: string): string {
  const lines = problems
    .slice(0, PROBLEMS_SHOWN_MAX)
    .map(({ line, what }) => `${source}:${line}: ${what}`);
  const hidden = problems.length - lines.length;
  return `\n${lines.join('\n')}${hidden > 0 ? `\nand ${hidden} more` : ''}`;
}

function issueLines(text: PolicyText): (issue: z.core.$ZodIssue) => readonly Problem[] {
  return (issue) => {
    const at = issue.path;
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((name) => ({
        line: text.lineOfName(at, name),
        what: `${pathText([...at, name])}: no such member`,
      }));
    }
    const message = present(text, at) ? issue.message : `missing (${issue.message})`;
    return [{ line: text.lineOf(at), what: `${pathText(at)}: ${message}` }];
  };
}

/** Zod says of an absent member that it got `undefined`; JSON has no such value. */
function present(text: PolicyText, path: PolicyPath): boolean {
  let value: unknown = text.value;
  for (const name of path) {
    if (typeof value !== 'object' || value === null) return false;
    value = new Map<PropertyKey, unknown>(Object.entries(value)).get(String(name));
  }
  return value !== undefined;
}

function pathText(path: PolicyPath): string {
  return path.length === 0 ? '(policy)' : path.map(String).join('.');
}

interface Inconsistency {
  readonly path: PolicyPath;
  readonly what: string;
}

/** Sense across members. Loud at loading, because at evaluation the same mistake would only deny. */
function inconsistencies(document: PolicyDocument): readonly Inconsistency[] {
  return [
    ...periodProblems(document),
    ...rootProblems(document),
    ...duplicates(
      document.rules.map(({ id }) => id),
      ['rules'],
    ),
    ...duplicates(
      document.models.map(({ id }) => id),
      ['models'],
    ),
    ...duplicates(
      document.images.map(({ name }) => name),
      ['images'],
    ),
    ...duplicates(document.images.map(workloadName), ['images'], 'the workload of another image'),
    ...document.rules.flatMap((rule, index) => [
      ...unknownNames(rule.models, new Set(document.models.map(({ id }) => id)), [
        'rules',
        index,
        'models',
      ]),
      ...unknownNames(rule.images, new Set(document.images.map(({ name }) => name)), [
        'rules',
        index,
        'images',
      ]),
    ]),
    ...document.advisories.flatMap((advisory, index) =>
      unknownNames(advisory.rules, new Set(document.rules.map(({ id }) => id)), [
        'advisories',
        index,
        'rules',
      ]),
    ),
  ];
}

function workloadName({ workload }: PolicyDocument['images'][number]): string {
  return `${toHex(workload.image)} ${toHex(workload.config)}`;
}

function periodProblems({ issued, expires }: PolicyDocument): readonly Inconsistency[] {
  if (expires <= issued) return [{ path: ['expires'], what: 'not after issued' }];
  if (expires - issued <= POLICY_LIFETIME_MAX_DAYS * DAY_MS) return [];
  return [{ path: ['expires'], what: `more than ${POLICY_LIFETIME_MAX_DAYS} days after issued` }];
}

function rootProblems({ development, roots }: PolicyDocument): readonly Inconsistency[] {
  if (roots !== undefined && development === undefined) {
    return [{ path: ['roots'], what: 'only legal beside "development: true"' }];
  }
  return [];
}

function duplicates(
  names: readonly string[],
  path: PolicyPath,
  what = 'stands twice',
): readonly Inconsistency[] {
  return names.flatMap((name, index) =>
    names.indexOf(name) === index ? [] : [{ path: [...path, index], what }],
  );
}

function unknownNames(
  names: readonly string[],
  known: ReadonlySet<string>,
  path: PolicyPath,
): readonly Inconsistency[] {
  return names.flatMap((name, index) =>
    known.has(name) ? [] : [{ path: [...path, index], what: `"${name}" is not defined here` }],
  );
}

/** Byte strings cannot be frozen; everything around them is. */
function frozen<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  for (const member of Object.values(value)) frozen(member);
  return Object.freeze(value);
}
