/**
 * Many fixed texts as one deterministic rule: beginnings that texts share are written once, so that a thousand enum
 * values are one path for the sampler and not a thousand. @module
 */

import type { Path } from './refusal.ts';
import { literal, oneOf, type Rules } from './rules.ts';

export interface Ending {
  readonly text: string;
  /** What follows the text: a rule's name, or nothing. */
  readonly next?: string;
}

/** Needs all of the rules that its texts end with. The texts are distinct. */
export function trieRule(rules: Rules, endings: readonly Ending[], path: Path): string {
  const sorted = endings.toSorted((a, b) => (a.text < b.text ? -1 : 1));
  return branchRule(rules, sorted, { from: 0, path });
}

interface Level {
  /** Code units that all texts of this level share and that are written. */
  readonly from: number;
  readonly path: Path;
}

/** Recursion is as deep as texts branch, which is at most the logarithm of their number for most, and their length for all. */
function branchRule(rules: Rules, sorted: readonly Ending[], { from, path }: Level): string {
  const parts = groupsOf(sorted, from).map((group) => {
    const [first] = group;
    if (first === undefined) return { body: '""', refs: [] };
    const shared = group.length === 1 ? first.text.length : sharedLength(group);
    const text = literal(first.text.slice(from, shared));
    const next = group.length === 1 ? first.next : branchRule(rules, group, { from: shared, path });
    return next === undefined
      ? { body: text, refs: [] }
      : { body: `${text} ${next}`, refs: [next] };
  });
  const refs = parts.flatMap((part) => part.refs);
  return rules.add({
    body: oneOf(parts.map(({ body }) => body)),
    needs: [refs],
    refs,
    openPaths: 1,
    path,
  });
}

/** Texts that go on with the same character. A text that ends here is a group of its own. */
function groupsOf(sorted: readonly Ending[], from: number): readonly (readonly Ending[])[] {
  const groups = new Map<number | undefined, Ending[]>();
  for (const ending of sorted) {
    const code = ending.text.codePointAt(from);
    const group = groups.get(code) ?? [];
    groups.set(code, group);
    group.push(ending);
  }
  return [...groups.values()];
}

/** Of sorted texts the first and the last share what all share. Never ends within a character. */
function sharedLength(group: readonly Ending[]): number {
  const [first, last] = [group[0]?.text ?? '', group.at(-1)?.text ?? ''];
  let length = 0;
  while (length < first.length && first[length] === last[length]) length++;
  const code = first.charCodeAt(length - 1);
  return code >= 0xd800 && code <= 0xdbff ? length - 1 : length;
}
