/** Which entries somebody wants to see. @module */

import type { ChainedLine } from '../../core/node/chained-line.ts';
import { parseInstant } from '../../core/clock.ts';
import type { Json } from '../../core/json.ts';
import { kindOf } from './rows.ts';

export type PolicyFilter =
  | { readonly by: 'serial'; readonly serial: number }
  /** The beginning of a digest is enough. */
  | { readonly by: 'digest'; readonly prefix: string };

export interface Filter {
  /** A whole kind, or the part before the dot. */
  readonly kinds: readonly string[] | undefined;
  readonly sinceMs: number | undefined;
  readonly untilMs: number | undefined;
  /** The beginning of a worker's id. */
  readonly worker: string | undefined;
  readonly policy: PolicyFilter | undefined;
}

/** One per log, asked in the order of the lines: which digest a serial has stands in the releases. */
export function createFilter(filter: Filter): (line: ChainedLine) => boolean {
  const { kinds, sinceMs = Number.NEGATIVE_INFINITY, untilMs = Number.POSITIVE_INFINITY } = filter;
  const { worker, policy } = filter;
  const isOfPolicy = policy === undefined ? () => true : policyFilter(policy);
  return (line) => {
    // Before anything else: what a release says of serials counts for the lines after it.
    const isPolicy = isOfPolicy(line);
    const kind = kindOf(line.entry);
    const atMs = parseInstant(line.time) ?? 0;
    const { workerId } = line.entry;
    return (
      isPolicy &&
      (kinds === undefined || kinds.some((one) => kind === one || kind.startsWith(`${one}.`))) &&
      atMs >= sinceMs &&
      atMs <= untilMs &&
      (worker === undefined || (typeof workerId === 'string' && workerId.startsWith(worker)))
    );
  };
}

const DIGESTS_MAX = 64;

function policyFilter(filter: PolicyFilter): (line: ChainedLine) => boolean {
  if (filter.by === 'digest') {
    const starts = (value: Json | undefined): boolean =>
      typeof value === 'string' && value.startsWith(filter.prefix);
    return ({ entry }) => starts(entry['policy']) || starts(entry['candidatePolicy']);
  }
  const { serial } = filter;
  const digests = new Set<Json>();
  return ({ entry }) => {
    const pairs = [
      [entry['serial'], entry['policy']],
      [entry['candidateSerial'], entry['candidatePolicy']],
    ] as const;
    const named = pairs.filter(([number]) => number === serial);
    for (const [, digest] of named) {
      if (typeof digest === 'string' && digests.size < DIGESTS_MAX) digests.add(digest);
    }
    const { policy } = entry;
    const isRelease = entry['serial'] !== undefined;
    return named.length > 0 || (!isRelease && policy !== undefined && digests.has(policy));
  };
}
