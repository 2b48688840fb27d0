/**
 * What a repository says, judged as its readers judge it. Whoever adds to it starts from here, so that nothing is written
 * that a reader would refuse. Spec: docs/publication.md §3.
 * @module
 */

import { advance, type Advance, type Offered } from '../../attestation/publication/advance.ts';
import { parseEnvelope } from '../../attestation/publication/envelope.ts';
import type { DocumentKind } from '../../attestation/publication/kinds.ts';
import { ENVELOPE_MAX_BYTES } from '../../attestation/publication/kinds.ts';
import type { PublicationState } from '../../attestation/publication/memory.ts';
import { openPublication } from '../../attestation/publication/open.ts';
import { readPayload } from '../../attestation/publication/payload.ts';
import { decodeRelease } from '../../attestation/publication/release.ts';
import { decodeRevocations } from '../../attestation/publication/revocations.ts';
import type { Refusal } from '../../attestation/publication/step.ts';
import { equalPublic } from '../../core/bytes.ts';
import type { Json } from '../../core/json.ts';
import { VeilError } from '../../core/errors.ts';
import { refused, repositoryError } from './errors.ts';
import type { RepositoryFiles } from './repository.ts';

export interface OwnState {
  readonly state: PublicationState;
  readonly refused: readonly Refusal[];
}

/** A reader that pins the first root there. Throws `repository.unusable`, `publication.*` for that root or the clock. */
export function newReader({ roots }: RepositoryFiles, nowMs: number): PublicationState {
  const [pinnedRoot, ...later] = roots;
  if (pinnedRoot === undefined) throw repositoryError('repository.unusable', 'no root');
  return advance(openPublication({ pinnedRoot, nowMs }), { roots: later }, nowMs).state;
}

/**
 * What a reader holds that was there all along. A policy or a root that has expired since does not make it forget numbers and
 * serials: that is what the next publication has to be above. Throws as `newReader`.
 */
export function ownState(files: RepositoryFiles, nowMs: number): OwnState {
  const [, ...later] = files.roots;
  const { release, bundles, revocations, timestamp } = files;
  const refusals: Refusal[] = [];
  let state = openFirst(files, nowMs);
  const offer = (offered: Offered, atMs: number): void => {
    const done = advance(state, offered, atMs);
    state = done.state;
    refusals.push(...done.refused);
  };
  offer({ roots: later }, nowMs);
  if (revocations !== undefined) {
    offer({ revocations }, Math.min(nowMs, issuedAt(revocations, 'revocations', nowMs)));
  }
  if (release !== undefined) {
    offer({ release, bundles }, Math.min(nowMs, issuedAt(release, 'release', nowMs)));
  }
  if (timestamp !== undefined) offer({ timestamp }, nowMs);
  return { state, refused: refusals };
}

function openFirst({ roots }: RepositoryFiles, nowMs: number): PublicationState {
  const [pinnedRoot] = roots;
  if (pinnedRoot === undefined) throw repositoryError('repository.unusable', 'no root');
  return openPublication({ pinnedRoot, nowMs });
}

const ISSUED = {
  release: (payload: Json): number => decodeRelease(payload).issuedMs,
  revocations: (payload: Json): number => decodeRevocations(payload).issuedMs,
} as const satisfies Partial<Record<DocumentKind, (payload: Json) => number>>;

/** What it says, whoever says it; one that cannot be read is refused whenever it is judged. */
function issuedAt(bytes: Uint8Array, kind: keyof typeof ISSUED, otherwiseMs: number): number {
  try {
    return ISSUED[kind](readPayload(parseEnvelope(bytes, kind).payload, ENVELOPE_MAX_BYTES[kind]));
  } catch (error) {
    if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
    return otherwiseMs;
  }
}

/**
 * Readers have what a timestamp names. Signed on top of anything older, the next number would be a second content under one
 * that they hold: refused by them all, while its signer believes it to be in force. Throws `repository.refused`.
 */
export function assertNotPutBack(
  files: RepositoryFiles,
  { timestamp, ...held }: PublicationState,
  kind: 'release' | 'revocations',
): void {
  const named = timestamp?.document.payload[kind];
  // One that a new root does not support is there all the same: its keys were taken away, not the file.
  if (named === undefined || (held[kind] === undefined && files[kind] !== undefined)) return;
  const document = held[kind]?.document;
  if ((document?.payload.number ?? 0) > named.number) return;
  if (document !== undefined && equalPublic(document.digest, named.digest)) return;
  const word = kind === 'release' ? 'release' : 'list';
  const there = document === undefined ? 'none' : `${word} ${document.payload.number}`;
  const other = document?.payload.number === named.number ? ' with another content' : '';
  throw refused(
    `the timestamp in ${files.directory} names ${word} ${named.number}, and the repository holds ${there}${other}: it was put back, or is not whole`,
    `restore ${kind}.json from a gateway (GET /v1/publication/${kind}.json) or a backup`,
  );
}

/** All of a repository, as a gateway that starts today finds it. */
export function readByNewcomer(files: RepositoryFiles, nowMs: number): Advance {
  return advance(newReader(files, nowMs), offeredOf(files), nowMs);
}

/** Without the roots: they are climbed on their own. */
export function offeredOf({ release, bundles, revocations, timestamp }: RepositoryFiles): Offered {
  return {
    bundles,
    ...(release === undefined ? {} : { release }),
    ...(revocations === undefined ? {} : { revocations }),
    ...(timestamp === undefined ? {} : { timestamp }),
  };
}
