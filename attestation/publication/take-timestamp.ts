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
    if (before.rootVersion === state.root.payload.version) {
      assertNoneBack(before.document.payload, next.document.payload);
    }
  }
  const { timeMs } = next.document.payload;
  assertNotAhead(timeMs, nowMs);
  const timestamp = { ...next, rootVersion: state.root.payload.version };
  return { state: { ...state, timestamp }, events: [{ kind: 'timestamp', timeMs }] };
}

function assertLater(before: Timestamp, next: Timestamp): void {
  if (next.timeMs > before.timeMs) return;
  throw publicationError(
    'publication.rollback',
    `${formatInstant(next.timeMs)} is not after ${formatInstant(before.timeMs)}`,
  );
}

/** What was the newest does not go back, or its key could hide what it had shown. */
function assertNoneBack(before: Timestamp, next: Timestamp): void {
  assertNotBack('release', before.release, next.release);
  assertNotBack('revocations', before.revocations, next.revocations);
}

function assertNotBack(
  what: 'release' | 'revocations',
  before: NamedDocument,
  next: NamedDocument,
): void {
  if (next.number > before.number) return;
  if (next.number < before.number) {
    throw publicationError('publication.rollback', `${what} ${next.number} < ${before.number}`);
  }
  if (!equalPublic(next.digest, before.digest)) {
    throw equivocation(what, next.number, before, next);
  }
}
