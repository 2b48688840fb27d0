/**
 * Whether a policy may follow what a repository holds: what its signers and its publisher have to know before, because
 * readers would only refuse it afterwards. Spec: docs/publication.md §2 "Bundle", "Release".
 * @module
 */

import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { lintPolicy } from '../../attestation/policy/lint.ts';
import { heldBundles } from '../../attestation/publication/find-bundles.ts';
import { hold, type PublicationState } from '../../attestation/publication/memory.ts';
import { BUNDLE } from '../../attestation/publication/bundle.ts';
import { equalPublic } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { openBytes, policyNameOf } from './documents.ts';
import { refused } from './errors.ts';
import { bundleFile, readBundleFile, type RepositoryFiles } from './repository.ts';

const ERRORS_SHOWN_MAX = 20;

/** Of what is in force, the candidate, and what lies in the repository without being named. */
export function highestSerial({ serials }: RepositoryFiles, state: PublicationState): number {
  const held = heldBundles(state).map(({ document }) => document.payload.policy.document.serial);
  return Math.max(0, state.highestSerial, ...held, ...serials);
}

/** The one in force, as far as the repository has one that verifies. */
export function policyInForce({ release }: PublicationState): CompiledPolicy | undefined {
  return release?.current.document.payload.policy;
}

/** Throws `repository.refused` for one of another name. */
export function assertSameName(name: string, { root }: PublicationState): void {
  const { policy } = root.payload;
  if (name === policy) return;
  throw refused(
    `this is for the policy ${name}, and the repository holds ${policy}`,
    `name the repository of ${name}, or say "name: ${policy}" in the policy`,
  );
}

/** For who signs first. The very policy that lies there already may be signed again. Throws `repository.refused`. */
export function assertNextSerial(
  policy: CompiledPolicy,
  files: RepositoryFiles,
  state: PublicationState,
): void {
  const { serial } = policy.document;
  const highest = highestSerial(files, state);
  if (serial > highest || isPublished(policy, files)) return;
  throw refused(
    `${policyNameOf(policy)} is not above the highest serial of the repository, ${highest}`,
    `say "serial: ${highest + 1}" in the policy; to go back to an old one, use "veilgate policy rollback"`,
  );
}

/**
 * One that lies in the repository and that the newest root supports, released or not. Throws `repository.refused` for one of
 * another serial or name than it lies under, `publication.*` for one that too few have signed.
 */
export function supportedBundle(
  { directory }: RepositoryFiles,
  { root }: PublicationState,
  serial: number,
): CompiledPolicy | undefined {
  const bytes = readBundleFile(directory, serial);
  if (bytes === undefined) return undefined;
  const { policy } = hold(bytes, root, BUNDLE).document.payload;
  if (policy.document.serial === serial) return policy;
  throw refused(
    `${directory}/${bundleFile(serial)} holds ${policyNameOf(policy)}`,
    'restore it from a gateway or a backup',
  );
}

/** Whether this content lies there under its serial, signed by whomever. */
export function isPublished(policy: CompiledPolicy, { directory }: RepositoryFiles): boolean {
  const bytes = readBundleFile(directory, policy.document.serial);
  if (bytes === undefined) return false;
  const there = openBytes(`bundle ${policy.document.serial}`, bytes);
  return there.kind === 'bundle' && equalPublic(there.policy.digest, policy.digest);
}

/** Throws `repository.refused` for one that is not begun or has ended. */
export function assertInTime({ document }: CompiledPolicy, nowMs: number): void {
  const { issued, expires } = document;
  if (issued > nowMs) {
    throw refused(
      `issued ${formatInstant(issued)} is in the future`,
      `say when it was decided, at the latest ${formatInstant(Math.floor(nowMs / 1000) * 1000)}`,
    );
  }
  if (nowMs < expires) return;
  throw refused(
    `it expired at ${formatInstant(expires)}`,
    'raise its serial, and renew issued and expires',
  );
}

/** Throws `repository.refused` when the checkout says something else. */
export function assertSameContent(
  policy: CompiledPolicy,
  source: CompiledPolicy,
  path: string,
): void {
  if (equalPublic(policy.digest, source.digest)) return;
  throw refused(
    `${path} compiles to ${policyNameOf(source)} with another digest: the file is not what your checkout says`,
    'check out the commit that was signed; if that is it, ask who made the file before anybody signs',
  );
}

/** Throws `repository.refused` for what the linter calls an error: there is no way past it but a better policy. */
export function assertLintClean(policy: CompiledPolicy, path: string, nowMs: number): void {
  const errors = lintPolicy(policy, nowMs).filter(({ level }) => level === 'error');
  if (errors.length === 0) return;
  const lines = errors.slice(0, ERRORS_SHOWN_MAX).map(({ at, message }) => `${at}: ${message}`);
  throw refused(
    [
      `${policyNameOf(policy)} has ${errors.length} error(s) that nobody should sign`,
      ...lines,
    ].join('\n'),
    `mend them, and see "veilgate policy lint ${path}"`,
  );
}
