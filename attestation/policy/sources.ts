/**
 * A policy written in several files, put together: `policy.yaml` holds everything, and folders beside it hold entries of its
 * lists, one or several to a file, so that two releases merge without a conflict.
 * Spec: gpu-and-policy §5.2.
 * @module
 */

import { isJsonObject, type Json } from '../../core/json.ts';
import { policyError } from '../errors.ts';
import type { Place, PlaceOf } from './lines.ts';
import { readPolicyText, type PolicyPath, type PolicyText } from './yaml.ts';

export interface PolicyFile {
  /** As messages show it, with `/`: `policy.yaml`, `images/worker-1.yaml`. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** The lists that may be split, and the folder of each. */
export const SPLIT_LISTS = ['rules', 'images', 'models', 'advisories', 'hosts'] as const;
type SplitList = (typeof SPLIT_LISTS)[number];

export interface PolicySources {
  readonly value: Json;
  readonly placeOf: PlaceOf;
  /** Where the name of one member stands. */
  readonly placeOfName: (path: PolicyPath, name: string) => Place;
}

interface Part {
  readonly file: string;
  readonly text: PolicyText;
  /** Where the entry stands in its file: the file itself, or one of its list. */
  readonly prefix: PolicyPath;
  readonly value: Json;
}

/** The first file is the policy; the others add to the list that their folder names. Throws `policy.*`. */
export function readPolicySources(files: readonly PolicyFile[]): PolicySources {
  const [main, ...others] = files;
  if (main === undefined) throw policyError('policy.syntax', 'no policy.yaml');
  const text = readPolicyText(main.bytes, main.name);
  const added = new Map<SplitList, Part[]>();
  for (const file of [...others].sort(byName)) {
    const list = listOf(file.name);
    added.set(list, [...(added.get(list) ?? []), ...partsOf(file)]);
  }
  const value = assembled(text.value, added);
  const locate = (path: PolicyPath): { readonly part?: Part; readonly inside: PolicyPath } => {
    const [list, index, ...rest] = path;
    const parts = SPLIT_LISTS.find((name) => name === list);
    const own = listLength(text.value, parts);
    const part = parts === undefined ? undefined : added.get(parts)?.[Number(index) - own];
    return part === undefined ? { inside: path } : { part, inside: [...part.prefix, ...rest] };
  };
  return {
    value,
    placeOf: (path) => {
      const { part, inside } = locate(path);
      if (part === undefined) return { file: main.name, line: text.lineOf(inside) };
      return { file: part.file, line: part.text.lineOf(inside) };
    },
    placeOfName: (path, name) => {
      const { part, inside } = locate(path);
      if (part === undefined) return { file: main.name, line: text.lineOfName(inside, name) };
      return { file: part.file, line: part.text.lineOfName(inside, name) };
    },
  };
}

function byName(a: PolicyFile, b: PolicyFile): number {
  return a.name < b.name ? -1 : 1;
}

function listOf(name: string): SplitList {
  const list = SPLIT_LISTS.find((candidate) => name.startsWith(`${candidate}/`));
  if (list !== undefined) return list;
  throw policyError('policy.syntax', `${name}: want a file in ${SPLIT_LISTS.join('/, ')}/`);
}

function partsOf({ name, bytes }: PolicyFile): readonly Part[] {
  const text = readPolicyText(bytes, name);
  const { value } = text;
  if (!isList(value)) return [{ file: name, text, prefix: [], value }];
  return value.map((entry, index) => ({ file: name, text, prefix: [index], value: entry }));
}

function assembled(value: Json, added: ReadonlyMap<SplitList, readonly Part[]>): Json {
  if (added.size === 0 || !isJsonObject(value)) return value;
  const members: Record<string, Json> = { ...value };
  for (const [list, parts] of added) {
    const own = members[list] ?? [];
    // What is not a list stays as it is: the schema says what is wrong with it.
    if (isList(own)) members[list] = [...own, ...parts.map((part) => part.value)];
  }
  return members;
}

function listLength(value: Json, list: SplitList | undefined): number {
  if (list === undefined || !isJsonObject(value)) return 0;
  const own = value[list];
  return own !== undefined && isList(own) ? own.length : 0;
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
