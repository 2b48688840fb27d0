/** The form of the per-check tables, and what one failure makes impossible. @module */

import {
  AUTHENTICITY_CHECKS,
  TDX_CHECK_IDS,
  type TdxCheckId,
} from '../../../../attestation/tdx/check-list.ts';
import type { Faults } from '../../../support/tdx/case.ts';
import type { TestPki } from '../../../support/tdx/pki.ts';

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
