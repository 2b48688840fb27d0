/**
 * Gateway: what can be read and relayed without any key. Spec: P§3, P§8.4, P§10.5.
 * @module
 */

import { ascii, concat, equalPublic, type Bytes } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { sha256Stream } from '#primitives';
import { parseEnvelope } from './envelope.ts';
import { sxError } from './errors.ts';
import { clearFrame, FRAME, HEADER_BYTES } from './frames.ts';
import { GATEWAY_ERROR_CODE_MAX_BYTES, LEDGER_FRAME_MAX_BYTES } from './limits.ts';
import type { Prelude, PreludeFlags } from './prelude.ts';
import { ResponseStream } from './response-stream.ts';

export interface ClearRequest {
  readonly prelude: Prelude;
  /** In the sender's order. */
  readonly kids: readonly Bytes<16>[];
  readonly th: Bytes<32>;
}

/** The whole sealed request; checks sizes, fixed fields and the frame headers. Throws `sx.refused`, `sx.unsupported`. */
export function parseClearRequest(bytes: Uint8Array): ClearRequest {
  const { prelude, kids, th } = parseEnvelope(bytes);
  return { prelude, kids, th };
}

/** One worker's answer on its way through the gateway, in whatever form. */
export interface Relay {
  /** Throws `sx.response`, `sx.trailing`, `sx.limit`. */
  push(chunk: Uint8Array): RelayStep;
  /** What the receipt must say; asked once the receipt is there. */
  respHash(): Bytes<32>;
  /** After `final`, once: the held end. */
  release(ledgerLine: Uint8Array): readonly Uint8Array[];
}

export interface RelayStep {
  /** Bytes that may go to the client now. */
  readonly forward: readonly Uint8Array[];
  /** True in the one step whose `forward` starts with the opening bytes and the first sealed frame: failover ends here. */
  readonly firstSealed: boolean;
  /** The payload of RECEIPT (signature ‖ VGR1); RECEIPT and FINAL are held until `release`. */
  readonly receipt?: Uint8Array;
  /** Payloads of METER (signature ‖ VGM1) among `forward`, unverified, in their order. */
  readonly meters: readonly Uint8Array[];
  /** FINAL has arrived and is held. */
  readonly final: boolean;
  /** Where the form says it outside of the stream: the answer's nonce, as soon as it is known. */
  readonly nonce?: Bytes<32>;
}

/**
 * One worker's answer on its way through. Forwards nothing before the first sealed frame, so that until then another worker
 * can still be asked; holds RECEIPT and FINAL until the settlement is durable.
 */
export class ResponseRelay implements Relay {
  readonly #kid: Bytes<16>;
  readonly #stream: ResponseStream;
  readonly #hash = sha256Stream();
  #respHash: Bytes<32> | undefined;
  #opening: Uint8Array | undefined;
  #forward: Uint8Array[] = [];
  #meters: Uint8Array[] = [];
  #hasForwarded = false;
  #firstSealed = false;
  #receipt: Uint8Array | undefined;
  #final: Uint8Array | undefined;
  #isReleased = false;

  /**
   * For an answer to a request with these flags. Throws `sx.response` when the worker's stream breaks the grammar or answers
   * for another kid than `kid`.
   */
  constructor(kid: Bytes<16>, { constantRate }: Pick<PreludeFlags, 'constantRate'>) {
    this.#kid = kid;
    this.#stream = new ResponseStream({
      from: 'worker',
      constantRate,
      ports: {
        onOpening: (got, nonce) => this.#open(got, nonce),
        onFrame: (type, wire) => this.#frame(type, wire),
      },
    });
  }

  push(chunk: Uint8Array): RelayStep {
    const hadReceipt = this.#receipt !== undefined;
    this.#forward = [];
    this.#meters = [];
    this.#firstSealed = false;
    this.#stream.push(chunk);
    const step = {
      forward: this.#forward,
      firstSealed: this.#firstSealed,
      meters: this.#meters,
      final: this.#final !== undefined,
    };
    if (hadReceipt || this.#receipt === undefined) return step;
    return { ...step, receipt: this.#receipt.subarray(HEADER_BYTES) };
  }

  /** resp_hash over the sealed frames before the receipt; fixed by the first call, so ask when the receipt is there. */
  respHash(): Bytes<32> {
    this.#respHash ??= this.#hash.digest();
    return this.#respHash;
  }

  /** After `final`: RECEIPT, the optional ledger line, FINAL. Once. */
  release(ledger?: Uint8Array): readonly Uint8Array[] {
    assert(this.#final !== undefined && !this.#isReleased, 'release after final, once');
    this.#isReleased = true;
    if (this.#receipt === undefined) {
      assert(ledger === undefined, 'a ledger line follows a receipt');
      return [this.#final];
    }
    if (ledger === undefined) return [this.#receipt, this.#final];
    assert(ledger.length > 0 && ledger.length <= LEDGER_FRAME_MAX_BYTES, 'ledger line size');
    return [this.#receipt, clearFrame(FRAME.ledger, ledger), this.#final];
  }

  /** The worker's stream ended. Throws `sx.truncated` without FINAL. */
  end(): void {
    this.#stream.end();
  }

  #open(kid: Bytes<16>, nonce: Bytes<32>): void {
    if (!equalPublic(kid, this.#kid)) throw sxError('sx.response', 'kid');
    this.#opening = concat(kid, nonce);
    this.#hash.update(ascii('sx1 rh'));
    this.#hash.update(nonce);
  }

  #frame(type: number, wire: Uint8Array): void {
    switch (type) {
      // Only the opening could go with it, and that would end failover for nothing.
      case FRAME.keepalive:
        return;
      case FRAME.receipt:
        this.#receipt = wire.slice();
        return;
      case FRAME.final:
        this.#final = wire.slice();
        return;
      // Not sealed, so not in resp_hash; it stands behind the first sealed frame, so the opening is out.
      case FRAME.meter:
        this.#meters.push(wire.slice(HEADER_BYTES));
        this.#forward.push(wire);
        return;
      default:
        this.#sealed(wire);
    }
  }

  #sealed(wire: Uint8Array): void {
    this.#hash.update(wire);
    if (!this.#hasForwarded) {
      assert(this.#opening !== undefined, 'the opening comes before any frame');
      this.#forward.push(this.#opening);
      this.#hasForwarded = true;
      this.#firstSealed = true;
    }
    this.#forward.push(wire);
  }
}

/** Frame 0x1F: ends a stream whose headers are already out. `code` is a code of ours, never a message. */
export function gatewayErrorFrame(code: string): Uint8Array {
  assert(/^[a-z0-9._]+$/.test(code), 'gateway error code');
  assert(code.length <= GATEWAY_ERROR_CODE_MAX_BYTES, 'gateway error code size');
  return clearFrame(FRAME.gatewayError, ascii(code));
}
