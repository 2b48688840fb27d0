/**
 * Where each member of a policy stands in the files it was written in. For people only: lines decide nothing, and what is
 * signed about them is a courtesy to whoever reads a denial at night. Spec: docs/publication.md "Bundle".
 * @module
 */

import type { Json } from '../../core/json.ts';
import type { PolicyPath } from './yaml.ts';

/** A path is the names from the root joined by "/", with "~" and "/" escaped as in RFC 6901; '' is the document. */
export interface LineTable {
  readonly files: readonly string[];
  readonly at: readonly (readonly [path: string, file: number, line: number])[];
}

export interface Place {
  readonly file: string;
  readonly line: number;
}

export type PlaceOf = (path: PolicyPath) => Place;

/** Every member of `value`, in order. */
export function lineTable(value: Json, placeOf: PlaceOf): LineTable {
  const files: string[] = [];
  const at: (readonly [string, number, number])[] = [];
  const walk = (node: Json, path: PolicyPath): void => {
    const { file, line } = placeOf(path);
    let index = files.indexOf(file);
    if (index < 0) index = files.push(file) - 1;
    at.push([joined(path), index, line]);
    if (typeof node !== 'object' || node === null) return;
    for (const [name, member] of Object.entries(node)) walk(member, [...path, name]);
  };
  walk(value, []);
  return { files, at };
}

/** `production.yaml:31`: of the member, or of the nearest one around it. */
export function textAt(table: LineTable): (...path: PolicyPath) => string {
  const root: Node = { text: undefined, members: undefined };
  for (const [path, file, line] of table.at) {
    nodeAt(root, path).text = `${table.files[file] ?? 'policy'}:${line}`;
  }
  return (...path) => {
    let { text } = root;
    let node: Node | undefined = root;
    for (const name of path) {
      node = node.members?.get(String(name));
      if (node === undefined) break;
      text = node.text ?? text;
    }
    return text ?? 'policy';
  };
}

/** Asked for dozens of members in each judgement, so that no path is written to be looked up. */
interface Node {
  text: string | undefined;
  members: Map<string, Node> | undefined;
}

function nodeAt(root: Node, path: string): Node {
  let node = root;
  if (path === '') return node;
  for (const escaped of path.split('/')) {
    const name = escaped.replaceAll('~1', '/').replaceAll('~0', '~');
    node.members ??= new Map();
    let member = node.members.get(name);
    if (member === undefined) {
      member = { text: undefined, members: undefined };
      node.members.set(name, member);
    }
    node = member;
  }
  return node;
}

function joined(path: PolicyPath): string {
  return path.map((name) => String(name).replaceAll('~', '~0').replaceAll('/', '~1')).join('/');
}
