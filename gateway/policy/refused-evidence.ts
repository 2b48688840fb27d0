/**
 * Evidence of workers that were refused lately: a candidate policy is judged on it too, so that a team sees whom it would
 * let in. The newest of each worker, few of them, not for long. Spec: gpu-and-policy §5.4 "Shadow".
 * @module
 */

import { toHex, type Bytes } from '../../core/bytes.ts';
import type { EvidenceBundle } from '../../attestation/evidence.ts';
import { REFUSED_EVIDENCE_MAX } from '../limits.ts';

export interface RefusedRegistration {
  readonly workerId: Bytes<32>;
  readonly bundle: EvidenceBundle;
  readonly challenge: Bytes<32>;
}

export class RefusedEvidence {
  readonly #kept = new Map<string, RefusedRegistration>();

  add(refused: RefusedRegistration): void {
    const id = toHex(refused.workerId);
    this.#kept.delete(id);
    this.#kept.set(id, refused);
    if (this.#kept.size <= REFUSED_EVIDENCE_MAX) return;
    for (const oldest of this.#kept.keys()) {
      this.#kept.delete(oldest);
      return;
    }
  }

  all(): readonly RefusedRegistration[] {
    return [...this.#kept.values()];
  }
}
