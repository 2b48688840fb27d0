/** What makes no sense across members of a policy: names that stand twice, and names of nothing. @module */

import { toHex, type Bytes } from '../../core/bytes.ts';
import { didYouMean } from './problems/problems.ts';
import type { PolicyPath } from './yaml.ts';

export interface Inconsistency {
  readonly path: PolicyPath;
  readonly what: string;
  readonly hint?: string;
}

interface Stated {
  readonly workload: { readonly image: Bytes<32>; readonly config: Bytes<32> };
}

/** The pair by which a verifier finds the entry. */
export function workloadName({ workload }: Stated): string {
  return `${toHex(workload.image)} ${toHex(workload.config)}`;
}

export function duplicates(
  names: readonly string[],
  path: PolicyPath,
  what = 'stands twice',
): readonly Inconsistency[] {
  return names.flatMap((name, index) =>
    names.indexOf(name) === index ? [] : [{ path: [...path, index], what }],
  );
}

export function unknownNames(
  names: readonly string[],
  known: ReadonlySet<string>,
  path: PolicyPath,
): readonly Inconsistency[] {
  return names.flatMap((name, index) => {
    if (known.has(name)) return [];
    const hint = didYouMean(name, known);
    const what = `"${name}" is not defined here`;
    return [{ path: [...path, index], what, ...(hint === undefined ? {} : { hint }) }];
  });
}
