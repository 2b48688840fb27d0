/** The complete list of TDX checks. @module */

import { CheckSheet } from '../check-sheet.ts';

/** Authenticity, in the order of the report. Ids are API. */
export const AUTHENTICITY_CHECKS = [
  'quote.format',
  'quote.qeVendor',
  'quote.attestationKey',
  'quote.signature',
  'qe.keyBinding',
  'qe.reportSignature',
  'pck.chain',
  'pck.root',
  'pck.leafRole',
  'pck.caConstraint',
  'pck.validity',
  'pck.extension',
  'rootCrl.format',
  'rootCrl.issuer',
  'rootCrl.signature',
  'rootCrl.freshness',
  'pckCrl.format',
  'pckCrl.issuer',
  'pckCrl.signature',
  'pckCrl.freshness',
  'pck.revoked',
  'pck.intermediateRevoked',
  'pck.rootRevoked',
  'tcbInfo.format',
  'tcbInfo.chain',
  'tcbInfo.signerRole',
  'tcbInfo.signerValidity',
  'tcbInfo.signerRevoked',
  'tcbInfo.signature',
  'tcbInfo.freshness',
  'tcbInfo.id',
  'tcbInfo.version',
  'tcbInfo.tcbType',
  'tcbInfo.fmspc',
  'tcbInfo.pceId',
  'qeIdentity.format',
  'qeIdentity.chain',
  'qeIdentity.signerRole',
  'qeIdentity.signerValidity',
  'qeIdentity.signerRevoked',
  'qeIdentity.signature',
  'qeIdentity.freshness',
  'qeIdentity.id',
  'qeIdentity.version',
  'qe.mrsigner',
  'qe.isvprodid',
  'qe.miscselect',
  'qe.attributes',
  'tdxModule.identity',
  'tdxModule.mrsigner',
  'tdxModule.attributes',
] as const;

/** Policy on a TD whose authenticity is settled above. */
export const POLICY_CHECKS = [
  'policy.tcbStatus',
  'policy.tcbStatus.current',
  'policy.advisories',
  'policy.minTcbEvaluationDataNumber',
  'policy.minTeeTcbSvn',
  'policy.td.debug',
  'policy.td.attributesReserved',
  'policy.td.septVeDisable',
  'policy.td.migratable',
  'policy.td.xfam',
  'policy.td.serviceTd',
  'policy.tdAttributes',
  'policy.xfam',
  'policy.mrSeam',
  'policy.mrTd',
  'policy.measurements',
  'policy.reportData',
  'policy.allowedPlatforms',
  'policy.deniedPlatforms',
] as const;

export const TDX_CHECK_IDS = [...AUTHENTICITY_CHECKS, ...POLICY_CHECKS] as const;
export type TdxCheckId = (typeof TDX_CHECK_IDS)[number];

export type TdxCheckSheet = CheckSheet<TdxCheckId>;

export function tdxCheckSheet(): TdxCheckSheet {
  return new CheckSheet(TDX_CHECK_IDS);
}
