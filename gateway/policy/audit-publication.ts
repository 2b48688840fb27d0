/** Accepted and refused documents, as entries of the audit log. @module */

import type { PublicationState } from '../../attestation/publication/memory.ts';
import type { PublicationEvent, Refusal } from '../../attestation/publication/step.ts';
import { fixed, fromHex, type Bytes } from '../../core/bytes.ts';
import type { Facts } from '../../core/errors.ts';
import type { Audit, Equivocation } from '../audit.ts';

/** Resolves when it is on the disk. `before`: what was there, so that a list shows what is new in it. */
export async function auditAccepted(
  audit: Audit,
  event: PublicationEvent,
  state: PublicationState,
  before: PublicationState | undefined,
): Promise<void> {
  if (event.kind === 'root') await auditRoot(audit, state, event.version);
  else if (event.kind === 'release') await auditRelease(audit, state);
  else if (event.kind === 'revocations') await auditRevocations(audit, state, before);
  else if (event.kind === 'retired') {
    audit.publicationRefused({ document: event.document, code: 'publication.retired' });
  }
}

async function auditRoot(
  audit: Audit,
  { roots }: PublicationState,
  version: number,
): Promise<void> {
  const root = roots.find(({ document }) => document.payload.version === version);
  if (root === undefined) return;
  const { payload, digest } = root.document;
  await audit.rootAccepted({ name: payload.policy, version, digest });
}

async function auditRelease(audit: Audit, { release }: PublicationState): Promise<void> {
  if (release === undefined) return;
  const { payload, digest } = release.document;
  const { policy: name, number, current, candidate } = payload;
  await audit.releaseAccepted({
    name,
    number,
    digest,
    current: { serial: current.serial, policy: current.digest },
    ...(candidate === null
      ? {}
      : {
          candidate: {
            serial: candidate.serial,
            policy: candidate.digest,
            share: candidate.share,
          },
        }),
  });
}

async function auditRevocations(
  audit: Audit,
  { revocations }: PublicationState,
  before: PublicationState | undefined,
): Promise<void> {
  if (revocations === undefined) return;
  const { payload, digest } = revocations.document;
  const known = before?.revocations?.set;
  const added = payload.entries.filter(({ kind, value }) => known?.find(kind, value) === undefined);
  await audit.revocationsAccepted({ name: payload.policy, number: payload.number, digest, added });
}

/**
 * What a gateway begins with. A crash may have come between the state and the log, and the pinned root was never accepted by
 * anybody but the operator.
 */
export async function auditHeld(audit: Audit, state: PublicationState): Promise<void> {
  await auditRoot(audit, state, state.root.payload.version);
  await auditRelease(audit, state);
  await auditRevocations(audit, state, state);
}

/** Twice one number with two contents has an entry of its own kind: people signed both. */
export async function auditRefused(
  audit: Audit,
  refusal: Refusal,
  { root }: PublicationState,
): Promise<void> {
  const found = equivocationIn(refusal);
  if (found !== undefined) await audit.equivocation({ ...found, name: root.payload.policy });
  audit.publicationRefused({
    document: refusal.document,
    code: refusal.code,
    ...(found === undefined ? {} : { digest: found.offered }),
  });
}

/** Undefined also for two policies of one serial: the log has no number for those but the release's own. */
function equivocationIn({ document, twofold }: Refusal): Omit<Equivocation, 'name'> | undefined {
  if (twofold === undefined) return undefined;
  const { what, number, held, offered } = twofold;
  const named = what === 'release' || what === 'revocations' ? what : document;
  if (what === 'serial' || typeof number !== 'number') return undefined;
  if (named === 'bundle' || named === 'timestamp') return undefined;
  return { document: named, number, accepted: digestIn(held), offered: digestIn(offered) };
}

function digestIn(text: Facts[string] | undefined): Bytes<32> {
  return fixed(fromHex(String(text).slice('sha256:'.length)), 32);
}
