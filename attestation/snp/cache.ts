/**
 * What verification may remember: certificates and lists it has read and whose signatures it has found good, never an
 * outcome. Entries are keyed by the SHA-256 of the raw bytes and enter only through a verification that was authentic;
 * dates, revocation, anchors, TCB and policy are judged again every time.
 * @module
 */

import { sha256 } from '#primitives';
import type { Bytes } from '../../core/bytes.ts';
import { ExpiringCache } from '../../core/cache.ts';
import type { Certificate } from '../pki/certificate.ts';
import type { Crl } from '../pki/crl.ts';
import type { Leaf } from './leaf.ts';

export interface SnpCacheLimits {
  /** One per chip and TCB, or per cloud and TCB. */
  readonly leavesMax: number;
  /** CA certificates that are not AMD's own: development hierarchies. */
  readonly authoritiesMax: number;
  readonly crlsMax: number;
}

const DEFAULT_LIMITS: SnpCacheLimits = { leavesMax: 4096, authoritiesMax: 64, crlsMax: 64 };

export class SnpCache {
  readonly leaves: ExpiringCache<Leaf>;
  readonly authorities: ExpiringCache<Certificate>;
  readonly crls: ExpiringCache<Crl>;

  constructor(limits: SnpCacheLimits = DEFAULT_LIMITS) {
    this.leaves = new ExpiringCache(limits.leavesMax);
    this.authorities = new ExpiringCache(limits.authoritiesMax);
    this.crls = new ExpiringCache(limits.crlsMax);
  }
}

/** The digest as a string of 32 characters: cheaper to make and to look up than hex. */
export function digestKey(digest: Bytes<32>): string {
  return String.fromCharCode(...digest);
}

export function cacheKey(bytes: Uint8Array): string {
  return digestKey(sha256(bytes));
}
