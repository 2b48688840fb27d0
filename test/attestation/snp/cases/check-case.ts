/** The form of the per-check tables, and what one failure makes impossible. @module */

import {
  SNP_AUTHENTICITY_CHECKS,
  SNP_POLICY_CHECKS,
  type SnpCheckId,
} from '../../../../attestation/snp/check-list.ts';
import { pssSha384 } from '../../../../attestation/x509-keys.ts';
import { fromHex, toHex } from '../../../../core/bytes.ts';
import type { SnpFaults } from '../../../support/snp/case.ts';
import type { SnpTestPki } from '../../../support/snp/pki.ts';

/** A case in which exactly `id` fails, unless it says what else must. */
export interface SnpCheckCase {
  readonly id: SnpCheckId;
  readonly title: string;
  readonly faults: SnpFaults | ((pki: SnpTestPki) => SnpFaults | Promise<SnpFaults>);
  /** Fail for the same reason; `why` says which. */
  readonly alsoFails?: readonly SnpCheckId[];
  /** Cannot be judged then. */
  readonly skips?: readonly SnpCheckId[];
  /** Why more than one check is touched. Required with `alsoFails` or `skips`. */
  readonly why?: string;
}

export function isAuthenticity(id: SnpCheckId): boolean {
  return SNP_AUTHENTICITY_CHECKS.some((known) => known === id);
}

export const BINDING: readonly SnpCheckId[] = [
  'bind.signerKind',
  'bind.product',
  'bind.tcb',
  'bind.tcbOrder',
  'bind.chipId',
];

export const NO_REPORT = 'nothing of an unreadable report can be judged';
export const NEEDS_REPORT: readonly SnpCheckId[] = [
  'report.version',
  'report.signatureAlgorithm',
  'report.guestPolicy',
  'report.signerInfo',
  'report.signed',
  'report.vmpl',
  'report.cpuid',
  'report.reserved',
  'report.signatureEncoding',
  'hcl.runtimeData',
  ...BINDING,
  'report.signature',
  ...SNP_POLICY_CHECKS,
];

export const NO_CHAIN = 'three certificates make a chain';
export const NEEDS_CHAIN: readonly SnpCheckId[] = [
  'chain.root',
  'chain.names',
  'chain.algorithms',
  'chain.signatures',
  'chain.constraints',
  'chain.notBefore',
  'chain.notAfter',
];

export const NO_LEAF = 'without the certificate there is no key and nothing to bind to';
export const NEEDS_LEAF: readonly SnpCheckId[] = [
  'vek.extensions',
  ...NEEDS_CHAIN,
  ...BINDING,
  'report.signature',
];

export const NO_ISSUER = 'a list is judged by the root that issued it';

export const NO_EXTENSIONS = "the report is bound to what AMD's extensions say";
export const NEEDS_EXTENSIONS: readonly SnpCheckId[] = BINDING.filter(
  (id) => id !== 'bind.signerKind',
);

export type Member = 'root' | 'intermediate' | 'vek';
export const MEMBERS: readonly Member[] = ['root', 'intermediate', 'vek'];

/** The outer algorithm, which is not signed, in the other of its two forms. */
export function withOtherOuterAlgorithm(der: Uint8Array): Uint8Array {
  const [plain, written] = [pssSha384(), pssSha384({ trailer: 'written' })].map(({ identifier }) =>
    toHex(identifier),
  );
  const hex = toHex(der);
  const own = hex.includes(written ?? '') ? (written ?? '') : (plain ?? '');
  const other = own === plain ? written : plain;
  const at = hex.lastIndexOf(own);
  const body = hex.slice(8, at) + (other ?? '') + hex.slice(at + own.length);
  const size = (body.length / 2).toString(16).padStart(4, '0');
  return fromHex(`3082${size}${body}`);
}
