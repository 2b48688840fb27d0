/**
 * Challenges this gateway has open: each for one registration, for a minute. Spec: gpu-and-policy §4.3; overview
 * "Identities".
 * @module
 */

import { randomBytes } from '#primitives';
import { toHex, type Bytes } from '../../core/bytes.ts';
import { registrationError } from '../errors.ts';
import { CHALLENGE_LIFETIME_MS, CHALLENGES_MAX } from '../limits.ts';

export class Challenges {
  readonly #open = new Map<string, number>();

  /** Throws `registration.full`: an open challenge is never dropped for a new one. */
  issue(nowMs: number): { readonly challenge: Bytes<32>; readonly expiresAtMs: number } {
    this.#forgetExpired(nowMs);
    if (this.#open.size >= CHALLENGES_MAX) throw registrationError('registration.full');
    const challenge = randomBytes(32);
    const expiresAtMs = nowMs + CHALLENGE_LIFETIME_MS;
    this.#open.set(toHex(challenge), expiresAtMs);
    return { challenge, expiresAtMs };
  }

  /** Once. Throws `registration.challenge`. */
  consume(challenge: Uint8Array, nowMs: number): void {
    const name = toHex(challenge);
    const expiresAtMs = this.#open.get(name);
    this.#open.delete(name);
    if (expiresAtMs === undefined || expiresAtMs <= nowMs) {
      throw registrationError('registration.challenge');
    }
  }

  /** In order of issue, so the first that lives ends the walk. */
  #forgetExpired(nowMs: number): void {
    for (const [name, expiresAtMs] of this.#open) {
      if (expiresAtMs > nowMs) return;
      this.#open.delete(name);
    }
  }
}
