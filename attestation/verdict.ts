/**
 * What verification says: every check with its outcome, and, for an admitted worker, the attested key.
 * The only file of attestation/ that protocol/ may import. Spec: overview "Policies", gpu-and-policy §5.3.
 * @module
 */

import type { Bytes } from '../core/bytes.ts';
import { assert } from '../core/errors.ts';
import type { Revocable } from './policy/revocations.ts';

/**
 * `skipped` names in `because` the failed check that made it impossible; a skipped check never admits. `at` is the line of
 * the policy that decided, such as `production.yaml:31`, where one did.
 */
export type Check =
  | { readonly id: string; readonly outcome: 'pass'; readonly at?: string }
  | {
      readonly id: string;
      readonly outcome: 'fail';
      readonly want: string;
      readonly got: string;
      readonly at?: string;
    }
  | { readonly id: string; readonly outcome: 'waived'; readonly by: string; readonly note: string }
  | { readonly id: string; readonly outcome: 'skipped'; readonly because: string };

/** `00806f050000 [production.yaml:31]`: so that a reader can go and look. */
export function wantText({ want, at }: { readonly want: string; readonly at?: string }): string {
  return at === undefined ? want : `${want} [${at}]`;
}

/** Worth a look, never a reason to deny. */
export interface Warning {
  readonly id: string;
  readonly detail: string;
}

export interface PolicyRef {
  readonly name: string;
  readonly serial: number;
  /** SHA-256 of the compiled canonical policy. */
  readonly digest: Bytes<32>;
}

/** Who the machine is, from the *verified* endorsement certificates. Hex, lower case. */
export interface PlatformIdentity {
  readonly tee: TeeName;
  readonly ids: Readonly<Record<string, string>>;
}

export interface Verdict {
  readonly decision: 'admitted' | 'denied';
  /** Fixed order, always complete. */
  readonly checks: readonly Check[];
  readonly warnings: readonly Warning[];
  readonly policy: PolicyRef;
  /** The rule that admitted, or the nearest one. */
  readonly rule?: string;
  readonly image?: string;
  readonly shape?: string;
  readonly model?: string;
  readonly platform?: PlatformIdentity;
  /** Per-TEE status in that TEE's words, such as `UpToDate`. */
  readonly tcbStatus?: string;
  /** What a revocation could name of it: whoever keeps this verdict asks about these. */
  readonly revocable: readonly Revocable[];
  /** True when the chain ends in a development root that the policy names. */
  readonly simulated: boolean;
  /** Earliest expiry of everything the verdict rests on, Unix ms. */
  readonly validUntilMs: number;
}

export type TeeName = 'tdx' | 'snp';

/** HPKE KEM identifiers: RFC 9180 §7.1 and draft-ietf-hpke-pq (X-Wing). */
export const KEM_IDS = { 'X-Wing': 0x647a, X25519: 0x0020 } as const;
export type KemName = keyof typeof KEM_IDS;

/** Atomic units (nanoTON or µUSDT) per 1 000 000 tokens; `base` per request. Spec: ton-settlement §4.1. */
export interface PriceList {
  readonly asset: 'TON' | 'USDT';
  readonly base: bigint;
  readonly prompt: bigint;
  readonly cached: bigint;
  readonly completion: bigint;
  readonly reasoning: bigint;
}

export interface AttestedModel {
  readonly id: string;
  /** SHA-256 of the weights: `workload.model` of the statement. */
  readonly digest: Bytes<32>;
  readonly contextLength: number;
  readonly capabilities: readonly string[];
}

export interface WorkerLimits {
  readonly maxPromptTokens: number;
  readonly maxOutputTokens: number;
  readonly maxConcurrent: number;
}

/**
 * A worker's keys, proven: only `appraise` makes one. Whatever seals, links or bills takes this type and calls
 * `assertAttested`, so that an unverified key cannot get there by accident or by a cast.
 */
export interface AttestedKey {
  readonly workerId: Bytes<32>;
  readonly tee: TeeName;
  /** SHA-256 of the statement bytes as received. */
  readonly statementHash: Bytes<32>;
  readonly kid: Bytes<16>;
  readonly kem: KemName;
  /** X-Wing 1216 bytes, X25519 32 bytes. */
  readonly publicKey: Uint8Array;
  /** `keys.sig`: Ed25519, signs receipts. */
  readonly receiptKey: Bytes<32>;
  /** SHA-256 of the SubjectPublicKeyInfo of `keys.tls`. */
  readonly tlsSpkiSha256: Bytes<32>;
  readonly ehbp?: { readonly kid: Bytes<16>; readonly publicKey: Bytes<32> };
  readonly model: AttestedModel;
  readonly limits: WorkerLimits;
  readonly prices: PriceList;
  /** SHA-256 of the card bytes. */
  readonly priceDigest: Bytes<32>;
  readonly policyDigest: Bytes<32>;
  readonly simulated: boolean;
  /** Unix ms; never use the key at or after it. Earliest of statement, collateral and policy expiry. */
  readonly expiresAtMs: number;
}

const MINTED = new WeakSet<AttestedKey>();

/** For `attestation/appraise.ts` alone; the tidy test refuses any other importer. */
export function mintAttestedKey(key: AttestedKey): AttestedKey {
  const minted = Object.freeze({
    ...key,
    model: Object.freeze({
      ...key.model,
      capabilities: Object.freeze([...key.model.capabilities]),
    }),
    limits: Object.freeze({ ...key.limits }),
    prices: Object.freeze({ ...key.prices }),
  });
  MINTED.add(minted);
  return minted;
}

/** Throws when `key` did not come out of `appraise` or has expired. */
export function assertAttested(key: AttestedKey, nowMs: number): void {
  assert(MINTED.has(key), 'a key that no appraisal minted');
  assert(nowMs < key.expiresAtMs, 'an attested key past its expiry');
}
