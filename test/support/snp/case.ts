/**
 * One SNP verification as a test wants it: sound in everything, except for what the test names. Reports, lists and
 * tables come from the simulator's writers. Spec: sev-snp.md §1 to §3.
 * @module
 */

import { sha256, sha384 } from '#primitives';
import type { SnpAnchor } from '../../../attestation/snp/anchors.ts';
import type { SnpEndorsements } from '../../../attestation/snp/endorsements.ts';
import type { SnpPolicy } from '../../../attestation/snp/guest-policy.ts';
import type { SnpEvidence } from '../../../attestation/snp/verify.ts';
import { signDer, writeTbsCrl, type CrlProfile } from '../../../attestation/x509.ts';
import { defaultScheme, signP384, type SignatureScheme } from '../../../attestation/x509-keys.ts';
import { concat, fixed, fromHex, utf8, type Bytes } from '../../../core/bytes.ts';
import {
  TABLE_GUID,
  writeCertificateTable,
  type TableEntry,
} from '../../../enclave-worker/evidence/simulator/snp/certificate-table.ts';
import {
  arkCrlProfile,
  type AmdProduct,
} from '../../../enclave-worker/evidence/simulator/snp/hierarchy.ts';
import {
  ECDSA_P384_SHA384,
  SIGNER_INFO,
  writeReport,
  writeSignature,
  type ReportFields,
} from '../../../enclave-worker/evidence/simulator/snp/report-writer.ts';
import { RUNTIME_DATA, writeHcl, type HclParts } from './hcl.ts';
import {
  CSP_ID,
  issueChain,
  NOW_MS,
  PRODUCTS,
  type Certificates,
  type ChainFaults,
  type ChainKind,
  type Signer,
  type SnpTestPki,
} from './pki.ts';

/** What `verifySnp` takes, and where the evidence came from. */
export interface SnpCase {
  readonly evidence: SnpEvidence;
  readonly nowMs: number;
  readonly policy: SnpPolicy;
  readonly anchors: readonly SnpAnchor[];
  readonly certificates: Certificates;
}

export interface ReportFaults {
  /** Leaves zero what that version does not have. */
  readonly version?: 2 | 3 | 4 | 5;
  readonly fields?: Partial<ReportFields>;
  /** Changes the signed part before it is signed. */
  readonly signed?: (bytes: Uint8Array) => Uint8Array;
  /** Changes r ‖ s (big-endian) before it is written. */
  readonly signature?: (rs: Uint8Array) => Uint8Array;
  /** Changes the finished report. */
  readonly bytes?: (report: Uint8Array) => Uint8Array;
  /** In place of the leaf's key. */
  readonly key?: CryptoKey;
}

export interface CrlFaults {
  readonly profile?: (profile: CrlProfile, certificates: Certificates) => CrlProfile;
  /** Changes what is signed. */
  readonly tbs?: (tbs: Uint8Array) => Uint8Array;
  /** Changes the finished list. */
  readonly der?: (der: Uint8Array) => Uint8Array;
  /** In place of the root's key. */
  readonly signedBy?: CryptoKey;
  readonly scheme?: SignatureScheme;
}

export interface SnpFaults {
  readonly product?: AmdProduct;
  readonly signer?: Signer;
  readonly report?: ReportFaults;
  readonly chain?: ChainFaults;
  readonly crl?: CrlFaults;
  /** In place of what would have been sent; a member that is left out stays away. */
  readonly sent?: (
    endorsements: Required<SnpEndorsements>,
    certificates: Certificates,
  ) => SnpEndorsements;
  /** Sends a certificate table too: made of these entries, or bytes as they are. */
  readonly table?: (entries: readonly TableEntry[]) => readonly TableEntry[] | Uint8Array;
  /** Wraps the report as Azure's paravisor does; its runtime data is bound by the report unless the test unbinds it. */
  readonly hcl?: Partial<HclParts> & { readonly bytes?: (blob: Uint8Array) => Uint8Array };
  readonly policy?: Partial<SnpPolicy>;
  readonly nowMs?: number;
  readonly anchors?: readonly SnpAnchor[];
}

export const CRL_TIMES = {
  thisUpdateMs: Date.UTC(2026, 0, 10),
  nextUpdateMs: Date.UTC(2027, 0, 20),
};

function filled<N extends number>(size: N, byte: number): Bytes<N> {
  return fixed(new Uint8Array(size).fill(byte), size);
}

