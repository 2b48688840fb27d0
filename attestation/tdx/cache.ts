/**
 * What verification may remember: documents it has read and signatures it has found good, never an outcome. Entries
 * are keyed by the SHA-256 of the raw bytes and enter only through a verification that was authentic; dates,
 * revocation, roots, TCB levels and policy are judged again every time. So a cache changes how long an answer takes
 * and nothing else.
 * @module
 */

import { sha256 } from '#primitives';
import { concat, u32be, type Bytes } from '../../core/bytes.ts';
import { ExpiringCache } from '../../core/cache.ts';
import type { Certificate } from '../pki/certificate.ts';
import { CRL_MAX_BYTES } from '../pki/limits.ts';
import type { LazyPublicKey, Signed } from '../pki/signature.ts';
import type { TdxCollateral } from './collateral.ts';
import type { ReadChain, ReadCollateral } from './read.ts';

/** A quoting enclave's key and the report that vouches for it. */
export interface KnownQe {
  readonly attestationKey: LazyPublicKey;
  readonly report: Signed;
}

/** What was read, with the texts of the chains it was read from. */
export interface KnownCollateral {
  readonly read: ReadCollateral;
  readonly tcbInfoIssuerChain: string;
  readonly qeIdentityIssuerChain: string;
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
  readonly collateral: ExpiringCache<KnownCollateral>;
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

/** The digest as a string of 32 characters: cheaper to make and to look up than hex. */
function keyOf(digest: Bytes<32>): string {
  return String.fromCharCode(...digest);
}

export function cacheKey(bytes: Uint8Array): string {
  return keyOf(sha256(bytes));
}

/**
 * Of the four bodies; the chains are texts and compared as such, see `KnownCollateral`. Undefined for input too large
 * to be worth remembering; reading it will refuse it.
 */
export function collateralKey(collateral: TdxCollateral): string | undefined {
  const { tcbInfo, qeIdentity, pckCrl, rootCaCrl } = collateral;
  const sizes = [tcbInfo.length, qeIdentity.length, pckCrl.length, rootCaCrl.length];
  if (sizes.some((size) => size > CRL_MAX_BYTES)) return undefined;
  // The sizes first: without them, bytes could move from one part to the next under one key.
  const header = concat(...sizes.map(u32be));
  return keyOf(sha256(header, tcbInfo, qeIdentity, pckCrl, rootCaCrl));
}
