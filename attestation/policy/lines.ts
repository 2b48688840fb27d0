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
  const known = new Map(
    table.at.map(([path, file, line]) => [path, `${table.files[file] ?? 'policy'}:${line}`]),
  );
  return (...path) => {
    for (let depth = path.length; depth > 0; depth--) {
      const found = known.get(joined(path.slice(0, depth)));
      if (found !== undefined) return found;
    }
    return known.get('') ?? 'policy';
  };
}

function joined(path: PolicyPath): string {
  return path.map((name) => String(name).replaceAll('~', '~0').replaceAll('/', '~1')).join('/');
}
