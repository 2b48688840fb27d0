/** Newer, the same, or refused: what numbers, dates and the root's own end say. Spec: docs/publication.md §3 rules 1, 2. @module */

import { digestText } from './payload.ts';
import { publicationError } from './errors.ts';
import { CLOCK_SKEW_MS } from './limits.ts';
import { isSameDocument } from './memory.ts';
import type { Root } from './root.ts';
import type { Verified } from './verified.ts';

/** Throws `publication.root_expired`. */
export function assertRootLives({ payload }: Verified<Root>, nowMs: number): void {
  if (nowMs < payload.expiresMs) return;
  throw publicationError('publication.root_expired', `version ${payload.version}`);
}

/** Throws `publication.future`. */
export function assertNotAhead(instantMs: number, nowMs: number): void {
  const aheadMs = instantMs - nowMs;
  if (aheadMs <= CLOCK_SKEW_MS) return;
  throw publicationError('publication.future', `${Math.ceil(aheadMs / 1000)} s ahead`);
}

/** Throws `publication.rollback`, `publication.equivocation`. */
export function compareNumbered(
  held: Verified<{ readonly number: number }> | undefined,
  next: Verified<{ readonly number: number }>,
): 'newer' | 'same' {
  if (held === undefined || next.payload.number > held.payload.number) return 'newer';
  const { number } = next.payload;
  if (number < held.payload.number) {
    throw publicationError('publication.rollback', `${number} < ${held.payload.number}`);
  }
  if (isSameDocument(held, next)) return 'same';
  throw equivocation('number', number, held, next);
}

/** `what`: of the document itself, or of one that it names. */
export function equivocation(
  what: 'number' | 'version' | 'serial' | 'release' | 'revocations',
  number: number,
  held: Pick<Verified<unknown>, 'digest'>,
  next: Pick<Verified<unknown>, 'digest'>,
): Error {
  const facts = {
    what,
    number,
    held: digestText(held.digest),
    offered: digestText(next.digest),
  };
  const detail = `${what} ${number}: ${facts.held} and ${facts.offered}`;
  return publicationError('publication.equivocation', detail, { facts });
}
