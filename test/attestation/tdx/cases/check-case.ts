/** The form of the per-check tables, and what one failure makes impossible. @module */

import {
  AUTHENTICITY_CHECKS,
  TDX_CHECK_IDS,
  type TdxCheckId,
} from '../../../../attestation/tdx/check-list.ts';
import type { CertificateExtension, CertificateProfile } from '../../../../attestation/x509.ts';
import type { Faults } from '../../../support/tdx/case.ts';
import type { Spoil, TestPki } from '../../../support/tdx/pki.ts';

/** A case in which exactly `id` fails, unless it says what else must. */
export interface CheckCase {
  readonly id: TdxCheckId;
  readonly title: string;
  readonly faults: Faults | ((pki: TestPki) => Faults | Promise<Faults>);
  /** Fail for the same reason; `why` says which. */
  readonly alsoFails?: readonly TdxCheckId[];
  /** Cannot be judged then. TCB_POLICY comes on top when the evidence is not authentic. */
  readonly skips?: readonly TdxCheckId[];
  /** Why more than one check is touched. Required with `alsoFails` or `skips`. */
  readonly why?: string;
}

/** TCB and platform rules rest on collateral that is not to be believed unless everything is authentic. */
export const TCB_POLICY: readonly TdxCheckId[] = [
  'policy.tcbStatus',
  'policy.tcbStatus.current',
  'policy.advisories',
  'policy.minTcbEvaluationDataNumber',
  'policy.allowedPlatforms',
  'policy.deniedPlatforms',
];

export const NO_QUOTE = 'nothing of an unreadable quote can be judged';
/** What is judged without a quote: the collateral on its own. */
const WITHOUT_QUOTE: ReadonlySet<TdxCheckId> = new Set<TdxCheckId>([
  'rootCrl.format',
  'rootCrl.freshness',
  'pckCrl.format',
  'pckCrl.freshness',
  'tcbInfo.format',
  'tcbInfo.chain',
  'tcbInfo.signerRole',
  'tcbInfo.signerValidity',
  'tcbInfo.signature',
  'tcbInfo.freshness',
  'tcbInfo.id',
  'tcbInfo.version',
  'tcbInfo.tcbType',
  'qeIdentity.format',
  'qeIdentity.chain',
  'qeIdentity.signerRole',
  'qeIdentity.signerValidity',
  'qeIdentity.signature',
  'qeIdentity.freshness',
  'qeIdentity.id',
  'qeIdentity.version',
]);
export const NEEDS_QUOTE: readonly TdxCheckId[] = TDX_CHECK_IDS.filter(
  (id) => id !== 'quote.format' && !WITHOUT_QUOTE.has(id) && !TCB_POLICY.includes(id),
);

export const NO_CHAIN =
  'without three certificates there is no PCK key, no platform and no issuer of lists';
export const NEEDS_PCK_CHAIN: readonly TdxCheckId[] = [
  'qe.reportSignature',
  'pck.root',
  'pck.leafRole',
  'pck.caConstraint',
  'pck.validity',
  'pck.extension',
  'rootCrl.issuer',
  'rootCrl.signature',
  'pckCrl.issuer',
  'pckCrl.signature',
  'pck.revoked',
  'pck.intermediateRevoked',
  'pck.rootRevoked',
  'tcbInfo.signerRevoked',
  'qeIdentity.signerRevoked',
  'tcbInfo.fmspc',
  'tcbInfo.pceId',
];

export function isAuthenticity(id: TdxCheckId): boolean {
  return AUTHENTICITY_CHECKS.some((known) => known === id);
}

export function withSubject(commonName: string): Spoil {
  return (profile) => ({ ...profile, subject: { ...profile.subject, commonName } });
}

export function withIssuer(commonName: string): Spoil {
  return (profile) => ({ ...profile, issuer: { ...profile.issuer, commonName } });
}

export function without(oid: string): Spoil {
  return (profile) => ({
    ...profile,
    extensions: profile.extensions.filter((extension) => extension.oid !== oid),
  });
}

/** In place of the extension with the same identifier, or at the end. */
export function withExtension(extension: CertificateExtension): Spoil {
  return (profile) => {
    const rest = without(extension.oid)(profile);
    return { ...rest, extensions: [...rest.extensions, extension] };
  };
}

export function twice(oid: string): Spoil {
  return (profile: CertificateProfile) => ({
    ...profile,
    extensions: [
      ...profile.extensions,
      ...profile.extensions.filter((extension) => extension.oid === oid),
    ],
  });
}

/** Dotted identifiers of RFC 5280 §4.2. */
export const EXTENSION = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  crlDistributionPoints: '2.5.29.31',
  authorityKeyId: '2.5.29.35',
  sgx: '1.2.840.113741.1.13.1',
} as const;
