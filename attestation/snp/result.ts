/**
 * What `verifySnp` answers, and how the answer's plain parts are made from what was read.
 * Spec: AMD SEV-SNP Firmware ABI (56860) §7.3.
 * @module
 */

import { sha256 } from '#primitives';
import { isZero, type Bytes } from '../../core/bytes.ts';
import type { HclClaims } from '../azure/hcl.ts';
import type { Check, Warning } from '../verdict.ts';
import { hasMaskedChipKey, signingKeyOf, type SignerKind } from './bits.ts';
import type { SnpChain } from './chain.ts';
import type { AmdExtensions } from './leaf.ts';
import { compareFirmware, firmwareText, type PolicySubject } from './policy-checks.ts';
import type { SiliconLine, SnpProductName } from './products.ts';
import type { SnpReading } from './read.ts';
import type { SnpReport } from './report.ts';
import { decodeTcb, type SnpTcb } from './tcb.ts';

/** The report's own claims. Only worth anything when `authentic`. */
export interface SnpFacts {
  readonly report: SnpReport;
  readonly product?: SnpProductName;
  readonly siliconLine?: SiliconLine;
  readonly signer: SignerKind | 'none' | 'reserved';
  /** Present when the product, and with it the layout, is known. */
  readonly tcb?: Readonly<Record<'reported' | 'current' | 'committed' | 'launch', SnpTcb>>;
}

export interface SnpResult {
  /** Fixed order, always complete: every id of `SNP_CHECK_IDS` once. */
  readonly checks: readonly Check[];
  readonly warnings: readonly Warning[];
  /** Report and endorsements are genuine, current, unrevoked and consistent; says nothing about the policy. */
  readonly authentic: boolean;
  /** `authentic`, and no policy check failed or was skipped. */
  readonly accepted: boolean;
  readonly facts?: SnpFacts;
  /** For whoever judges more of the policy than was asked here. Only worth anything when `authentic`. */
  readonly subject?: PolicySubject;
  /** Whom the signing key belongs to. Present when authentic. */
  readonly owner?: AmdExtensions['owner'];
  /** Azure's runtime data, with the digest that the report binds. Only worth anything when `authentic`. */
  readonly hcl?: { readonly runtimeDataSha256: Bytes<32>; readonly claims?: HclClaims };
  /** True when the chain ends in a development root. */
  readonly simulated: boolean;
  /** Earliest expiry of everything the verdict rests on, Unix ms; verify again after it. 0 when not authentic. */
  readonly validUntilMs: number;
}

export function factsOf({ report, product, line }: PolicySubject): SnpFacts {
  const signer = signingKeyOf(report.signerInfo);
  if (product === undefined || line === undefined) return { report, signer };
  const { layout } = product;
  return {
    report,
    signer,
    product: product.name,
    siliconLine: line,
    tcb: {
      reported: decodeTcb(report.reportedTcb, layout),
      current: decodeTcb(report.currentTcb, layout),
      committed: decodeTcb(report.committedTcb, layout),
      launch: decodeTcb(report.launchTcb, layout),
    },
  };
}

export function hclOf({ hcl }: SnpReading): Pick<SnpResult, 'hcl'> {
  if (hcl?.outcome !== 'read') return {};
  const { runtimeData, claims } = hcl.value;
  return {
    hcl: {
      runtimeDataSha256: sha256(runtimeData),
      ...(claims.outcome === 'read' ? { claims: claims.value } : {}),
    },
  };
}

export function warningsOf(report: SnpReport | undefined): readonly Warning[] {
  if (report === undefined) return [];
  const warnings: Warning[] = [];
  const signer = signingKeyOf(report.signerInfo);
  if (signer === 'vcek' && hasMaskedChipKey(report.signerInfo)) {
    const detail = 'MASK_CHIP_KEY is set, yet the report is signed with the chip key';
    warnings.push({ id: 'report.maskChipKey', detail });
  }
  if (signer === 'vlek' && !isZero(report.chipId)) {
    const detail = 'CHIP_ID is not zero, and a VLEK proves no chip';
    warnings.push({ id: 'report.chipIdUnproven', detail });
  }
  const { currentFirmware: current, committedFirmware: committed } = report;
  if (compareFirmware(current, committed) !== 0) {
    const detail = `${firmwareText(current)} runs, ${firmwareText(committed)} is committed`;
    warnings.push({ id: 'report.provisionalFirmware', detail });
  }
  return warnings;
}

/** Earliest end of the certificates and the list. */
export function endsMs({ leaf, intermediate, root }: SnpChain, { crl }: SnpReading): number {
  return Math.min(
    leaf.certificate.notAfterMs,
    intermediate.notAfterMs,
    root.notAfterMs,
    crl?.outcome === 'read' ? crl.value.nextUpdateMs : Number.POSITIVE_INFINITY,
  );
}
