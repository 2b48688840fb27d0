/**
 * Gateway: what can be read and relayed without any key. Spec: P§3, P§8.4, P§10.5.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { Prelude } from './prelude.ts';

export interface ClearRequest {
  readonly prelude: Prelude;
  /** In the sender's order. */
  readonly kids: readonly Bytes<16>[];
  readonly th: Bytes<32>;
}

/** The whole sealed request; checks sizes, fixed fields and the frame headers. Throws `sx.refused`, `sx.unsupported`. */
export declare function parseClearRequest(bytes: Uint8Array): ClearRequest;

export interface RelayStep {
  /** Bytes that may go to the client now. */
  readonly forward: readonly Uint8Array[];
  /** True in the one step whose `forward` starts with the opening bytes and the first sealed frame: failover ends here. */
  readonly firstSealed: boolean;
  /** The payload of RECEIPT (signature ‖ VGR1); RECEIPT and FINAL are held until `release`. */
  readonly receipt?: Uint8Array;
  /** FINAL has arrived and is held. */
  readonly final: boolean;
}

/** One worker's answer on its way through. Forwards nothing before the first sealed frame. */
export declare class ResponseRelay {
  /** Throws `sx.response` when the worker's stream breaks the grammar or answers for another kid than `kid`. */
  constructor(kid: Bytes<16>);
  push(chunk: Uint8Array): RelayStep;
  /** resp_hash over the sealed frames so far; compare with the receipt's once it has arrived. */
  respHash(): Bytes<32>;
  /** After `final`: RECEIPT, the optional ledger line, FINAL. */
  release(ledger?: Uint8Array): readonly Uint8Array[];
  /** The worker's stream ended. Throws `sx.truncated` without FINAL. */
  end(): void;
}

/** Frame 0x1F: ends a stream whose headers are already out. `code` is lower-case ASCII, at most 64. */
export declare function gatewayErrorFrame(code: string): Uint8Array;
