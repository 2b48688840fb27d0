/**
 * Worker: seals the answer frame by frame. Every method returns wire bytes to write, in the order of the calls. Spec: P§10.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { ReceiptOutcome, ReceiptSigner, SignedReceipt, Usage } from '../receipt.ts';

export interface ReceiptInput {
  readonly signer: ReceiptSigner;
  readonly policyDigest: Bytes<32>;
  readonly usage: Usage;
  readonly outcome: ReceiptOutcome;
  readonly startMs: number;
  readonly endMs: number;
}

export declare class ResponseSealer {
  readonly kid: Bytes<16>;
  /** First, once: kid ‖ nonce ‖ the DATA frame that carries status and headers. */
  head(status: number, headers: readonly (readonly [string, string])[]): Uint8Array;
  /** Any size; split into frames as needed. */
  data(bytes: Uint8Array): Uint8Array;
  pad(paddedBytes: number): Uint8Array;
  /** Private usage detail, at most once, after the last data. */
  trailer(bytes: Uint8Array): Uint8Array;
  /** At most once, after everything sealed but FINAL. `signed` is kept for `GET /sx/v1/receipts/{msg_id}`. */
  receipt(input: ReceiptInput): { readonly bytes: Uint8Array; readonly signed: SignedReceipt };
  final(): Uint8Array;
}

/** Frame 0x11, empty; legal only between the 48 opening bytes and the first sealed frame. */
export declare const KEEPALIVE_FRAME: Uint8Array;
