/**
 * Changes of a policy's tree: what a team would type, as data. An edit proves nothing; whoever suggests one applies it and
 * judges again (remedy.ts).
 * @module
 */

import { utf8 } from '../../../core/bytes.ts';
import { formatInstant } from '../../../core/clock.ts';
import {
  canonicalJson,
  isJsonObject,
  parseStrictJson,
  type Json,
  type JsonObject,
} from '../../../core/json.ts';
import { restorePolicy, type CompiledPolicy } from '../compile.ts';
import type { PolicyPath } from '../yaml.ts';

export interface PolicyEdit {
  /** `set` a member, or `add` an entry to a list. */
  readonly action: 'set' | 'add';
  /** Of the member or the list; indexes are numbers. */
  readonly path: PolicyPath;
  readonly value: Json;
  /** The failed checks that it is for. */
  readonly checks: readonly string[];
  /** What it gives away, where it does more than name what was meant to be admitted. */
  readonly weakens?: string;
}

/** For one failed check: the edits that belong together, or why no edit can help. */
export type Mend =
  | { readonly check: string; readonly edits: readonly PolicyEdit[] }
  | { readonly check: string; readonly hopeless: string };

/** What a person still has to fill in: loads, and says so. */
export const TO_FILL_IN = {
  reason: '<why this is safe here>',
  owner: '<who answers for it>',
  repo: '<where it was built from>',
  location: '<where it stands>',
  by: ['<who recorded it>', '<who looked again>'],
} as const;

const DAY_MS = 86_400_000;
/** A grant that nobody looks at again for longer than this is lint's business too. */
export const GRANT_DAYS = 90;
/** Exceptions are to be looked at more often than grants. */
export const EXCEPTION_DAYS = 30;

/** To the second, as policies write it. */
export function instantIn(days: number, nowMs: number): string {
  return formatInstant(Math.floor(nowMs / 1000) * 1000 + days * DAY_MS);
}

export function edit(
  action: PolicyEdit['action'],
  path: PolicyPath,
  value: Json,
  weakens?: string,
): Omit<PolicyEdit, 'checks'> {
  return { action, path, value, ...(weakens === undefined ? {} : { weakens }) };
}

export function mendedBy(check: string, ...edits: readonly Omit<PolicyEdit, 'checks'>[]): Mend {
  return { check, edits: edits.map((each) => ({ ...each, checks: [check] })) };
}

export function hopeless(check: string, why: string): Mend {
  return { check, hopeless: why };
}

const TREE_MAX_BYTES = 8 * 1024 * 1024;
const TREE_MAX_DEPTH = 32;

/** What the policy was compiled from. */
export function treeOf({ canonical }: CompiledPolicy): Json {
  return parseStrictJson(utf8(canonical), {
    maxBytes: TREE_MAX_BYTES,
    maxDepth: TREE_MAX_DEPTH,
    numbers: 'integers',
  }).value;
}

/** Compiled again. Throws `policy.schema`, `policy.inconsistent` when the result is no policy. */
export function withEdits(policy: CompiledPolicy, edits: readonly PolicyEdit[]): CompiledPolicy {
  if (edits.length === 0) return policy;
  return restorePolicy(edits.reduce(changed, treeOf(policy)), policy.lines);
}

function changed(tree: Json, { action, path, value }: PolicyEdit): Json {
  return changedAt(tree, path, (node) => {
    if (action === 'set') return value;
    return [...(node !== undefined && isList(node) ? node : []), value];
  });
}

function changedAt(
  node: Json | undefined,
  path: PolicyPath,
  change: (node: Json | undefined) => Json,
): Json {
  const [name, ...rest] = path;
  if (name === undefined) return change(node);
  if (node !== undefined && isList(node)) {
    return node.map((entry, index) => (index === name ? changedAt(entry, rest, change) : entry));
  }
  const members: JsonObject = node !== undefined && isJsonObject(node) ? node : {};
  const key = String(name);
  return { ...members, [key]: changedAt(members[key], rest, change) };
}

/** One edit for several checks stays one. */
export function merged(edits: readonly PolicyEdit[]): readonly PolicyEdit[] {
  const byContent = Map.groupBy(edits, ({ action, path, value }) =>
    canonicalJson({ action, path: path.map(String), value }),
  );
  return [...byContent.values()].flatMap((same) => {
    const [first] = same;
    if (first === undefined) return [];
    return [{ ...first, checks: [...new Set(same.flatMap(({ checks }) => checks))] }];
  });
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
