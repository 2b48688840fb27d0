/**
 * What verification may remember: documents it has read and signatures it has found good, never an outcome. Entries
 * are keyed by the SHA-256 of the raw bytes and enter only through a verification that was authentic; dates,
 * revocation, roots, TCB levels and policy are judged again every time. So a cache changes how long an answer takes
 * and nothing else.
 * @module
 */

import { sha256 } from '#primitives';
import { toHex, u32be, utf8 } from '../../core/bytes.ts';
import { ExpiringCache } from '../../core/cache.ts';
import type { Certificate, LazyPublicKey, Signed } from './certificate.ts';
import type { TdxCollateral } from './collateral.ts';
import { CRL_MAX_BYTES } from './limits.ts';
import type { ReadChain, ReadCollateral } from './read.ts';

/** A quoting enclave's key and the report that vouches for it. */
export interface KnownQe {
  readonly attestationKey: LazyPublicKey;
  readonly report: Signed;
}

export interface TdxCacheLimits {
  /** One per FMSPC, CA and issue of the documents. */
  readonly collateralMax: number;
  /** Roots and PCK CAs: Intel has one root and two CAs. */
  readonly authoritiesMax: number;
  /** One per platform and TCB level. */
  readonly chainsMax: number;
  /** One per quoting enclave key. */
  readonly qesMax: number;
}

const DEFAULT_LIMITS: TdxCacheLimits = {
  collateralMax: 64,
  authoritiesMax: 64,
  chainsMax: 4096,
  qesMax: 4096,
};

export class TdxCache {
  readonly collateral: ExpiringCache<ReadCollateral>;
  /** Keyed by the base64 text itself, which is at hand before the bytes are. */
  readonly authorities: ExpiringCache<Certificate>;
  readonly chains: ExpiringCache<ReadChain>;
  readonly qes: ExpiringCache<KnownQe>;

  constructor(limits: TdxCacheLimits = DEFAULT_LIMITS) {
    this.collateral = new ExpiringCache(limits.collateralMax);
    this.authorities = new ExpiringCache(limits.authoritiesMax);
    this.chains = new ExpiringCache(limits.chainsMax);
    this.qes = new ExpiringCache(limits.qesMax);
  }
}

export function cacheKey(bytes: Uint8Array): string {
  return toHex(sha256(bytes));
}

/** Undefined for input too large to be worth remembering; reading it will refuse it. */
export function collateralKey(collateral: TdxCollateral): string | undefined {
  const parts = [
    collateral.tcbInfo,
    collateral.qeIdentity,
    collateral.pckCrl,
    collateral.rootCaCrl,
    utf8(collateral.tcbInfoIssuerChain),
    utf8(collateral.qeIdentityIssuerChain),
  ];
  const sizes = parts.map((part) => part.length);
  if (sizes.some((size) => size > CRL_MAX_BYTES)) return undefined;
  // The sizes first: without them, bytes could move from one part to the next under one key.
  return toHex(sha256(...sizes.map(u32be), ...parts));
}
