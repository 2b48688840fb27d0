/**
 * What `verifyTdx` answers, and how the answer's plain parts are made from what was read.
 * Spec: Intel SGX PCK Certificate and CRL Profile Specification 1.5, §1.3.5 (platform identity).
 * @module
 */

import { fromHex, isZero, type Bytes } from '../../core/bytes.ts';
import type { Check, Warning } from '../verdict.ts';
import type { PckChain } from './chain.ts';
import type { PckExtension } from './pck-extension.ts';
import type { QeIdentity } from './qe-identity.ts';
import type { QeReport, TdReport, TdxQuote } from './quote.ts';
import type { ReadCollateral } from './read.ts';
import type { TcbInfo } from './tcb-info.ts';
import type { TdxTcb } from './tcb.ts';
import type { TdxMeasurement } from './td-policy.ts';

/** From the SGX extension of the PCK leaf. Hex is lower case. */
export interface TdxPlatform {
  readonly ppid: string;
  readonly fmspc: string;
  readonly pceId: string;
  readonly pceSvn: number;
  readonly tcbComponents: readonly number[];
  readonly cpuSvn: string;
  /** 0 standard, 1 scalable, 2 scalable with integrity. */
  readonly sgxType: number;
  readonly ca: 'platform' | 'processor';
  readonly platformInstanceId?: string;
  readonly configuration?: {
    readonly dynamicPlatform: boolean;
    readonly cachedKeys: boolean;
    readonly smtEnabled: boolean;
  };
  readonly pckSerial: string;
}

/** The quote's own claims. Only worth anything when `authentic`. */
export interface TdxQuoteFacts {
  readonly version: 4 | 5;
  readonly bodyType: 2 | 3 | 4;
  readonly td: TdReport;
  readonly qe: QeReport;
  /** Bytes after the authentication data. */
  readonly trailingBytes: number;
}

/** What was used, for an audit bundle. */
export interface CollateralUsed {
  readonly kind: 'tcbInfo' | 'qeIdentity' | 'pckCrl' | 'rootCrl';
  readonly sha256: Bytes<32>;
  readonly issuedMs: number;
  readonly nextUpdateMs: number;
}

export interface TdxResult {
  /** Fixed order, always complete: every id of `TDX_CHECK_IDS` once. */
  readonly checks: readonly Check[];
  readonly warnings: readonly Warning[];
  /** Quote and collateral are genuine, fresh, unrevoked and consistent; says nothing about the policy. */
  readonly authentic: boolean;
  /** `authentic`, and no policy check failed or was skipped. */
  readonly accepted: boolean;
  /** Present when authentic. */
  readonly tcb?: TdxTcb;
  /** Present when authentic. */
  readonly platform?: TdxPlatform;
  /** Only when not authentic: whom a genuine PCK chain names, be the quote theirs or not. Decide nothing by it. */
  readonly unverifiedPlatform?: TdxPlatform;
  readonly quote?: TdxQuoteFacts;
  /** The policy's tuple that the TD matches; absent when measurements were waived or none matches. */
  readonly measurement?: TdxMeasurement;
  readonly collateral: readonly CollateralUsed[];
  /** True when the PCK chain ends in a development root. */
  readonly simulated: boolean;
  /** Earliest expiry of everything the verdict rests on, Unix ms; verify again after it. 0 when not authentic. */
  readonly validUntilMs: number;
}

export function factsOf(quote: TdxQuote): TdxQuoteFacts {
  const { version, bodyType, td, qe, trailing } = quote;
  return { version, bodyType, td, qe, trailingBytes: trailing.length };
}

export function platformOf(
  pck: PckExtension,
  ca: 'platform' | 'processor',
  pckSerial: string,
): TdxPlatform {
  return { ...pck, ca, pckSerial };
}

export interface WarningInputs {
  readonly quote: TdxQuote | undefined;
  readonly pck: PckExtension | undefined;
  readonly tcbInfo: TcbInfo | undefined;
  readonly qeIdentity: QeIdentity | undefined;
}

export function warningsOf({ quote, pck, tcbInfo, qeIdentity }: WarningInputs): readonly Warning[] {
  const warnings: Warning[] = [];
  if (quote !== undefined && !isZero(quote.trailing)) {
    const detail = `${quote.trailing.length} bytes after the authentication data, not all zero`;
    warnings.push({ id: 'quote.trailing', detail });
  }
  if (tcbInfo !== undefined && qeIdentity !== undefined) {
    const [a, b] = [tcbInfo.evaluationDataNumber, qeIdentity.evaluationDataNumber];
    if (a !== b) {
      const detail = `TCB info ${a}, QE identity ${b}`;
      warnings.push({ id: 'collateral.evaluationNumberMismatch', detail });
    }
  }
  if (pck !== undefined) {
    const octets = fromHex(pck.cpuSvn);
    if (pck.tcbComponents.some((svn, i) => svn !== octets[i])) {
      const detail = `components ${pck.tcbComponents.join(' ')}, CPUSVN ${pck.cpuSvn}`;
      warnings.push({ id: 'pck.cpuSvnMismatch', detail });
    }
  }
  return warnings;
}

export function collateralUsed(read: ReadCollateral): readonly CollateralUsed[] {
  const used: CollateralUsed[] = [];
  for (const kind of ['tcbInfo', 'qeIdentity'] as const) {
    const { content, sha256 } = read[kind];
    if (content.outcome === 'malformed') continue;
    const { issueDateMs, nextUpdateMs } = content.value;
    used.push({ kind, sha256, issuedMs: issueDateMs, nextUpdateMs });
  }
  for (const kind of ['pckCrl', 'rootCrl'] as const) {
    const { crl, sha256 } = read[kind];
    if (crl.outcome === 'malformed') continue;
    const { thisUpdateMs, nextUpdateMs } = crl.value;
    used.push({ kind, sha256, issuedMs: thisUpdateMs, nextUpdateMs });
  }
  return used;
}

/** Earliest end of the certificates of the PCK chain. */
export function chainEndsMs({ leaf, intermediate, root }: PckChain): number {
  return Math.min(leaf.notAfterMs, intermediate.notAfterMs, root.notAfterMs);
}
