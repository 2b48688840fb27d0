/** The complete list of checks on what an Azure machine adds to its hardware report. @module */

import { CheckSheet } from '../check-sheet.ts';

/** Authenticity, in the order of the report. Ids are API. */
export const AZURE_AUTHENTICITY_CHECKS = [
  /** The SEV-SNP report or the TDX quote is genuine. */
  'azure.hardware',
  /** The paravisor asked for it: VMPL 0. The guest's own level could bind any key. */
  'azure.vmpl',
  /** The blob reads, and is of a machine of that kind. */
  'azure.hcl',
  /** REPORT_DATA starts with the SHA-256 of the runtime data. */
  'azure.runtimeData',
  /** The runtime data reads, and names one attestation key and the user data. */
  'azure.claims',
  /** RSA of 2048 bits at least. */
  'azure.attestationKey',
  'azure.quote.format',
  'azure.signature.format',
  /** RSASSA-PKCS1-v1_5 with SHA-256. */
  'azure.signature.scheme',
  /** The quote is signed by the key that the runtime data names. */
  'azure.quote.signature',
  /** The quote was made for whoever verifies it, and now. */
  'azure.nonce',
  /** One selection, of the SHA-256 bank. */
  'azure.pcr.bank',
  /** 1 to 24 registers of 32 bytes were handed over. */
  'azure.pcr.values',
  /** The quote is about exactly these registers. */
  'azure.pcr.selection',
  'azure.pcr.digest',
] as const;

/** Policy on a machine whose authenticity is settled above. */
export const AZURE_POLICY_CHECKS = [
  /** The policy on the hardware report accepts it. */
  'azure.policy.hardware',
  /** That policy pins the paravisor, without which nobody stands behind the vTPM. */
  'azure.policy.paravisor',
  'azure.policy.pcrs',
  'azure.policy.userData',
] as const;

export const AZURE_CHECK_IDS = [...AZURE_AUTHENTICITY_CHECKS, ...AZURE_POLICY_CHECKS] as const;
export type AzureCheckId = (typeof AZURE_CHECK_IDS)[number];
export type AzureCheckSheet = CheckSheet<AzureCheckId>;

export function azureCheckSheet(): AzureCheckSheet {
  return new CheckSheet(AZURE_CHECK_IDS);
}
