/**
 * From raw evidence to structures, without judging: every part that cannot be read says why, and the rest goes on. What
 * the evidence does not bring is completed from AMD's own certificates and the caller's anchors, by issuer name.
 * Spec: AMD SEV-SNP Firmware ABI (56860) §7.3; AMD VCEK Certificate and KDS Interface Specification (57230) §3.
 * @module
 */

import { concat, equalPublic, isZero, type Bytes } from '../../core/bytes.ts';
import { attempt, type Attempt } from '../attempt.ts';
import { parseHcl, type Hcl } from '../azure/hcl.ts';
import { commonNameOf, parseCertificate, type Certificate } from '../pki/certificate.ts';
import { parseCrl, type Crl } from '../pki/crl.ts';
import { Signed } from '../pki/signature.ts';
import { builtInByBytes, builtInByName, type SnpAnchor } from './anchors.ts';
import { signingKeyOf } from './bits.ts';
import { cacheKey, type SnpCache } from './cache.ts';
import { endorsementsOf, parseCertTable, type CertTable } from './cert-table.ts';
import type { SnpEndorsements } from './endorsements.ts';
import { parseLeaf, type Leaf } from './leaf.ts';
import { parseSnpReport, type SnpReport } from './report.ts';

export interface SnpEvidence {
  /** `azure-hcl`: the report lies in a blob of Azure's paravisor. */
  readonly form: 'report' | 'azure-hcl';
  readonly bytes: Uint8Array;
  /** As the host delivered it. */
  readonly certTable?: Uint8Array;
  /** Preferred to the table. */
  readonly endorsements: SnpEndorsements;
}

export interface SnpReading {
  readonly hcl?: Attempt<Hcl>;
  readonly certTable?: Attempt<CertTable>;
  /** Absent when the blob around it could not be read. */
  readonly report?: Attempt<SnpReport>;
  /** The report with its signature; absent when r or s are not encoded as they must be. */
  readonly signed?: Signed;
  readonly vek?: Attempt<Leaf>;
  readonly intermediate?: Attempt<Certificate>;
  readonly root?: Attempt<Certificate>;
  readonly crl?: Attempt<Crl>;
}

export interface ReadContext {
  readonly anchors: readonly SnpAnchor[];
  readonly nowMs: number;
  readonly cache: SnpCache | undefined;
}

/** Never throws on bad evidence. */
export function readSnpEvidence(evidence: SnpEvidence, context: ReadContext): SnpReading {
  const { table, ...read } = readSigned(evidence, context);
  const given = { ...table, ...evidence.endorsements };
  const intermediate = readIntermediate(given.intermediate, read.vek, context);
  const root = readRoot(given.root, intermediate, context);
  const crl = given.crl && readCrl(given.crl, context);
  return {
    ...read,
    ...(intermediate === undefined ? {} : { intermediate }),
    ...(root === undefined ? {} : { root }),
    ...(crl === undefined ? {} : { crl }),
  };
}

/** What the report's signature needs, and nothing that is only there to be judged. Never throws on bad evidence. */
export function readSnpSignature(
  evidence: SnpEvidence,
  context: ReadContext,
): Pick<SnpReading, 'signed' | 'vek'> {
  const { signed, vek } = readSigned(evidence, context);
  return {
    ...(signed === undefined ? {} : { signed }),
    ...(vek === undefined ? {} : { vek }),
  };
}

type ReadSigned = Pick<SnpReading, 'hcl' | 'certTable' | 'report' | 'signed' | 'vek'> & {
  /** What the host's table brings. */
  readonly table: SnpEndorsements;
};

function readSigned(evidence: SnpEvidence, context: ReadContext): ReadSigned {
  // One copy, so that nobody changes under our hands what is being judged. `slice` of a Buffer would be a view.
  const bytes = new Uint8Array(evidence.bytes);
  const hcl = evidence.form === 'azure-hcl' ? attempt(() => parseHcl(bytes)) : undefined;
  const reportBytes = hcl === undefined ? bytes : reportOfHcl(hcl);
  const report = reportBytes && attempt(() => parseSnpReport(reportBytes));
  const certTable = readTable(evidence.certTable);
  const table = delivered(certTable, report);
  const vekDer = evidence.endorsements.vek ?? table.vek;
  const vek = vekDer && readLeaf(vekDer, context);
  const signed = report?.outcome === 'read' ? signedReport(report.value) : undefined;
  return {
    ...(hcl === undefined ? {} : { hcl }),
    ...(certTable === undefined ? {} : { certTable }),
    ...(report === undefined ? {} : { report }),
    ...(signed === undefined ? {} : { signed }),
    ...(vek === undefined ? {} : { vek }),
    table,
  };
}

