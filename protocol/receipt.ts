/**
 * VGR1, the one receipt: what a worker signs about an exchange, for the client, the gateway and settlement alike.
 * Spec: P§9.
 * @module
 */

import type { Bytes } from '../core/bytes.ts';
import type { PriceList } from '../attestation/verdict.ts';

export const VGR1_BYTES = 381;
/** signature ‖ VGR1: the payload of frame 0x10. */
export const RECEIPT_BYTES = 445;

/** Four disjoint kinds: `prompt` excludes `cached`, `completion` excludes `reasoning`. */
export interface Usage {
  readonly prompt: number;
  readonly cached: number;
  readonly completion: number;
  readonly reasoning: number;
}

export type ReceiptOutcome = 'ok' | 'cancelled' | 'error';

/** As parsed. Says nothing about who signed it. */
export interface Receipt {
  readonly requestId: Bytes<16>;
  readonly statementHash: Bytes<32>;
  readonly kid: Bytes<16>;
  readonly payerRef: Bytes<32>;
  readonly workerId: Bytes<32>;
  readonly modelDigest: Bytes<32>;
  readonly priceDigest: Bytes<32>;
  readonly policyDigest: Bytes<32>;
  readonly usage: Usage;
  readonly amount: bigint;
  readonly outcome: ReceiptOutcome;
  readonly simulated: boolean;
  readonly startMs: number;
  readonly endMs: number;
  readonly reqHash: Bytes<32>;
  readonly respHash: Bytes<32>;
  readonly workerSeq: bigint;
  readonly prevReceiptHash: Bytes<32>;
}

export interface SignedReceipt {
  readonly receipt: Receipt;
  readonly signature: Bytes<64>;
  /** signature ‖ VGR1 as received. */
  readonly payload: Bytes<445>;
  /** SHA-256(payload): what FINAL repeats, the next receipt chains to and the ledger line names. */
  readonly hash: Bytes<32>;
}

/** Throws `sx.receipt`. Checks no signature. */
export declare function parseReceiptUnverified(payload: Uint8Array): SignedReceipt;

/** Strict Ed25519 over the VGR1 bytes. */
export declare function receiptSignatureIsBy(signed: SignedReceipt, receiptKey: Bytes<32>): boolean;

export interface ReceiptSignerInput {
  /** The secret half of `keys.sig`. */
  readonly secretKey: Bytes<32>;
  readonly workerId: Bytes<32>;
  readonly statementHash: Bytes<32>;
  readonly modelDigest: Bytes<32>;
  readonly priceDigest: Bytes<32>;
  readonly prices: PriceList;
  readonly simulated: boolean;
}

export interface ReceiptFields {
  readonly requestId: Bytes<16>;
  readonly kid: Bytes<16>;
  readonly payerRef: Bytes<32>;
  readonly policyDigest: Bytes<32>;
  readonly usage: Usage;
  readonly outcome: ReceiptOutcome;
  readonly startMs: number;
  readonly endMs: number;
  readonly reqHash: Bytes<32>;
  readonly respHash: Bytes<32>;
}

/** One per `keys.sig`: holds the key and the hash chain (`workerSeq` from 1, first link = statement hash). */
export declare class ReceiptSigner {
  constructor(input: ReceiptSignerInput);
  /** Computes the amount from the usage. Returns signature ‖ VGR1. */
  sign(fields: ReceiptFields): SignedReceipt;
}
