/**
 * Climbing the chain of roots, one version after the other. Expired ones are climbed over: a reader that was away has no
 * other way up. Spec: docs/publication.md §2 "Root".
 * @module
 */

import { equalPublic } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { parseEnvelope, type Envelope } from './envelope.ts';
import { publicationError } from './errors.ts';
import { ROOTS_MAX } from './limits.ts';
import { underNewestRoot, type Held, type PublicationState } from './memory.ts';
import { assertNotAhead, equivocation } from './order.ts';
import { readRootUnverified, ROOT, verifyNextRoot, type Root } from './root.ts';
import { attempt, type Refusal, type Step } from './step.ts';
import { verifySuccessor } from './verified.ts';

/** Everything held is judged anew, once, under the root at the end of the climb. */
export function takeRoots(
  state: PublicationState,
  offered: readonly Uint8Array[],
  nowMs: number,
): Step & { readonly refused: readonly Refusal[] } {
  let roots = state.roots;
  const refused: Refusal[] = [];
  for (const bytes of offered) {
    const done = attempt('root', () => nextRoot(roots, bytes, nowMs));
    if (done.outcome === 'refused') refused.push(done.refusal);
    else if (done.value !== undefined) roots = [...roots, done.value];
  }
  const newest = roots.at(-1);
  if (newest === undefined || roots === state.roots) return { state, events: [], refused };
  const { state: next, retired } = underNewestRoot(state, roots, newest);
  const climbed = roots.slice(state.roots.length);
  return {
    state: next,
    events: [
      ...climbed.map(({ document }) => ({
        kind: 'root' as const,
        version: document.payload.version,
      })),
      ...retired.map((document) => ({ kind: 'retired' as const, document })),
    ],
    refused,
  };
}

/** Undefined for one that is in the chain already. */
function nextRoot(
  roots: readonly Held<Root>[],
  bytes: Uint8Array,
  nowMs: number,
): Held<Root> | undefined {
  const newest = roots.at(-1);
  assert(newest !== undefined, 'a chain without a root');
  const envelope = parseEnvelope(bytes, 'root');
  if (roots.some(({ document }) => equalPublic(document.digest, envelope.digest))) return undefined;
  assertAbove(roots, envelope);
  if (roots.length >= ROOTS_MAX) {
    throw publicationError('publication.root_chain', `${roots.length} roots: pin a newer one`);
  }
  const document = verifyNextRoot(bytes, newest.document);
  assertNotAhead(document.payload.issuedMs, nowMs);
  return { document, bytes: Uint8Array.from(bytes) };
}

/**
 * What claims a version that the chain has is not taken, whoever signed it; where those signed it who could, there are
 * two roots of one version. The claim is unverified, and decides nothing but which refusal it is.
 */
function assertAbove(roots: readonly Held<Root>[], envelope: Envelope): void {
  const claimed = readRootUnverified(envelope).version;
  const at = roots.findIndex(({ document }) => document.payload.version === claimed);
  const held = roots[at];
  const before = roots[at - 1];
  if (held !== undefined && before !== undefined) {
    const other = verifySuccessor(envelope, before.document, ROOT);
    throw equivocation('version', claimed, held.document, other);
  }
  const pinned = roots[0]?.document.payload.version ?? 0;
  if (claimed <= pinned) throw publicationError('publication.rollback', `version ${claimed}`);
}
