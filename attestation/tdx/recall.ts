/**
 * Reading with memory: what a cache knows under the digest of the raw bytes is not read again, and what an authentic
 * verification used is put in. Spec: tdx module design, "Speed".
 * @module
 */

import type { Certificate } from '../pki/certificate.ts';
import { LazyPublicKey, Signed } from '../pki/signature.ts';
import {
  cacheKey,
  collateralKey,
  type KnownCollateral,
  type KnownQe,
  type TdxCache,
} from './cache.ts';
import type { TdxCollateral } from './collateral.ts';
import type { TdxQuote } from './quote.ts';
import {
  chainSource,
  readCollateral,
  readPckChain,
  type CertificateReader,
  type ReadChain,
} from './read.ts';

export interface Recalled<Value> {
  /** Undefined without a cache, or when the bytes are not worth remembering. */
  readonly key: string | undefined;
  readonly value: Value;
}

export interface Recalling {
  readonly cache: TdxCache | undefined;
  readonly nowMs: number;
  readonly certificates: CertificateReader;
}

export function recallCollateral(
  collateral: TdxCollateral,
  { cache, nowMs, certificates }: Recalling,
): Recalled<KnownCollateral> {
  const key = cache === undefined ? undefined : collateralKey(collateral);
  const known = key === undefined ? undefined : cache?.collateral.get(key, nowMs);
  const { tcbInfoIssuerChain, qeIdentityIssuerChain } = collateral;
  const isSame =
    known?.tcbInfoIssuerChain === tcbInfoIssuerChain &&
    known.qeIdentityIssuerChain === qeIdentityIssuerChain;
  const value = isSame
    ? known
    : {
        read: readCollateral(collateral, certificates),
        tcbInfoIssuerChain,
        qeIdentityIssuerChain,
      };
  return { key, value };
}

/** What the quote brings beside its body. */
export interface QuoteParts {
  readonly chain: Recalled<ReadChain>;
  readonly qe: Recalled<KnownQe>;
}

export function recallParts(
  quote: TdxQuote,
  collateral: TdxCollateral,
  recalling: Recalling,
): QuoteParts {
  return { chain: recallChain(quote, collateral, recalling), qe: recallQe(quote, recalling) };
}

function recallChain(
  quote: TdxQuote,
  collateral: TdxCollateral,
  { cache, nowMs, certificates }: Recalling,
): Recalled<ReadChain> {
  const source = chainSource(quote, collateral);
  // Only chains inside quotes: that is the form every real quote has, and the bytes are at hand.
  const key =
    cache === undefined || source === undefined || 'pem' in source
      ? undefined
      : cacheKey(source.bytes);
  const known = key === undefined ? undefined : cache?.chains.get(key, nowMs);
  return { key, value: known ?? readPckChain(source, certificates) };
}

function recallQe(quote: TdxQuote, { cache, nowMs }: Recalling): Recalled<KnownQe> {
  const key = cache === undefined ? undefined : cacheKey(quote.qeSpan);
  const known = key === undefined ? undefined : cache?.qes.get(key, nowMs);
  return {
    key,
    value: known ?? {
      // Copies: a view would keep the whole quote, padding included, for as long as the cache keeps the key.
      attestationKey: LazyPublicKey.p256(quote.attestationKey.slice()),
      report: new Signed(
        quote.qeReportBytes.slice(),
        quote.qeReportSignature.slice(),
        'ecdsa-p256-sha256',
      ),
    },
  };
}

export interface Remembering extends QuoteParts {
  readonly certificates: CertificateReader;
  readonly authorities: readonly Certificate[];
  readonly collateral: Recalled<KnownCollateral>;
  readonly collateralEndsMs: number;
  readonly chainEndsMs: number;
}

/** Only after an authentic verification: nothing an attacker makes up takes room. */
export function remember(cache: TdxCache, what: Remembering): void {
  const { collateral, chain, qe } = what;
  if (collateral.key !== undefined) {
    cache.collateral.set(collateral.key, collateral.value, what.collateralEndsMs);
  }
  for (const [block, certificate] of what.certificates.seen) {
    if (!what.authorities.includes(certificate)) continue;
    cache.authorities.set(block, certificate, certificate.notAfterMs);
  }
  if (chain.key !== undefined) cache.chains.set(chain.key, chain.value, what.chainEndsMs);
  if (qe.key !== undefined) cache.qes.set(qe.key, qe.value, what.chainEndsMs);
}