const MITIGATIONS = 0x0bn;
const AUTHOR_KEY_EN = 1;

/** Every digest holds a value of its own, so that a swap cannot go unnoticed. */
export function soundReport({ product, signer }: ChainKind): ReportFields {
  const { tcb, cpuid, chipId } = PRODUCTS[product];
  return {
    version: 5,
    guestSvn: 7,
    // ABI 1.55 at least, SMT allowed, and the bit that is always set.
    policy: 0x3_0137n,
    familyId: filled(16, 0xfa),
    imageId: filled(16, 0x1d),
    vmpl: 0,
    signatureAlgorithm: ECDSA_P384_SHA384,
    currentTcb: tcb,
    platformInfo: 0x25n,
    signerInfo: SIGNER_INFO[signer] | AUTHOR_KEY_EN,
    reportData: filled(64, 0xc3),
    measurement: sha384(utf8('MEASUREMENT')),
    hostData: sha256(utf8('HOST_DATA')),
    idKeyDigest: sha384(utf8('ID_KEY_DIGEST')),
    authorKeyDigest: sha384(utf8('AUTHOR_KEY_DIGEST')),
    reportId: sha256(utf8('REPORT_ID')),
    reportIdMa: filled(32, 0xff),
    reportedTcb: tcb,
    cpuid,
    chipId: signer === 'vcek' ? chipId : filled(64, 0),
    committedTcb: tcb,
    currentFirmware: { major: 1, minor: 55, build: 40 },
    committedFirmware: { major: 1, minor: 55, build: 40 },
    launchTcb: tcb,
    launchMitigations: MITIGATIONS,
    currentMitigations: MITIGATIONS,
  };
}

/** What a report of this version leaves zero. */
function asVersion(version: 2 | 3 | 4 | 5, fields: ReportFields): ReportFields {
  const { cpuid, launchMitigations, currentMitigations, ...rest } = fields;
  return {
    ...rest,
    version,
    ...(version === 2 || cpuid === undefined ? {} : { cpuid }),
    ...(version < 5 || launchMitigations === undefined ? {} : { launchMitigations }),
    ...(version < 5 || currentMitigations === undefined ? {} : { currentMitigations }),
  };
}

/** Everything a policy can ask of the sound report of this kind is asked. */
export function soundPolicy({ product, signer }: ChainKind): SnpPolicy {
  const report = soundReport({ product, signer });
  const tcb = PRODUCTS[product].tcb;
  const floors = { milan: tcb, genoa: tcb, turin: tcb };
  return {
    products: { anyOf: ['milan', 'genoa', 'turin'] },
    signers: { anyOf: [signer] },
    minReportVersion: 3,
    maskedChipId: 'refuse',
    chipIds: signer === 'vcek' ? { anyOf: [report.chipId] } : NOT_ASKED,
    cspIds: { anyOf: [CSP_ID] },
    crl: 'require',
    vmpls: { anyOf: [0] },
    minGuestSvn: report.guestSvn,
    guestPolicy: {
      smt: 'require',
      migrateMa: 'forbid',
      debug: 'forbid',
      singleSocket: 'forbid',
      cxlAllow: 'forbid',
      memAes256Xts: 'forbid',
      raplDis: 'forbid',
      ciphertextHidingDram: 'forbid',
      pageSwapDisable: 'forbid',
    },
    minAbi: { major: 1, minor: 55 },
    platformInfo: {
      smtEn: 'require',
      tsmeEn: 'forbid',
      eccEn: 'require',
      raplDis: 'forbid',
      ciphertextHidingDramEn: 'forbid',
      aliasCheckComplete: 'require',
      iommuWriteSafe: 'forbid',
      tioEn: 'forbid',
    },
    unknownPlatformBits: 'forbid',
    minTcb: { floors },
    minLaunchTcb: { floors },
    minFirmware: report.committedFirmware,
    provisionalFirmware: 'forbid',
    launchMitigations: { mask: MITIGATIONS },
    currentMitigations: { mask: MITIGATIONS },
    measurements: { anyOf: [report.measurement] },
    reportData: { equals: report.reportData },
    hostData: { equals: report.hostData },
    familyId: { equals: report.familyId },
    imageId: { equals: report.imageId },
    reportId: { equals: report.reportId },
    reportIdMa: { equals: report.reportIdMa },
    idKeys: { anyOf: [report.idKeyDigest] },
    authorKeys: { anyOf: [report.authorKeyDigest] },
  };
}

