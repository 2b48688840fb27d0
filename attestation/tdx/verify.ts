/**
 * TDX quote, collateral, policy and one instant in; a complete list of checks out. Pure and synchronous: no network,
 * no clock, no environment. Evidence of any content and size ends in a result, never in an exception.
 * Spec: Intel TDX DCAP Quoting Library API, Appendix A; Intel SGX and TDX PCS API v4.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { Check, Warning } from '../verdict.ts';
import type { TdxCollateral } from './collateral.ts';
import type { QeReport, TdReport } from './quote.ts';
import type { TrustRoot } from './roots.ts';
import type { TdxTcb } from './tcb.ts';
import type { TdxMeasurement, TdxPolicy } from './td-policy.ts';

export interface TdxVerifyInput {
  readonly quote: Uint8Array;
  readonly collateral: TdxCollateral;
  /** The one instant at which everything must be valid, Unix ms. */
  readonly nowMs: number;
  readonly policy: TdxPolicy;
  /** Absent: Intel's root alone. */
  readonly roots?: readonly TrustRoot[];
}

/** From the SGX extension of the PCK leaf; there only when the PCK chain is genuine. Hex is lower case. */
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
  readonly kind: 'tcbInfo' | 'qeIdentity' | 'pckCrl' | 'rootCaCrl';
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
  readonly platform?: TdxPlatform;
  readonly quote?: TdxQuoteFacts;
  /** The policy's tuple that the TD matches; absent when measurements were waived or none matches. */
  readonly measurement?: TdxMeasurement;
  readonly collateral: readonly CollateralUsed[];
  /** True unless the PCK chain ends in a root that is not a development root. */
  readonly simulated: boolean;
  /** Earliest expiry of everything the verdict rests on, Unix ms; verify again after it. 0 when not authentic. */
  readonly validUntilMs: number;
}

export type VerifyTdx = (input: TdxVerifyInput) => TdxResult;
