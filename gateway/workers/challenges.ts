/**
 * Challenges of this gateway: each for one registration, for a minute. They carry their own proof, so that asking for
 * one takes no memory and nobody can use them up. Spec: gpu-and-policy §4.3; overview "Identities".
 *
 *     u32 expiry in seconds ‖ 8 random bytes ‖ first 20 bytes of HMAC-SHA-256(key of this process, the 12 before)
 * @module
 */

import { constantTimeEqual, hmacSha256, randomBytes } from '#primitives';
import { ascii, concat, fixed, toHex, u32be, type Bytes } from '../../core/bytes.ts';
import { registrationError } from '../errors.ts';
import {
  CHALLENGE_LIFETIME_MS,
  CHALLENGES_USED_BY_WORKERS_MAX,
  CHALLENGES_USED_MAX,
} from '../limits.ts';
import type { Standing } from './admission.ts';

const LABEL = ascii('veilgate.challenge/1\0');
const RANDOM_BYTES = 8;
const PREFIX_BYTES = 4 + RANDOM_BYTES;
const MAC_BYTES = 32 - PREFIX_BYTES;
const MS_PER_SECOND = 1000;

export class Challenges {
  readonly #key = randomBytes(32);
  /** Until they expire: afterwards the expiry inside refuses them. */
  readonly #used = new Map<string, number>();

  issue(nowMs: number): { readonly challenge: Bytes<32>; readonly expiresAtMs: number } {
    const expiresAtS = Math.ceil((nowMs + CHALLENGE_LIFETIME_MS) / MS_PER_SECOND);
    const prefix = concat(u32be(expiresAtS), randomBytes(RANDOM_BYTES));
    const challenge = fixed(concat(prefix, this.#mac(prefix)), 32, 'challenge');
    return { challenge, expiresAtMs: expiresAtS * MS_PER_SECOND };
  }

  /** Ours, alive and unused; it stays unused. Throws `registration.challenge`. */
  verify(challenge: Bytes<32>, nowMs: number): void {
    const prefix = challenge.subarray(0, PREFIX_BYTES);
    if (!constantTimeEqual(challenge.subarray(PREFIX_BYTES), this.#mac(prefix))) {
      throw registrationError('registration.challenge');
    }
    if (expiryMs(challenge) <= nowMs || this.#used.has(toHex(challenge))) {
      throw registrationError('registration.challenge');
    }
  }

  /**
   * Once. Only for a registration that its owner signed: a set that anybody could fill would keep everybody out.
   * Throws `registration.challenge`, `registration.full`: a used challenge is never forgotten for a new one.
   */
  consume(challenge: Bytes<32>, standing: Standing, nowMs: number): void {
    this.verify(challenge, nowMs);
    const reserveMax = standing === 'known' ? CHALLENGES_USED_BY_WORKERS_MAX : 0;
    const max = CHALLENGES_USED_MAX + reserveMax;
    if (this.#used.size >= max) this.#forgetExpired(nowMs);
    if (this.#used.size >= max) throw registrationError('registration.full');
    this.#used.set(toHex(challenge), expiryMs(challenge));
  }

  #mac(prefix: Uint8Array): Uint8Array {
    return hmacSha256(this.#key, LABEL, prefix).subarray(0, MAC_BYTES);
  }

  #forgetExpired(nowMs: number): void {
    for (const [name, expiresAtMs] of this.#used) {
      if (expiresAtMs <= nowMs) this.#used.delete(name);
    }
  }
}

function expiryMs(challenge: Bytes<32>): number {
  const view = new DataView(challenge.buffer, challenge.byteOffset);
  return view.getUint32(0) * MS_PER_SECOND;
}
