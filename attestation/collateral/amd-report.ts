/**
 * What an SNP report says to ask for: product, kind of key, chip and reported TCB, and what came with it. All of it is the
 * sender's word; that a certificate fits the report is the verifier's to judge.
 * Spec: AMD SEV-SNP Firmware ABI (56860) §7.3; sev-snp §1.4, §2.3, §2.4.
 * @module
 */

import { isZero, toHex } from '../../core/bytes.ts';
import { attempt } from '../attempt.ts';
import { signingKeyOf, type SignerKind } from '../snp/bits.ts';
import { endorsementsOf, parseCertTable } from '../snp/cert-table.ts';
import type { SnpEndorsements } from '../snp/endorsements.ts';
import { parseLeaf } from '../snp/leaf.ts';
import { productOfCpuid, type SnpProduct } from '../snp/products.ts';
import { parseSnpReport, type SnpReport } from '../snp/report.ts';
import { decodeTcb } from '../snp/tcb.ts';
import type { SnpQuery } from './amd-authority.ts';
import type { EndorsableEvidence } from './endorser.ts';
import { collateralError } from './errors.ts';

/** Throws `collateral.evidence`, `snp.*`. A certificate table that cannot be read is as good as none. */
export function questionOfSnpReport(evidence: EndorsableEvidence): SnpQuery {
  const report = parseSnpReport(new Uint8Array(evidence.quote));
  const signer = signingKeyOf(report.signerInfo);
  if (signer !== 'vcek' && signer !== 'vlek') throw noQuestion('signing key');
  const offered = { ...tableOf(evidence.certificates, signer), ...ownEndorsements(evidence) };
  const product = productOf(report, offered);
  if (product === undefined) throw noQuestion('product');
  const isNamed = signer === 'vcek' && !isZero(report.chipId);
  return {
    product: product.name,
    signer,
    ...(isNamed ? { chip: chipOf(report, product) } : {}),
    offered,
  };
}

function tableOf(bytes: Uint8Array | undefined, signer: SignerKind): SnpEndorsements {
  // Hosts that have nothing to say hand over nothing, or zeros.
  if (bytes === undefined || isZero(bytes)) return {};
  const table = attempt(() => parseCertTable(new Uint8Array(bytes)));
  return table.outcome === 'read' ? endorsementsOf(table.value, signer) : {};
}

function ownEndorsements({ endorsements }: EndorsableEvidence): SnpEndorsements {
  if (endorsements === undefined) return {};
  if ('tcbInfo' in endorsements) throw noQuestion('endorsements');
  return endorsements;
}

/** Reports of version 2 do not say which processor they are from; the certificate that came with one does. */
function productOf({ cpuid }: SnpReport, { vek }: SnpEndorsements): SnpProduct | undefined {
  if (cpuid !== undefined) return productOfCpuid(cpuid);
  if (vek === undefined) return undefined;
  const leaf = attempt(() => parseLeaf(new Uint8Array(vek)));
  if (leaf.outcome === 'malformed' || leaf.value.extensions.outcome === 'malformed') {
    return undefined;
  }
  return leaf.value.extensions.value.product;
}

function chipOf(report: SnpReport, product: SnpProduct): NonNullable<SnpQuery['chip']> {
  return {
    hwid: toHex(report.chipId.subarray(0, product.hwidBytes)),
    tcb: decodeTcb(report.reportedTcb, product.layout),
  };
}

function noQuestion(reason: string): Error {
  return collateralError('collateral.evidence', reason, { facts: { reason } });
}
