/** A newer list of revocations, or refused. Spec: docs/publication.md §2 "Revocations", §3. @module */

import { equalPublic } from '../../core/bytes.ts';
import { publicationError } from './errors.ts';
import { heldRevocations, hold, type PublicationState } from './memory.ts';
import { assertNotAhead, assertRootLives, compareNumbered } from './order.ts';
import { countWithdrawn, REVOCATIONS, type RevocationList } from './revocations.ts';
import type { Root } from './root.ts';
import type { Step } from './step.ts';
import { hasSigned, type Verified } from './verified.ts';

/** Throws `publication.*`. */
export function takeRevocations(state: PublicationState, bytes: Uint8Array, nowMs: number): Step {
  const { root, revocations: before } = state;
  // A number that the newest root does not support may be a thief's, and binds nobody.
  const binding = before?.supported === true ? before : undefined;
  if (binding !== undefined && equalPublic(bytes, binding.bytes)) return { state, events: [] };
  assertRootLives(root, nowMs);
  const next = hold(bytes, root, REVOCATIONS);
  const { number, issuedMs } = next.document.payload;
  const order = compareNumbered(binding?.document, next.document);
  const place = { rootVersion: root.payload.version, supported: true };
  const taken = { ...state, revocations: heldRevocations(next, place) };
  if (order === 'same') {
    return { state: taken, events: [{ kind: 'renewed', document: 'revocations' }] };
  }
  assertNotAhead(issuedMs, nowMs);
  assertNothingGivenBack(before?.document, next.document, root);
  return {
    state: { ...taken, newestIssuedMs: Math.max(state.newestIssuedMs, issuedMs) },
    events: [{ kind: 'revocations', number }],
  };
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
