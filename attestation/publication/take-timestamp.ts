/**
 * A later timestamp, or refused. One that names what the reader has not is taken: it is the news that the reader is behind.
 * Spec: docs/publication.md §2 "Timestamp", §3.
 * @module
 */

import { equalPublic } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { publicationError } from './errors.ts';
import { hold, isSameDocument, type PublicationState } from './memory.ts';
import { assertNotAhead, assertRootLives, equivocation } from './order.ts';
import type { Step } from './step.ts';
import { TIMESTAMP, type NamedDocument, type Timestamp } from './timestamp.ts';

/** Throws `publication.*`. */
export function takeTimestamp(state: PublicationState, bytes: Uint8Array, nowMs: number): Step {
  const before = state.timestamp;
  if (before !== undefined && equalPublic(bytes, before.bytes)) return { state, events: [] };
  assertRootLives(state.root, nowMs);
  const next = hold(bytes, state.root, TIMESTAMP);
  if (before !== undefined) {
    if (isSameDocument(before.document, next.document)) return { state, events: [] };
    assertLater(before.document.payload, next.document.payload);
  }
  const { timeMs } = next.document.payload;
  assertNotAhead(timeMs, nowMs);
  return { state: { ...state, timestamp: next }, events: [{ kind: 'timestamp', timeMs }] };
}

/** Neither the time nor what was the newest goes back. */
function assertLater(before: Timestamp, next: Timestamp): void {
  if (next.timeMs <= before.timeMs) {
    throw publicationError(
      'publication.rollback',
      `${formatInstant(next.timeMs)} is not after ${formatInstant(before.timeMs)}`,
    );
  }
  assertNotBack('release', before.release, next.release);
  assertNotBack('revocations', before.revocations, next.revocations);
}

function assertNotBack(what: string, before: NamedDocument, next: NamedDocument): void {
  if (next.number > before.number) return;
  if (next.number < before.number) {
    throw publicationError('publication.rollback', `${what} ${next.number} < ${before.number}`);
  }
  if (!equalPublic(next.digest, before.digest)) {
    throw equivocation(`${what} ${next.number}`, before, next);
  }
}