function reportOfHcl(hcl: Attempt<Hcl>): Uint8Array | undefined {
  if (hcl.outcome === 'malformed' || hcl.value.reportType !== 'snp') return undefined;
  return hcl.value.report;
}

function readTable(bytes: Uint8Array | undefined): Attempt<CertTable> | undefined {
  // Hosts that have nothing to say hand over nothing, or zeros.
  if (bytes === undefined || isZero(bytes)) return undefined;
  const copy = new Uint8Array(bytes);
  return attempt(() => parseCertTable(copy));
}

function delivered(
  table: Attempt<CertTable> | undefined,
  report: Attempt<SnpReport> | undefined,
): SnpEndorsements {
  if (table?.outcome !== 'read') return {};
  const signer = report?.outcome === 'read' ? signingKeyOf(report.value.signerInfo) : 'vcek';
  return endorsementsOf(table.value, signer === 'vlek' ? 'vlek' : 'vcek');
}

function readLeaf(der: Uint8Array, { cache, nowMs }: ReadContext): Attempt<Leaf> {
  const known = cache?.leaves.get(cacheKey(der), nowMs);
  return known === undefined
    ? attempt(() => parseLeaf(new Uint8Array(der)))
    : { outcome: 'read', value: known };
}

function readAuthority(der: Uint8Array, { cache, nowMs }: ReadContext): Attempt<Certificate> {
  const known = builtInByBytes(der) ?? cache?.authorities.get(cacheKey(der), nowMs);
  return known === undefined
    ? attempt(() => parseCertificate(new Uint8Array(der)))
    : { outcome: 'read', value: known };
}

function readCrl(der: Uint8Array, { cache, nowMs }: ReadContext): Attempt<Crl> {
  const known = cache?.crls.get(cacheKey(der), nowMs);
  return known === undefined ? attempt(() => parseCrl(der)) : { outcome: 'read', value: known };
}

function readIntermediate(
  der: Uint8Array | undefined,
  vek: Attempt<Leaf> | undefined,
  context: ReadContext,
): Attempt<Certificate> | undefined {
  if (der !== undefined) return readAuthority(der, context);
  if (vek?.outcome !== 'read') return undefined;
  const name = attempt(() => commonNameOf(vek.value.certificate.issuer));
  if (name.outcome === 'malformed' || name.value === undefined) return undefined;
  const certificate = builtInByName(name.value);
  return certificate && { outcome: 'read', value: certificate };
}

function readRoot(
  der: Uint8Array | undefined,
  intermediate: Attempt<Certificate> | undefined,
  context: ReadContext,
): Attempt<Certificate> | undefined {
  if (der !== undefined) return readAuthority(der, context);
  if (intermediate?.outcome !== 'read') return undefined;
  const { issuer } = intermediate.value;
  const certificate = context.anchors
    .map((anchor) => anchor.certificate)
    .find((known) => known !== undefined && equalPublic(known.subject, issuer));
  return certificate && { outcome: 'read', value: certificate };
}

const SIGNATURE_VALUE_BYTES = 48;
function signedReport({ signed, signatureR, signatureS }: SnpReport): Signed | undefined {
  const [r, s] = [signatureValue(signatureR), signatureValue(signatureS)];
  if (r === undefined || s === undefined) return undefined;
  return new Signed(signed, concat(r, s), 'ecdsa-p384-sha384');
}

/** Big-endian, or undefined when the padding is not zero. A value out of range is no signature of any key. */
function signatureValue(littleEndian: Bytes<72>): Uint8Array | undefined {
  if (!isZero(littleEndian.subarray(SIGNATURE_VALUE_BYTES))) return undefined;
  return littleEndian.subarray(0, SIGNATURE_VALUE_BYTES).toReversed();
}