export const NOT_ASKED = { unchecked: 'not asked for by this test' } as const;

/** A sound case with these faults. */
export async function buildSnpCase(pki: SnpTestPki, faults: SnpFaults = {}): Promise<SnpCase> {
  const kind: ChainKind = { product: faults.product ?? 'Genoa', signer: faults.signer ?? 'vcek' };
  const certificates =
    faults.chain === undefined ? await pki.sound(kind) : await issueChain(pki, kind, faults.chain);
  const sound = {
    vek: certificates.vek.der,
    intermediate: certificates.intermediate.der,
    root: certificates.root.der,
    crl: await buildCrl(certificates, faults.crl ?? {}),
  };
  const root = { sha256: sha256(certificates.root.der), simulated: true };
  const policy = { ...soundPolicy(kind), ...faults.policy };
  const common = {
    nowMs: faults.nowMs ?? NOW_MS,
    anchors: faults.anchors ?? [root],
    certificates,
  };
  const evidence = {
    endorsements: faults.sent?.(sound, certificates) ?? sound,
    ...tableOf(kind, sound, faults.table),
  };
  if (faults.hcl === undefined) {
    const bytes = await buildReport(pki, kind, faults.report ?? {});
    return { ...common, policy, evidence: { form: 'report', bytes, ...evidence } };
  }
  const runtimeData = faults.hcl.runtimeData ?? RUNTIME_DATA;
  const reportData = fixed(concat(sha256(RUNTIME_DATA), new Uint8Array(32)), 64);
  const fields = { reportData, ...faults.report?.fields };
  const report = await buildReport(pki, kind, { ...faults.report, fields });
  const blob = writeHcl({ ...faults.hcl, report, runtimeData });
  const bytes = faults.hcl.bytes?.(blob) ?? blob;
  return {
    ...common,
    policy: { ...policy, reportData: faults.policy?.reportData ?? { equals: reportData } },
    evidence: { form: 'azure-hcl', bytes, ...evidence },
  };
}

/** The endorsements as a host would hand them over. */
function tableOf(
  { signer }: ChainKind,
  { vek, intermediate, root, crl }: Required<SnpEndorsements>,
  table: SnpFaults['table'],
): Pick<SnpEvidence, 'certTable'> {
  if (table === undefined) return {};
  const made = table([
    { guid: TABLE_GUID[signer], bytes: vek },
    { guid: TABLE_GUID.intermediate, bytes: intermediate },
    { guid: TABLE_GUID.root, bytes: root },
    { guid: TABLE_GUID.crl, bytes: crl },
  ]);
  return { certTable: made instanceof Uint8Array ? made : writeCertificateTable(made) };
}

async function buildReport(
  pki: SnpTestPki,
  kind: ChainKind,
  faults: ReportFaults,
): Promise<Uint8Array> {
  const same = (bytes: Uint8Array): Uint8Array => bytes;
  const sound = soundReport(kind);
  const versioned = faults.version === undefined ? sound : asVersion(faults.version, sound);
  const written = writeReport({ ...versioned, ...faults.fields });
  const signed = (faults.signed ?? same)(written);
  const rs = await signP384(faults.key ?? pki.vek.privateKey, signed);
  const report = concat(signed, writeSignature((faults.signature ?? same)(rs)));
  return (faults.bytes ?? same)(report);
}

/** Lists two strangers, so that a list with entries is the ordinary case; AMD's entries give no reason. */
async function buildCrl(certificates: Certificates, faults: CrlFaults): Promise<Uint8Array> {
  const { root } = certificates;
  const key = faults.signedBy ?? root.keys.privateKey;
  const scheme = faults.scheme ?? defaultScheme(key);
  const sound = await arkCrlProfile(root, CRL_TIMES, [
    { serial: fromHex('5a5afe'), revokedMs: Date.UTC(2024, 0, 2), reason: 'unsaid' },
    { serial: fromHex('00ff5a5aff'), revokedMs: Date.UTC(2024, 0, 2) },
  ]);
  const tbs = writeTbsCrl(faults.profile?.(sound, certificates) ?? sound, scheme);
  const der = await signDer(faults.tbs?.(tbs) ?? tbs, key, scheme);
  return faults.der?.(der) ?? der;
}
