/** Nonces of a sequence of messages under one key. Spec: RFC 8446 §5.3; RFC 9180 §5.2; P§6.2. @module */

import { fixed, type Bytes } from '../core/bytes.ts';
import { assert } from '../core/errors.ts';

const SEQUENCE_MAX = 2 ** 32 - 1;

/** iv XOR sequence number, as in TLS 1.3: a number is used once per direction. */
export class Nonces {
  readonly #iv: Bytes<12>;
  #sequence = 0;

  constructor(iv: Bytes<12>) {
    this.#iv = iv;
  }

  /** So many were used. */
  get count(): number {
    return this.#sequence;
  }

  next(): Bytes<12> {
    const sequence = this.#sequence;
    assert(sequence < SEQUENCE_MAX, 'frame numbers end');
    this.#sequence = sequence + 1;
    const nonce = this.#iv.slice();
    for (let i = 0; i < 4; i++) {
      nonce[11 - i] = (nonce[11 - i] ?? 0) ^ ((sequence >>> (8 * i)) & 0xff);
    }
    return fixed(nonce, 12);
  }
}
