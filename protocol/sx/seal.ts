/**
 * Client: seals one request to one to eight attested workers. Spec: P§4–P§6.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { AttestedKey, KemName } from '../../attestation/verdict.ts';
import type { AssetId, Prelude } from './prelude.ts';

/**
 * POST only. `headers` are of the allow-list of P§7.2, without `sx-policy`: sealing writes that one from the keys.
 */
export interface InnerRequest {
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
}

export interface SealInput {
  /** 1..8, one KEM, one model, one policy, different kids. */
  readonly keys: readonly AttestedKey[];
  readonly request: InnerRequest;
  readonly bounds: {
    readonly maxAmount: bigint;
    readonly maxPrompt: number;
    readonly maxOutput: number;
    readonly asset: AssetId;
  };
  /** Channel id or SHA-256(API key). */
  readonly payer: Bytes<32>;
  readonly stream: boolean;
  readonly ttlS: number;
  readonly deadlineMs: number;
  readonly nowMs: number;
  readonly flags?: { readonly singleRecipient?: boolean; readonly receiptRequired?: boolean };
  /** Default: X-Wing alone. Nothing negotiates this down. */
  readonly allowedKems?: readonly KemName[];
}

/** What the client must remember to read the answer. Holds exporter secrets; never serialised. */
export interface ClientExchange {
  readonly prelude: Prelude;
  readonly keys: readonly AttestedKey[];
  readonly th: Bytes<32>;
  /** The exporter secret shared with the recipient of this kid; undefined for a stranger. */
  readonly responseSecret: (kid: Uint8Array) => Bytes<32> | undefined;
}

export interface SealedRequest {
  readonly bytes: Uint8Array;
  readonly msgId: Bytes<16>;
  readonly exchange: ClientExchange;
}

/** Throws `sx.input`, `sx.kem`, `sx.inner`; an unattested or expired key is `internal.invariant`. */
export declare function sealRequest(input: SealInput): SealedRequest;
