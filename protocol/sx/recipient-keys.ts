/**
 * Worker: the private HPKE keys it can open with, by kid, each until its statement ends. Memory only. Spec: P§4.2.
 * @module
 */

import { toHex, type Bytes } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import type { HpkeKeyPair } from '../kem.ts';
import { kidOf } from './key-schedule.ts';
import { RECIPIENT_KEYS_MAX } from './limits.ts';

export interface Recipient {
  readonly kid: Bytes<16>;
  readonly statementHash: Bytes<32>;
  readonly pair: HpkeKeyPair;
  /** `exp` of the statement: the key is dropped then. */
  readonly expiresAtMs: number;
}

export class RecipientKeys {
  readonly #byKid = new Map<string, Recipient>();

  add(input: Omit<Recipient, 'kid'>): Recipient {
    assert(this.#byKid.size < RECIPIENT_KEYS_MAX, 'recipient keys are few: purge the expired');
    const kid = kidOf(input.statementHash, input.pair.kem, input.pair.publicKey);
    const recipient: Recipient = { ...input, kid };
    this.#byKid.set(toHex(kid), recipient);
    return recipient;
  }

  /** The live recipient of this kid. */
  get(kid: Uint8Array, nowMs: number): Recipient | undefined {
    const recipient = this.#byKid.get(toHex(kid));
    return recipient !== undefined && nowMs < recipient.expiresAtMs ? recipient : undefined;
  }

  retire(kid: Uint8Array): void {
    this.#byKid.delete(toHex(kid));
  }

  /** Drops what has expired; call it on a timer. `get` never returns a dead key, but only this forgets it. */
  purge(nowMs: number): void {
    for (const [kid, recipient] of this.#byKid) {
      if (recipient.expiresAtMs <= nowMs) this.#byKid.delete(kid);
    }
  }

  kids(nowMs: number): readonly Bytes<16>[] {
    return [...this.#byKid.values()]
      .filter((recipient) => nowMs < recipient.expiresAtMs)
      .map((recipient) => recipient.kid);
  }
}
