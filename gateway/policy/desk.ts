/**
 * Which policy is in force for whom, and what has been revoked: the one place that the request path, registration and the
 * rounds ask. What lies on the desk is changed by the keeper alone, in one step. Spec: gpu-and-policy §5.4.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import {
  NO_REVOCATIONS,
  type RevocationKnowledge,
  type Revocations,
} from '../../attestation/policy/revocations.ts';
import { inCanary } from '../../attestation/publication/release.ts';
import { gatewayError } from '../errors.ts';

export interface CandidatePolicy {
  readonly policy: CompiledPolicy;
  /** Percent of workers for which it is in force already; 0 is a shadow. */
  readonly share: number;
}

/** What is in force. */
export interface Enforced {
  readonly current: CompiledPolicy;
  readonly candidate?: CandidatePolicy;
}

/** What is known of revocations. Fresh: word of it is young enough for the policy. */
export interface RevocationState {
  readonly list: Revocations;
  /** The newest root supports no release any more: what lies on the desk is not in force. */
  readonly isRetired: () => boolean;
  /** Why the gateway must not serve now; undefined while it may. */
  readonly staleBecause: (maxAgeMs: number, nowMs: number) => string | undefined;
}

export class PolicyDesk {
  #enforced: Enforced;
  #revocations: RevocationState | undefined;

  /** Without `revocations`: an unsigned development policy, to which no list belongs. */
  constructor(enforced: Enforced, revocations?: RevocationState) {
    this.#enforced = enforced;
    this.#revocations = revocations;
  }

  current(): CompiledPolicy {
    return this.#enforced.current;
  }

  candidate(): CandidatePolicy | undefined {
    return this.#enforced.candidate;
  }

  policyFor(workerId: Bytes<32>): CompiledPolicy {
    return policyFor(this.#enforced, workerId);
  }

  revocations(): Revocations {
    return this.#revocations?.list ?? NO_REVOCATIONS;
  }

  /** For appraisals: freshness is asked for each request, so that verdicts live longer than a minute. */
  knowledge(): RevocationKnowledge {
    if (this.#revocations === undefined) return UNSIGNED;
    return { list: this.#revocations.list, freshness: EACH_REQUEST };
  }

  /**
   * Undefined while requests may be served: under `policy`, which may be a candidate with a limit of its own. Whether
   * a policy is in force at all is not for a policy to waive.
   */
  staleBecause(nowMs: number, policy: CompiledPolicy = this.#enforced.current): string | undefined {
    const { revocation_age: age } = policy.document.limits;
    if (this.#revocations === undefined) return undefined;
    if (this.#revocations.isRetired()) return 'retired';
    return 'any' in age ? undefined : this.#revocations.staleBecause(age.gateway, nowMs);
  }

  /** Throws `gateway.policy_stale`. */
  assertFresh(nowMs: number, policy?: CompiledPolicy): void {
    const why = this.staleBecause(nowMs, policy);
    if (why !== undefined) throw gatewayError('gateway.policy_stale', why);
  }

  /** For the keeper: everybody has been judged under it already. */
  enforce(enforced: Enforced): void {
    this.#enforced = enforced;
  }

  /** For the keeper: holds from this moment on. */
  know(revocations: RevocationState): void {
    this.#revocations = revocations;
  }
}

/** A candidate is in force for its share of the workers, always the same ones. */
export function policyFor({ current, candidate }: Enforced, workerId: Bytes<32>): CompiledPolicy {
  if (candidate === undefined) return current;
  const { policy, share } = candidate;
  return inCanary(policy.digest, workerId, share) ? policy : current;
}

const EACH_REQUEST = { judged: 'each-request', by: 'the gateway' } as const;
const UNSIGNED: RevocationKnowledge = {
  waived: 'an unsigned development policy has no list',
  by: 'gateway option policyFile',
};
