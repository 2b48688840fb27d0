/**
 * What somebody meant who wrote a name that nobody knows. For messages alone: nothing is ever accepted because it is near.
 * @module
 */

const DISTANCE_MAX = 2;
/** Of two short names everything is near. */
const LENGTH_PER_EDIT = 3;
const NAME_MAX_CHARS = 128;
const CANDIDATES_MAX = 1024;

/** The nearest of `known`, the first on a tie; undefined when none is near. */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  const wanted = folded(name);
  if (name.length > NAME_MAX_CHARS || wanted === '') return undefined;
  let best: string | undefined;
  let fewest = Math.min(DISTANCE_MAX, Math.floor(wanted.length / LENGTH_PER_EDIT)) + 1;
  for (const candidate of [...known].slice(0, CANDIDATES_MAX)) {
    if (candidate.length > NAME_MAX_CHARS || candidate === name) continue;
    const distance = editDistance(wanted, folded(candidate));
    if (distance >= fewest) continue;
    best = candidate;
    fewest = distance;
  }
  return best;
}

/** Case and separators are what people get wrong most. */
function folded(name: string): string {
  return name.toLowerCase().replaceAll(/[-_. ]/g, '');
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let [before, previous]: [number[], number[]] = [
    [],
    Array.from({ length: b.length + 1 }, (_, j) => j),
  ];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let least = Math.min(
        (previous[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (previous[j - 1] ?? 0) + (isSame ? 0 : 1),
      );
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) least = Math.min(least, (before[j - 2] ?? 0) + 1);
      row.push(least);
    }
    [before, previous] = [previous, row];
  }
  return previous[b.length] ?? 0;
}
