/**
 * By what the answers of this gateway can be proved, for a while and for whoever asked for them: the worker's evidence and the
 * bill. No content. In memory only, the oldest go first. Spec: docs/attested-gateway.md "Keeping proofs".
 * @module
 */

import { toHex } from '../../core/bytes.ts';
import { ExpiringCache } from '../../core/cache.ts';
import type { Clock } from '../../core/clock.ts';
import { ANSWER_PROOF_LIFETIME_MS, ANSWER_PROOFS_MAX } from '../limits.ts';
import type { AnswerProof } from '../openai/sealer.ts';

export class AnswerProofs {
  readonly #clock: Clock;
  readonly #kept = new ExpiringCache<AnswerProof>(ANSWER_PROOFS_MAX);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  keep(proof: AnswerProof, payer: Uint8Array): void {
    const nowMs = this.#clock();
    this.#kept.set(nameOf(proof.requestId, payer), proof, nowMs + ANSWER_PROOF_LIFETIME_MS);
  }

  /** Undefined for what is not kept, and for what is another payer's. */
  find(requestId: string, payer: Uint8Array): AnswerProof | undefined {
    return this.#kept.get(nameOf(requestId, payer), this.#clock());
  }
}

function nameOf(requestId: string, payer: Uint8Array): string {
  return `${requestId} ${toHex(payer)}`;
}
