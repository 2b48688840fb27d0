/**
 * Worker: the private EHBP keys, each with the requests that it has opened, until its statement ends. Memory only.
 * Spec: docs/ehbp.md "The key".
 * @module
 */

import { toHex, type Bytes } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { RECIPIENT_KEYS_MAX } from '../sx/limits.ts';
import type { Recipient } from '../sx/recipient-keys.ts';
import { ReplaySet } from '../sx/replay.ts';
import { EHBP_REPLAY_ENTRIES_MAX } from './limits.ts';

export interface EhbpRecipient {
  readonly recipient: Recipient;
  readonly replay: ReplaySet;
}

export class EhbpRecipients {
  readonly #replayMax: number;
  readonly #byKid = new Map<string, EhbpRecipient>();

  constructor(replayMax: number = EHBP_REPLAY_ENTRIES_MAX) {
    this.#replayMax = replayMax;
  }

  add(recipient: Recipient): void {
    assert(this.#byKid.size < RECIPIENT_KEYS_MAX, 'recipient keys are few: purge the expired');
    assert(recipient.pair.kem === 'X25519', 'EHBP knows one KEM');
    const replay = new ReplaySet(this.#replayMax);
    this.#byKid.set(toHex(recipient.kid), { recipient, replay });
  }

  get(kid: Bytes<16>, nowMs: number): EhbpRecipient | undefined {
    const found = this.#byKid.get(toHex(kid));
    return found !== undefined && nowMs < found.recipient.expiresAtMs ? found : undefined;
  }

  retire(kid: Bytes<16>): void {
    this.#byKid.delete(toHex(kid));
  }

  purge(nowMs: number): void {
    for (const [kid, { recipient }] of this.#byKid) {
      if (recipient.expiresAtMs <= nowMs) this.#byKid.delete(kid);
    }
  }
}
