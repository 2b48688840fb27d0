/**
 * Putting signed documents into a repository: judged first as every reader will judge them, those who have been there all
 * along and those who come today; then written so that at each moment the last good publication stands.
 * Spec: docs/publication.md §2, §3.
 * @module
 */

import { advance, type Advance } from '../../attestation/publication/advance.ts';
import { parseAnyEnvelope } from '../../attestation/publication/envelope.ts';
import { BUNDLE } from '../../attestation/publication/bundle.ts';
import { hold, type PublicationState } from '../../attestation/publication/memory.ts';
import {
  attempt,
  type PublicationEvent,
  type Refusal,
} from '../../attestation/publication/step.ts';
import { equalPublic } from '../../core/bytes.ts';
import { adviceFor } from './advice.ts';
import { refused } from './errors.ts';
import { newReader, offeredOf, ownState } from './own-state.ts';
import {
  bundleFile,
  commit,
  readBundleFile,
  RELEASE_FILE,
  REVOCATIONS_FILE,
  rootFile,
  seenIn,
  type RepositoryFiles,
  type RepositoryWrite,
  type Seen,
} from './repository.ts';

/** Envelopes to be published together. */
export interface Publication {
  /** The next versions, rising. */
  readonly roots?: readonly Uint8Array[];
  readonly bundles?: ReadonlyMap<number, Uint8Array>;
  readonly release?: Uint8Array;
  readonly revocations?: Uint8Array;
}

export interface Published {
  readonly state: PublicationState;
  readonly accepted: readonly PublicationEvent[];
  /** In this order. */
  readonly written: readonly string[];
}

/**
 * Throws `repository.refused` for what a reader would refuse: nothing is written then. `mayRetire`: also a root that puts
 * what is in force out of force, because its keys were stolen. Throws `repository.changed`, `repository.in_use`.
 */
export async function publish(
  files: RepositoryFiles,
  publication: Publication,
  { nowMs, mayRetire = false }: { readonly nowMs: number; readonly mayRetire?: boolean },
): Promise<Published> {
  const judged = judge(files, publication, nowMs);
  if (!mayRetire) assertNothingLost(ownState(files, nowMs).state, judged.state);
  const writes = writesOf(files, publication);
  // A root was judged with what is there: what came meanwhile could be what it does not support.
  const isRotated = (publication.roots ?? []).length > 0;
  const names = [
    ...(publication.release === undefined && !isRotated ? [] : ([RELEASE_FILE] as const)),
    ...(publication.revocations === undefined && !isRotated ? [] : ([REVOCATIONS_FILE] as const)),
  ];
  await commit(files.directory, writes, [
    ...seenIn(files, names),
    ...seenBundles(files, publication),
  ]);
  return {
    state: judged.state,
    accepted: judged.accepted,
    written: writes.map(({ name }) => name),
  };
}

/** A serial has one content for ever, also one that was never released: somebody may have signed it. */
function seenBundles(files: RepositoryFiles, { bundles }: Publication): readonly Seen[] {
  return [...(bundles ?? [])].map(([serial, bytes]) => {
    const there = readBundleFile(files.directory, serial);
    const isOther =
      there !== undefined &&
      !equalPublic(parseAnyEnvelope(there).digest, parseAnyEnvelope(bytes).digest);
    if (!isOther) return { name: bundleFile(serial), bytes: there };
    throw refused(
      `${bundleFile(serial)} is in the repository with another content`,
      `give the policy the serial ${Math.max(0, ...files.serials) + 1} and have it signed`,
    );
  });
}

/**
 * By those who were there all along, and by newcomers: each finds all of the repository as it will be. What was wrong there
 * before is not this publication's fault; "policy status" shows it. Throws `repository.refused`.
 */
function judge(files: RepositoryFiles, publication: Publication, nowMs: number): Advance {
  const { roots = [], bundles = [] } = publication;
  const after: RepositoryFiles = {
    ...files,
    ...publication,
    roots: [...files.roots, ...roots],
    bundles: new Map([...files.bundles, ...bundles]),
  };
  const { timestamp: _, ...documents } = offeredOf(after);
  const mine = ({ refused: refusals }: Advance): readonly Refusal[] =>
    refusals.filter(({ document }) => isIn(publication, document));
  const judged = advance(ownState(files, nowMs).state, { roots, ...documents }, nowMs);
  const unsigned = [...bundles.values()].flatMap((bytes) => {
    // Readers look at those that a release names. Any other will be named, or brought back, as one that enough have signed.
    const done = attempt('bundle', () => hold(bytes, judged.state.root, BUNDLE));
    return done.outcome === 'refused' ? [done.refusal] : [];
  });
  assertAccepted(mine(judged), files.directory);
  assertAccepted(unsigned, files.directory);
  assertAccepted(mine(advance(newReader(after, nowMs), documents, nowMs)), files.directory);
  return judged;
}

function isIn(publication: Publication, document: Refusal['document']): boolean {
  switch (document) {
    case 'root':
      return publication.roots !== undefined;
    case 'bundle':
    case 'release':
      return publication.release !== undefined || publication.bundles !== undefined;
    case 'revocations':
      return publication.revocations !== undefined;
    case 'timestamp':
  }
  return false;
}

function assertAccepted(refusals: readonly Refusal[], directory: string): void {
  const [first] = refusals;
  if (first === undefined) return;
  const lines = refusals.map(({ document, code, detail }) => `${document}: ${code}: ${detail}`);
  throw refused(
    ['readers would refuse this, so nothing was written', ...lines].join('\n'),
    adviceFor(first, directory),
  );
}

/** A root whose keys do not support what is in force would stop every gateway at once. */
function assertNothingLost(before: PublicationState, after: PublicationState): void {
  const lost = [
    before.release !== undefined && after.release === undefined ? 'release and bundles' : undefined,
    before.revocations?.supported === true && after.revocations?.supported !== true
      ? 'the list of revocations'
      : undefined,
  ].filter((name) => name !== undefined);
  if (lost.length === 0) return;
  throw refused(
    `the new root does not support ${lost.join(' and ')}: every gateway would deny from then on`,
    'have them signed again with the new keys ("veilgate policy sign FILE --next-root …") and publish them together with the root; if keys were stolen and this is meant, say --retire',
  );
}

/** What others refer to comes first, the root last: until then its keys are worth nothing. */
function writesOf(files: RepositoryFiles, publication: Publication): readonly RepositoryWrite[] {
  const { roots = [], bundles = new Map(), release, revocations } = publication;
  const nextRoot = files.firstRoot + files.roots.length;
  return [
    ...(revocations === undefined ? [] : [{ name: REVOCATIONS_FILE, bytes: revocations }]),
    ...[...bundles].map(([serial, bytes]) => ({ name: bundleFile(serial), bytes })),
    ...(release === undefined ? [] : [{ name: RELEASE_FILE, bytes: release }]),
    ...roots.map((bytes, at) => ({ name: rootFile(nextRoot + at), bytes })),
  ];
}
