/**
 * Client: reads a sealed answer as it arrives, in pieces of any size. What it has not authenticated it does not
 * hand out; a stream that stops before FINAL is an error. Spec: P§10.
 * @module
 */

import type { AttestedKey } from '../../attestation/verdict.ts';
import type { SignedReceipt } from '../receipt.ts';
import type { ClientExchange } from './seal.ts';

/** A receipt that passed every check of P§9.4. */
export interface VerifiedReceipt extends SignedReceipt {
  readonly key: AttestedKey;
}

export type ResponseEvent =
  | {
      readonly kind: 'head';
      readonly status: number;
      readonly headers: readonly (readonly [string, string])[];
      readonly key: AttestedKey;
    }
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'trailer'; readonly bytes: Uint8Array }
  | { readonly kind: 'receipt'; readonly receipt: VerifiedReceipt }
  /** Reserved: the gateway's ledger line as it came, unverified. */
  | { readonly kind: 'ledger-unverified'; readonly bytes: Uint8Array }
  | { readonly kind: 'final' }
  /** Unauthenticated, never content. Nothing follows it; `end()` throws `sx.gateway`. */
  | { readonly kind: 'gateway-error'; readonly code: string };

export declare class ResponseReader {
  constructor(exchange: ClientExchange, limits?: { readonly wireMaxBytes?: number });
  /** Throws `sx.response`, `sx.trailing`, `sx.limit`, `sx.receipt`, `sx.receipt_missing`; after that every call throws. */
  push(chunk: Uint8Array): readonly ResponseEvent[];
  /** The transport is at its end. Throws `sx.truncated` unless FINAL was read. */
  end(): void;
}
