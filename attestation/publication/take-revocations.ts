/** A newer list of revocations, or refused. Spec: docs/publication.md §2 "Revocations", §3. @module */

import { equalPublic } from '../../core/bytes.ts';
import { publicationError } from './errors.ts';
import {
  heldRevocations,
  hold,
  isNamedBy,
  type Held,
  type HeldRevocations,
  type PublicationState,
} from './memory.ts';
import { assertNotAhead, assertRootLives, compareNumbered } from './order.ts';
import { countWithdrawn, REVOCATIONS, type RevocationList } from './revocations.ts';
import type { Root } from './root.ts';
import type { Step } from './step.ts';
import { hasSigned, type Verified } from './verified.ts';

/** Throws `publication.*`. */
export function takeRevocations(state: PublicationState, bytes: Uint8Array, nowMs: number): Step {
  const { root } = state;
  const held = state.revocations;
  if (held?.supported === true && equalPublic(bytes, held.bytes)) return { state, events: [] };
  assertRootLives(root, nowMs);
  const next = hold(bytes, root, REVOCATIONS);
  const before = held !== undefined && isMistaken(held, next, state) ? undefined : held;
  // A number that the newest root does not support may be a thief's, and binds nobody.
  const binding = before?.supported === true ? before.document : undefined;
  const order = compareNumbered(binding, next.document);
  const { number, issuedMs } = next.document.payload;
  const confirmed = before?.confirmed === true || hasSigned(next.document, root, 'policy');
  const revocations = heldRevocations(next, root.payload.version, confirmed);
  if (order === 'same') {
    return {
      state: { ...state, revocations },
      events: [{ kind: 'renewed', document: 'revocations' }],
    };
  }
  assertNotAhead(issuedMs, nowMs);
  assertNothingGivenBack(before?.document, next.document, root);
  const newestIssuedMs = Math.max(state.newestIssuedMs, issuedMs);
  return {
    state: { ...state, revocations, newestIssuedMs },
    events: [{ kind: 'revocations', number }],
  };
}

/** A first list that nothing has confirmed gives way to the one that the timestamp names: one key could have made it. */
function isMistaken(
  held: HeldRevocations,
  next: Held<RevocationList>,
  { timestamp }: PublicationState,
): boolean {
  return !held.confirmed && timestamp !== undefined && isNamedBy(timestamp, next);
}

/** Taking away needs one role, giving back needs that of granting as well. */
function assertNothingGivenBack(
  before: Verified<RevocationList> | undefined,
  next: Verified<RevocationList>,
  root: Verified<Root>,
): void {
  if (before === undefined) return;
  const withdrawn = countWithdrawn(before.payload, next.payload);
  if (withdrawn === 0 || hasSigned(next, root, 'policy')) return;
  throw publicationError('publication.revocation_withdrawn', `${withdrawn} entries`, {
    facts: { withdrawn },
  });
}
