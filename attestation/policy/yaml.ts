/**
 * Reads policy text: the core schema of YAML 1.2 without anything that lets one line mean two things (no anchors,
 * aliases, tags, merge keys, repeated keys, directives, several documents). JSON is a subset of it.
 * Spec: gpu-and-policy §5.2; YAML 1.2.2 §10.3 (core schema).
 * @module
 */

import {
  LineCounter,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  parseDocument,
  visit,
  type Document,
} from 'yaml';
import { z } from 'zod';
import { fromUtf8 } from '../../core/bytes.ts';
import type { Json } from '../../core/json.ts';
import { policyError } from '../errors.ts';
import { unusable } from './problems/problems.ts';
import { yamlProblems, type TextProblem } from './problems/yaml-problems.ts';

export const POLICY_MAX_BYTES = 262_144;

export type PolicyPath = readonly PropertyKey[];

export interface PolicyText {
  readonly value: Json;
  /** Line of the value at this path, or of the nearest member around it; 1 for the document. */
  readonly lineOf: (path: PolicyPath) => number;
  /** Line of the name of one member. */
  readonly lineOfName: (path: PolicyPath, name: string) => number;
}

/** `source` is the file name that messages show. Throws `policy.size`, `policy.syntax`. */
export function readPolicyText(bytes: Uint8Array, source: string): PolicyText {
  if (bytes.length > POLICY_MAX_BYTES) {
    throw policyError('policy.size', `${source}: ${bytes.length} > ${POLICY_MAX_BYTES} bytes`);
  }
  const lines = new LineCounter();
  const text = decoded(bytes, source);
  const document = parsed(text, lines);
  const errors = [...document.errors, ...document.warnings].map(({ code, pos: [offset] }) => ({
    code,
    line: lines.linePos(offset).line,
  }));
  const inText = [...hiddenCharacters(text), ...yamlProblems(text, errors)];
  const found: readonly TextProblem[] = [
    ...inText,
    ...forbidden(document)
      .map(({ offset, what }) => ({ line: lines.linePos(offset).line, what }))
      .filter(({ line }) => !inText.some((known) => known.line === line)),
  ];
  if (found.length > 0) {
    throw unusable(
      'policy.syntax',
      found.map(({ line, what }) => ({ at: `${source}:${line}`, message: what })),
    );
  }
  const lineAt = (offset: number | undefined): number =>
    offset === undefined ? 1 : lines.linePos(offset).line;
  return {
    value: plainValue(document, source),
    lineOf: (path) => lineAt(offsetOf(document, path)),
    lineOfName: (path, name) => lineAt(offsetOfName(document, path, name)),
  };
}

function decoded(bytes: Uint8Array, source: string): string {
  try {
    const text = fromUtf8(bytes);
    if (!text.startsWith('\uFEFF')) return text;
  } catch (cause) {
    throw policyError('policy.syntax', `${source}: not UTF-8`, { cause });
  }
  throw policyError('policy.syntax', `${source}:1: byte order mark`);
}

/**
 * What shows a reviewer another text than is read: controls, invisible formatting, other ends of lines than YAML's.
 * In quotes it can be said openly, as `"\\u202e"`.
 */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

function hiddenCharacters(text: string): readonly TextProblem[] {
  return text.split('\n').flatMap((row, index) => {
    const seen = row.replace(/\r$/, '').replaceAll('\t', ' ');
    const [character] = HIDDEN.exec(seen) ?? [];
    if (character === undefined) return [];
    const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
    return [{ line: index + 1, what: `U+${code} cannot be seen, and hides what stands here` }];
  });
}

/** Nesting is bounded by the parser itself, as an error of the document. */
function parsed(text: string, lineCounter: LineCounter): Document.Parsed {
  return parseDocument(text, {
    version: '1.2',
    schema: 'core',
    merge: false,
    strict: true,
    uniqueKeys: true,
    stringKeys: true,
    resolveKnownTags: false,
    prettyErrors: false,
    // Not 'silent': that also hides the error about a second document.
    logLevel: 'error',
    lineCounter,
  });
}

interface Forbidden {
  readonly offset: number;
  readonly what: string;
}

function forbidden(document: Document.Parsed): readonly Forbidden[] {
  const found: Forbidden[] = [];
  if (
    document.directives.yaml.explicit === true ||
    Object.keys(document.directives.tags).length > 1
  )
    found.push({ offset: 0, what: 'directives are not allowed' });
  visit(document, {
    Node: (_, node) => {
      const offset = node.range?.[0] ?? 0;
      if (isAlias(node)) {
        found.push({ offset, what: 'aliases are not allowed' });
        return;
      }
      if (!isScalar(node) && !isCollection(node)) return;
      if (node.anchor !== undefined) found.push({ offset, what: 'anchors are not allowed' });
      if (node.tag !== undefined) found.push({ offset, what: 'tags are not allowed' });
    },
    Pair: (_, pair) => {
      if (!isScalar(pair.key)) return;
      const offset = pair.key.range?.[0] ?? 0;
      if (pair.key.value === '<<') found.push({ offset, what: 'merge keys are not allowed' });
      // The schema never sees a member of this name, so it could not refuse it.
      if (pair.key.value === '__proto__') found.push({ offset, what: '__proto__: no such member' });
    },
  });
  return found;
}

const JSON_VALUE = z.json();

function plainValue(document: Document.Parsed, source: string): Json {
  const decodedValue = JSON_VALUE.safeParse(document.toJS({ maxAliasCount: 0 }));
  if (decodedValue.success) return decodedValue.data;
  throw policyError('policy.syntax', `${source}: a value that JSON does not have`);
}

function offsetOf(document: Document.Parsed, path: PolicyPath): number | undefined {
  for (let depth = path.length; depth >= 0; depth--) {
    const node = document.getIn(path.slice(0, depth), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return undefined;
}

function offsetOfName(
  document: Document.Parsed,
  path: PolicyPath,
  name: string,
): number | undefined {
  const node = document.getIn(path, true);
  if (!isMap(node)) return offsetOf(document, path);
  for (const { key } of node.items) {
    if (isScalar(key) && key.value === name) return key.range?.[0] ?? undefined;
  }
  return offsetOf(document, path);
}
