/**
 * What a verifier demands of a TD beyond authenticity. Every member is required: leaving something unchecked is
 * written down with a reason and shows in the verdict as waived.
 * Spec: Intel TDX Module ABI Reference, "TD Attributes", "XFAM"; Intel TDX DCAP Quoting Library API, A.3.2.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { Unchecked } from '../unchecked.ts';
import type { TdxStatus } from './tcb.ts';

/** A whole identity of a TD image on one machine shape. All eight registers count together, never one by one. */
export interface TdxMeasurement {
  /** Names for people and logs; they do not take part in the comparison. */
  readonly image: string;
  readonly shape: string;
  readonly mrtd: Bytes<48>;
  readonly rtmr0: Bytes<48>;
  readonly rtmr1: Bytes<48>;
  readonly rtmr2: Bytes<48>;
  readonly rtmr3: Bytes<48>;
  readonly mrconfigid: Bytes<48>;
  readonly mrowner: Bytes<48>;
  readonly mrownerconfig: Bytes<48>;
}

/** One machine (`ppid`, `platformInstanceId`) or one kind of machine (`fmspc`); lower-case hex. */
export interface PlatformSelector {
  readonly kind: 'ppid' | 'platformInstanceId' | 'fmspc';
  readonly value: string;
}

export interface TdxPolicy {
  /** Judges the launch status and the current one. `NotSupported` is refused even when listed. */
  readonly acceptedTcbStatuses: readonly TdxStatus[];
  /** Advisory ids that may not stand on any matched level, launch or current. Empty: none is denied. */
  readonly deniedAdvisories: readonly string[];
  readonly minTcbEvaluationDataNumber: number | Unchecked;
  /** Byte by byte: each byte of TEE_TCB_SVN (and of TEE_TCB_SVN_2 where present) must reach this one. */
  readonly minTeeTcbSvn: Bytes<16> | Unchecked;
  /**
   * ATTRIBUTES bit 0. Product policies say 'refuse', always: the host of a debug TD reads its memory. The other form
   * exists for corpora that exercise it, and shows as waived.
   */
  readonly debug: 'refuse' | Unchecked;
  /** ATTRIBUTES bit 28. Without it the host can inject #VE into the guest. */
  readonly septVeDisable: 'require' | Unchecked;
  /** MRSERVICETD of TD reports 1.5: a bound service TD can move the TD's state elsewhere. */
  readonly serviceTd: 'zero' | { readonly anyOf: readonly Bytes<48>[] } | Unchecked;
  /** Exact ATTRIBUTES, on top of the rules about single bits. Little-endian as in the report. */
  readonly tdAttributes: { readonly equals: Bytes<8> } | Unchecked;
  /** Exact XFAM, on top of the rule about fixed bits. Little-endian as in the report. */
  readonly xfam: { readonly equals: Bytes<8> } | Unchecked;
  readonly mrSeam: { readonly anyOf: readonly Bytes<48>[] } | Unchecked;
  readonly mrTd: { readonly anyOf: readonly Bytes<48>[] } | Unchecked;
  /** Non-empty; an empty list fails, it never means "any". */
  readonly measurements: { readonly anyOf: readonly TdxMeasurement[] } | Unchecked;
  readonly reportData: { readonly equals: Bytes<64> } | Unchecked;
  readonly allowedPlatforms: { readonly anyOf: readonly PlatformSelector[] } | Unchecked;
  /** Empty: none is denied. */
  readonly deniedPlatforms: readonly PlatformSelector[];
}

/** What no default can decide. */
export interface TdxPolicyChoices {
  readonly reportData: TdxPolicy['reportData'];
  readonly measurements: TdxPolicy['measurements'];
}

const BY_DEFAULT: Unchecked = { unchecked: 'not asked for by this policy' };

/** The default rules, each safe on its own, around the two decisions a caller has to make. */
export function baselineTdxPolicy(choices: TdxPolicyChoices): TdxPolicy {
  return {
    acceptedTcbStatuses: ['UpToDate'],
    deniedAdvisories: [],
    minTcbEvaluationDataNumber: BY_DEFAULT,
    minTeeTcbSvn: BY_DEFAULT,
    debug: 'refuse',
    septVeDisable: 'require',
    serviceTd: 'zero',
    tdAttributes: BY_DEFAULT,
    xfam: BY_DEFAULT,
    mrSeam: BY_DEFAULT,
    mrTd: { unchecked: 'judged as part of measurements' },
    measurements: choices.measurements,
    reportData: choices.reportData,
    allowedPlatforms: BY_DEFAULT,
    deniedPlatforms: [],
  };
}
