/**
 * Gateway: an answer in EHBP's chunks on its way through. Passes chunks on without any of the framing around them, and
 * holds the last one until the settlement is durable: without it no JSON is whole, and no stream has its `[DONE]`.
 * Spec: docs/ehbp.md "The answer".
 * @module
 */

import { ascii, equalPublic, type Bytes } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { sha256, sha256Stream } from '#primitives';
import type { Relay, RelayStep } from '../sx/clear.ts';
import { sxError } from '../sx/errors.ts';
import { FRAME, HEADER_BYTES } from '../sx/frames.ts';
import { ResponseStream } from '../sx/response-stream.ts';

const HASH_BYTES = 32;

export class EhbpRelay implements Relay {
  readonly #kid: Bytes<16>;
  readonly #stream: ResponseStream;
  readonly #hash = sha256Stream();
  #respHash: Bytes<32> | undefined;
  #nonce: Bytes<32> | undefined;
  #forward: Uint8Array[] = [];
  #begun = false;
  #firstSealed = false;
  #last: Uint8Array | undefined;
  #receipt: Uint8Array | undefined;
  #final = false;
  #isReleased = false;

  /** Throws `sx.response` when the worker's stream breaks the grammar or answers for another kid than `kid`. */
  constructor(kid: Bytes<16>) {
    this.#kid = kid;
    this.#stream = new ResponseStream({
      from: 'worker',
      lastAlone: true,
      constantRate: false,
      ports: {
        onOpening: (got, nonce) => this.#open(got, nonce),
        onFrame: (type, wire) => this.#frame(type, wire),
      },
    });
  }

  push(chunk: Uint8Array): RelayStep {
    const hadReceipt = this.#receipt !== undefined;
    this.#forward = [];
    this.#firstSealed = false;
    this.#stream.push(chunk);
    return {
      forward: this.#forward,
      firstSealed: this.#firstSealed,
      meters: [],
      final: this.#final,
      ...(this.#nonce === undefined ? {} : { nonce: this.#nonce }),
      ...(hadReceipt || this.#receipt === undefined ? {} : { receipt: this.#receipt }),
    };
  }

  respHash(): Bytes<32> {
    this.#respHash ??= this.#hash.digest();
    return this.#respHash;
  }

  /** After `final`: the last chunk. Receipt and ledger line have no place in EHBP: whoever pays asks for them. */
  release(): readonly Uint8Array[] {
    assert(this.#final && !this.#isReleased, 'release after final, once');
    assert(this.#last !== undefined, 'a receipt follows the last chunk');
    this.#isReleased = true;
    return [this.#last];
  }

  #open(kid: Bytes<16>, nonce: Bytes<32>): void {
    if (!equalPublic(kid, this.#kid)) throw sxError('sx.response', 'kid');
    this.#nonce = nonce;
    this.#hash.update(ascii('sx1 rh'));
    this.#hash.update(nonce);
  }

  #frame(type: number, wire: Uint8Array): void {
    switch (type) {
      case FRAME.data:
        this.#begin(wire);
        // Its type is zero, so header and length of a chunk are the same bytes.
        this.#forward.push(wire);
        return;
      case FRAME.trailer:
        this.#begin(wire);
        this.#last = wire.slice();
        this.#last[0] = FRAME.data;
        return;
      case FRAME.receipt:
        if (this.#last === undefined) throw sxError('sx.response', 'no last chunk');
        this.#receipt = wire.slice(HEADER_BYTES);
        return;
      case FRAME.final:
        this.#end(wire);
        return;
      default:
        throw sxError('sx.response', 'frame type');
    }
  }

  #begin(wire: Uint8Array): void {
    this.#hash.update(wire);
    this.#firstSealed ||= !this.#begun;
    this.#begun = true;
  }

  #end(wire: Uint8Array): void {
    const named = wire.subarray(HEADER_BYTES, HEADER_BYTES + HASH_BYTES);
    if (this.#receipt === undefined || !equalPublic(named, sha256(this.#receipt))) {
      throw sxError('sx.response', 'final');
    }
    this.#final = true;
  }
}
