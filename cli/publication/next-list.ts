/**
 * The next list of revocations. Taking away needs one person and has to work at once, so it is tried again when somebody else
 * was quicker; giving back needs those who grant as well, and is collected. Spec: docs/publication.md §2 "Revocations".
 * @module
 */

import { existsSync } from 'node:fs';
import { addSignatures, signEnvelope } from '../../attestation/publication/envelope.ts';
import type { Role } from '../../attestation/publication/kinds.ts';
import type { PublicationState } from '../../attestation/publication/memory.ts';
import {
  encodeRevocations,
  type DatedRevocation,
} from '../../attestation/publication/revocations.ts';
import type { Clock } from '../../core/clock.ts';
import { hasCode } from '../../core/errors.ts';
import { saveFile } from '../policy/save.ts';
import { openBytes, type OpenedDocument } from './documents.ts';
import { refused } from './errors.ts';
import type { SigningKey } from './keys.ts';
import { wholeSecond } from './lifetime.ts';
import { assertNotPutBack, ownState, type OwnState } from './own-state.ts';
import { readPinnedRepository } from './pinned-root.ts';
import { publish, type Published } from './publishing.ts';
import { REVOCATIONS_FILE, type RepositoryFiles } from './repository.ts';
import { assertMaySign, standing, standingText, type Standing } from './standing.ts';

const ATTEMPTS_MAX = 8;

export interface ListRequest {
  readonly directory: string;
  /** Path of the first root, as whoever signs knows it; without it the one that lies there is believed. */
  readonly root?: string | undefined;
  readonly keys: readonly SigningKey[];
  /** Who has to sign; a list that gives back needs `policy` besides. */
  readonly roles: readonly Role[];
  readonly now: Clock;
  /** Where it goes if others have to sign it too. */
  readonly out: string | undefined;
  /** Of what is there now, what shall be; throws to refuse. */
  readonly change: (
    entries: readonly DatedRevocation[],
    context: ListContext,
  ) => readonly DatedRevocation[];
}

export interface ListContext {
  readonly files: RepositoryFiles;
  readonly state: PublicationState;
  readonly atMs: number;
}

export type ListResult =
  | { readonly outcome: 'published'; readonly published: Published; readonly number: number }
  | {
      readonly outcome: 'draft';
      readonly document: OpenedDocument;
      readonly standings: readonly Standing[];
      readonly path: string;
    };

/** Throws `repository.*`, and what `change` throws. */
export async function publishList(request: ListRequest): Promise<ListResult> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await publishOnce(request);
    } catch (error) {
      if (!hasCode(error, 'repository.changed') || attempt >= ATTEMPTS_MAX) throw error;
    }
  }
}

async function publishOnce({
  directory,
  root: pinned,
  keys,
  roles,
  now,
  out,
  change,
}: ListRequest): Promise<ListResult> {
  const nowMs = now();
  const files = readPinnedRepository(directory, pinned);
  const own = ownState(files, nowMs);
  const { state } = own;
  const root = state.root.payload;
  for (const key of keys) assertMaySign(key, [root], roles);
  assertListReadable(files, own);
  assertNotPutBack(files, state, 'revocations');
  const before = state.revocations?.document.payload;
  const atMs = wholeSecond(nowMs);
  const number = (before?.number ?? 0) + 1;
  const entries = change(before?.entries ?? [], { files, state, atMs });
  const payload = encodeRevocations({ policy: root.policy, number, issuedMs: atMs, entries });
  const secrets = keys.map(({ secretKey }) => secretKey);
  const bytes = addSignatures(signEnvelope('revocations', payload, []), secrets);
  const document = openBytes(out ?? 'the list', bytes);
  const standings = roles.map((role) => standing(document.envelope, root, role));
  if (standings.every(({ missing }) => missing === 0)) {
    const published = await publish(files, { revocations: bytes }, { nowMs });
    return { outcome: 'published', published, number };
  }
  if (out === undefined) {
    throw refused(
      ['not enough have signed', ...standings.map(standingText)].join('\n'),
      'name more keys (--as once for each), or --out FILE to pass it on to the others',
    );
  }
  if (existsSync(out)) {
    throw refused(
      `${out} is there already, perhaps with signatures`,
      'take another --out, or remove it',
    );
  }
  saveFile('list of revocations', out, bytes);
  return { outcome: 'draft', document, standings, path: out };
}

/** A new list over one that cannot be believed would give everything back that it took away. */
function assertListReadable(
  { revocations, directory }: RepositoryFiles,
  { state, refused: refusals }: OwnState,
): void {
  if (revocations === undefined || state.revocations !== undefined) return;
  const code = refusals.find(({ document }) => document === 'revocations')?.code;
  const file = `${directory}/${REVOCATIONS_FILE}`;
  throw refused(
    `the list that is published does not verify (${code ?? 'unknown'}), so a new one could leave out what it revokes`,
    code === 'publication.threshold'
      ? `if its keys were rotated away, look at it with "veilgate revoke list ${file}", then: veilgate policy sign ${file} --as your.key --repo ${directory} --out list.json && veilgate policy publish --repo ${directory} list.json`
      : `restore ${file} from a gateway or a backup`,
  );
}
