/** Accepted and refused documents, as entries of the audit log. @module */

import type { PublicationState } from '../../attestation/publication/memory.ts';
import type { PublicationEvent, Refusal } from '../../attestation/publication/step.ts';
import type { Audit } from '../audit.ts';

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
}

/** At the first start: what everything else rests on. */
export async function auditPinnedRoot(audit: Audit, state: PublicationState): Promise<void> {
  await auditRoot(audit, state, state.root.payload.version);
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

/** Twice one number with two contents has an entry of its own kind: people signed both. */
export function auditRefused(audit: Audit, { document, code }: Refusal): void {
  audit.publicationRefused({ document, code });
}
