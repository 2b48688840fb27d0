/**
 * One piece of evidence as the command found it, whatever form it came in. Everything in it is the sender's word.
 * @module
 */

import type { SnpEndorsements } from '../../attestation/snp/endorsements.ts';
import type { TdxCollateral } from '../../attestation/tdx/collateral.ts';
import type { Check } from '../../attestation/verdict.ts';
import type { ClaimedVerdict } from '../../client/directory.ts';

export const EVIDENCE_KINDS = {
  'tdx-bundle': 'evidence bundle with a TDX quote',
  'snp-bundle': 'evidence bundle with an SEV-SNP report',
  'tdx-quote': 'TDX quote',
  'snp-report': 'SEV-SNP report',
  'snp-report-table': 'SEV-SNP report, then the host’s certificate table',
  'azure-hcl': 'Azure attestation blob with an SEV-SNP report',
} as const;
export type EvidenceKind = keyof typeof EVIDENCE_KINDS;

export interface TdxMachine {
  readonly tee: 'tdx';
  readonly quote: Uint8Array;
  readonly collateral: TdxCollateral;
}

export interface SnpMachine {
  readonly tee: 'snp';
  readonly form: 'report' | 'azure-hcl';
  readonly bytes: Uint8Array;
  readonly certTable?: Uint8Array;
  readonly endorsements: SnpEndorsements;
}

export type Machine = TdxMachine | SnpMachine;

/** What a worker says about itself; the machine's evidence covers it. */
export interface Statements {
  readonly statement: Uint8Array;
  readonly card: Uint8Array;
}

export interface Subject {
  /** For people: a file, a worker. */
  readonly name: string;
  readonly kind: EvidenceKind;
  /** How the bytes were written down. */
  readonly encoding: 'binary' | 'hex' | 'base64' | 'json';
  readonly sizeBytes: number;
  readonly machine: Machine;
  readonly statements?: Statements;
  /** Where it came through a gateway: whom the statement must be made for, and how that is known. */
  readonly gateway?: { readonly aud: string; readonly check: Check };
  /** What its gateway says it decided, unproven. */
  readonly claimed?: ClaimedVerdict;
  /** What was tried to complete it and failed. */
  readonly notes: readonly string[];
}

/** One of several, of which nothing can be judged. */
export interface Unreadable {
  readonly name: string;
  readonly code: string;
  readonly reason: string;
}

export interface Finds {
  readonly subjects: readonly Subject[];
  readonly unreadable: readonly Unreadable[];
}

const NOTHING = new Uint8Array();

/** Fails every check that it is for. */
export const NO_COLLATERAL: TdxCollateral = {
  tcbInfo: NOTHING,
  qeIdentity: NOTHING,
  tcbInfoIssuerChain: '',
  qeIdentityIssuerChain: '',
  pckCrlIssuerChain: '',
  pckCrl: NOTHING,
  rootCaCrl: NOTHING,
};
