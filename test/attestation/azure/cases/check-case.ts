/** The form of the per-check tables, and what one failure makes impossible. @module */

import {
  AZURE_AUTHENTICITY_CHECKS,
  type AzureCheckId,
} from '../../../../attestation/azure/check-list.ts';
import type { AzureFaults } from '../../../support/azure/case.ts';
import type { SnpTestPki } from '../../../support/snp/pki.ts';

/** A case in which exactly `id` fails among the vTPM's checks, unless it says what else must. */
export interface AzureCheckCase {
  readonly id: AzureCheckId;
  readonly title: string;
  readonly faults: AzureFaults | ((pki: SnpTestPki) => AzureFaults);
  /** Only one kind of hardware has it. */
  readonly only?: 'snp' | 'tdx';
  /** Fail for the same reason; `why` says which. */
  readonly alsoFails?: readonly AzureCheckId[];
  /** Cannot be judged then. */
  readonly skips?: readonly AzureCheckId[];
  /** Why more than one check is touched. Required with `alsoFails` or `skips`. */
  readonly why?: string;
  /** Checks of the hardware that fail with it. */
  readonly hardwareFails?: readonly string[];
}

export function isAuthenticity(id: AzureCheckId): boolean {
  return AZURE_AUTHENTICITY_CHECKS.some((known) => known === id);
}

export const NO_BLOB = 'an unreadable blob holds no runtime data and no key';
export const NEEDS_BLOB: readonly AzureCheckId[] = [
  'azure.runtimeData',
  'azure.claims',
  'azure.attestationKey',
  'azure.quote.signature',
  'azure.policy.userData',
];

export const NO_CLAIMS = 'runtime data that do not read name no key and no user data';
export const NEEDS_CLAIMS: readonly AzureCheckId[] = [
  'azure.attestationKey',
  'azure.quote.signature',
  'azure.policy.userData',
];

export const NO_QUOTE = 'nothing of an unreadable quote can be judged';
export const NEEDS_QUOTE: readonly AzureCheckId[] = [
  'azure.quote.signature',
  'azure.nonce',
  'azure.pcr.bank',
  'azure.pcr.selection',
  'azure.pcr.digest',
];

export const NO_REGISTERS = 'there is nothing to compare the quote with';
export const NEEDS_REGISTERS: readonly AzureCheckId[] = [
  'azure.pcr.selection',
  'azure.pcr.digest',
  'azure.policy.pcrs',
];
