/**
 * The next release: made from what the repository holds, signed by those of the role who are here, and published only when
 * enough are. Spec: docs/publication.md §2 "Release".
 * @module
 */

import { existsSync } from 'node:fs';
import { addSignatures, signEnvelope } from '../../attestation/publication/envelope.ts';
import type { PublicationState } from '../../attestation/publication/memory.ts';
import { encodeRelease, type Release } from '../../attestation/publication/release.ts';
import { saveFile } from '../policy/save.ts';
import { openBytes, type OpenedRelease } from './documents.ts';
import { refused } from './errors.ts';
import { readSigningKey } from './keys.ts';
import { wholeSecond } from './lifetime.ts';
import { assertNotPutBack } from './own-state.ts';
import type { RepositoryFiles } from './repository.ts';
import { assertMaySign, standing, standingText } from './standing.ts';

/** Far below where numbers end: a thief's number must not be the last one. */
const UNVERIFIED_NUMBER_MAX = 2 ** 40;

/** Throws `repository.refused` where what readers have is not there. */
export function releaseAfter(
  files: RepositoryFiles,
  state: PublicationState,
  { nowMs, ...named }: Pick<Release, 'current' | 'candidate'> & { readonly nowMs: number },
): Uint8Array {
  assertNotPutBack(files, state, 'release');
  return encodeRelease({
    policy: state.root.payload.policy,
    number: lastNumber(files, state) + 1,
    issuedMs: wholeSecond(nowMs),
    ...named,
  });
}

/** One that the newest root does not support binds nobody, and is passed all the same if it is sane. */
function lastNumber({ release }: RepositoryFiles, state: PublicationState): number {
  const held = state.release?.document.payload.number;
  if (held !== undefined || release === undefined) return held ?? 0;
  const there = openBytes('release', release);
  const number = there.kind === 'release' ? there.release.number : 0;
  return number < UNVERIFIED_NUMBER_MAX ? number : 0;
}

export interface SigningRequest {
  /** Files of secret keys. */
  readonly as: readonly string[];
  /** Where a release goes that others have to sign too. */
  readonly out: string | undefined;
}

export type SignedRelease =
  | {
      readonly outcome: 'complete';
      readonly document: OpenedRelease;
      readonly as: readonly string[];
    }
  | {
      readonly outcome: 'draft';
      readonly document: OpenedRelease;
      readonly as: readonly string[];
      readonly path: string;
    };

/** Throws `repository.refused` when more have to sign and nobody said where to put it. */
export function signRelease(
  payload: Uint8Array,
  state: PublicationState,
  { as, out }: SigningRequest,
): SignedRelease {
  const root = state.root.payload;
  const keys = as.map(readSigningKey);
  for (const key of keys) assertMaySign(key, [root], ['release']);
  const secrets = keys.map(({ secretKey }) => secretKey);
  const bytes = addSignatures(signEnvelope('release', payload, []), secrets);
  const document = openBytes(out ?? 'the release', bytes);
  if (document.kind !== 'release') throw refused('this is no release', 'make it anew');
  const names = keys.map(({ name }) => name);
  const there = standing(document.envelope, root, 'release');
  if (there.missing === 0) return { outcome: 'complete', document, as: names };
  if (out === undefined) {
    throw refused(
      `not enough have signed. ${standingText(there)}`,
      'name more keys (--as once for each), or --out FILE to pass it on to the others',
    );
  }
  if (existsSync(out)) {
    throw refused(
      `${out} is there already, perhaps with signatures`,
      'take another --out, or remove it',
    );
  }
  saveFile('release', out, bytes);
  return { outcome: 'draft', document, as: names, path: out };
}
