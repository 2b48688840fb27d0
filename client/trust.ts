/**
 * By what a session judges: the policy in force and what is known to be revoked. A source says what holds now, without
 * waiting, and learns from what a gateway shows; where documents come from does not matter, because all are signed.
 * Spec: docs/publication.md §4.
 * @module
 */

import { equalPublic, type Bytes } from '../core/bytes.ts';
import type { CompiledPolicy } from '../attestation/policy/compile.ts';
import type { Bundle } from '../attestation/publication/bundle.ts';
import type { Held, PublicationState } from '../attestation/publication/memory.ts';
import {
  revokedAmong,
  type Revocable,
  type RevocationKnowledge,
} from '../attestation/policy/revocations.ts';
import { listOf } from '../attestation/policy/revocation-checks.ts';
import { inCanary } from '../attestation/publication/release.ts';
import type { AttestedKey } from '../attestation/verdict.ts';
import type { DocumentSource } from './documents.ts';

export interface Trust {
  readonly policy: CompiledPolicy;
  /** In force already for its share of the workers, in percent. */
  readonly candidate?: { readonly policy: CompiledPolicy; readonly share: number } | undefined;
  readonly revocations: RevocationKnowledge;
  /** From what all of this can be judged again by whoever keeps a proof. Absent where somebody else keeps it current. */
  readonly basis?: TrustBasis;
}

export type TrustBasis =
  | { readonly kind: 'unsigned'; readonly policy: CompiledPolicy }
  | {
      readonly kind: 'signed';
      readonly mode: TrustMode;
      readonly state: PublicationState;
      /** Of the mode `offline` alone. */
      readonly unreleased: Held<Bundle> | undefined;
    };

/**
 * `offline`: documents are those that were given. What a gateway shows may take away, never give, and age is waived by the
 * option.
 */
export type TrustMode = 'online' | 'offline';

/** What stood beside evidence, and where its owner serves the documents. */
export interface Published {
  readonly staple: unknown;
  readonly documents: DocumentSource;
}

export interface TrustSource {
  /** What holds at this instant. Throws `client.policy_*`, `client.clock` where nobody may be admitted. */
  current(nowMs: number): Trust;
  /** Takes what is new of it, and looks for what is missing. Throws `client.policy_memory`. */
  update(published: Published, signal: AbortSignal): Promise<void>;
}

/** One that never changes: a policy of the app's own, which nobody signed. */
export function unsignedTrust(policy: CompiledPolicy): TrustSource {
  return heldTrust(() => ({ policy, revocations: NO_LIST, basis: { kind: 'unsigned', policy } }));
}

/** Kept current by somebody else. */
export function heldTrust(current: () => Trust): TrustSource {
  return { current, update: () => Promise.resolve() };
}

const NO_LIST: RevocationKnowledge = {
  waived: 'an unsigned policy of the app: no root to verify a list by',
  by: 'client option policy',
};

/** The policy that is in force for this worker: the same answer as at every gateway. */
export function policyFor({ policy, candidate }: Trust, workerId: Bytes<32>): CompiledPolicy {
  if (candidate === undefined) return policy;
  return inCanary(candidate.policy.digest, workerId, candidate.share) ? candidate.policy : policy;
}

/** Whether a key that was admitted earlier would still be looked at; its own expiry is not asked about. */
export function stillTrusted(
  trust: Trust,
  key: AttestedKey,
  revocable: readonly Revocable[],
): boolean {
  const { digest } = policyFor(trust, key.workerId);
  if (!equalPublic(digest, key.policyDigest)) return false;
  return revokedAmong(listOf(trust.revocations), revocable) === undefined;
}
