/**
 * Policy text → a policy that evaluation accepts: read strictly, decoded, checked for sense, frozen, and named by the
 * digest of its canonical form. Comments and layout do not change the digest. The same from the compiled form, which is
 * what is signed. Spec: gpu-and-policy §5.2, §5.3; docs/publication.md "Bundle".
 * @module
 */

import { sha256 } from '#primitives';
import { toHex, utf8, type Bytes } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { canonicalJson, type Json } from '../../core/json.ts';
import type { PolicyRef } from '../verdict.ts';
import {
  POLICY_LIFETIME_MAX_DAYS,
  POLICY_SCHEMA,
  type PolicyDocument,
  type PolicyHost,
} from './schema.ts';
import { lineTable, textAt, type LineTable, type Place } from './lines.ts';
import { memberNames } from './problems/members.ts';
import { pathText, schemaProblems, unusable, type Places } from './problems/problems.ts';
import { gatewayProblems } from './gateway-problems.ts';
import { duplicates, unknownNames, workloadName, type Inconsistency } from './inconsistencies.ts';
import { readPolicySources, type PolicyFile } from './sources.ts';
import type { PolicyPath } from './yaml.ts';

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
  readonly lines: LineTable;
}

export interface CompileOptions {
  /** The file name in messages. */
  readonly source: string;
}

const COMPILED = new WeakSet<CompiledPolicy>();

/** A policy in one file. Throws as `compilePolicyFiles`. */
export function compilePolicy(
  bytes: Uint8Array,
  { source }: CompileOptions = { source: 'policy' },
): CompiledPolicy {
  return compilePolicyFiles([{ name: source, bytes }]);
}

/**
 * The first file is the policy, the others add to its lists (sources.ts). Does not look at the clock: an expired policy
 * compiles, and denies. Throws `policy.size`, `policy.syntax`, `policy.schema`, `policy.inconsistent` with one line per
 * problem: `file:line: path: what is wanted`.
 */
export function compilePolicyFiles(files: readonly PolicyFile[]): CompiledPolicy {
  const { value, placeOf, placeOfName } = readPolicySources(files);
  const textOf = ({ file, line }: Place): string => `${file}:${line}`;
  const document = decoded(value, {
    at: (path) => textOf(placeOf(path)),
    atName: (path, name) => textOf(placeOfName(path, name)),
  });
  return minted(document, value, lineTable(value, placeOf));
}

/**
 * From the compiled form. The same demands as of the text; `lines` is for messages alone. Throws `policy.schema`,
 * `policy.inconsistent`.
 */
export function restorePolicy(value: Json, lines: LineTable): CompiledPolicy {
  const at = textAt(lines);
  const document = decoded(value, {
    at: (path) => at(...path),
    atName: (path, name) => at(...path, name),
  });
  return minted(document, value, lines);
}

function decoded(value: Json, places: Places): PolicyDocument {
  const read = POLICY_SCHEMA.safeParse(value);
  if (!read.success) {
    throw unusable(
      'policy.schema',
      schemaProblems(read.error.issues, { value, places, membersAt: memberNames() }),
    );
  }
  const problems = inconsistencies(read.data).map(({ path, what, hint }) => ({
    at: places.at(path),
    message: `${pathText(path)}: ${what}`,
    ...(hint === undefined ? {} : { hint }),
  }));
  if (problems.length > 0) throw unusable('policy.inconsistent', problems);
  return read.data;
}

function minted(document: PolicyDocument, value: Json, lines: LineTable): CompiledPolicy {
  const canonical = canonicalJson(value);
  const policy: CompiledPolicy = Object.freeze({
    document: frozen(document),
    canonical,
    digest: sha256(utf8(canonical)),
    at: textAt(lines),
    lines,
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
    ...duplicates(
      document.hosts.map(({ host }) => host),
      ['hosts'],
    ),
    ...duplicates(document.hosts.map(cpuName), ['hosts'], 'the CPU of another host'),
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
      unknownNames(advisory.rules, ruleNames(document), ['advisories', index, 'rules']),
    ),
    ...gatewayProblems(document),
  ];
}

function ruleNames({ rules, gateways }: PolicyDocument): ReadonlySet<string> {
  return new Set([...rules, ...(gateways?.rules ?? [])].map(({ id }) => id));
}

function cpuName({ cpu }: PolicyHost): string {
  return toHex('ppid' in cpu ? cpu.ppid : cpu.chip_id);
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

/** Byte strings cannot be frozen; everything around them is. */
function frozen<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  for (const member of Object.values(value)) frozen(member);
  return Object.freeze(value);
}
