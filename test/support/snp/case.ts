/**
 * One SNP verification as a test wants it: sound in everything, except for what the test names. Reports, lists and
 * tables come from the simulator's writers. Spec: sev-snp.md §1 to §3.
 * @module
 */

import { sha256, sha384 } from '#primitives';
import type { SnpEndorsements } from '../../../attestation/snp/endorsements.ts';
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
import {
  issueChain,
  NOW_MS,
  PRODUCTS,
  type Certificates,
  type ChainFaults,
  type ChainKind,
  type Signer,
  type SnpTestPki,
} from './pki.ts';

export interface SnpEvidence {
  readonly report: Uint8Array;
  readonly endorsements: SnpEndorsements;
  /** The same endorsements as a host would hand them over. */
  readonly table: Uint8Array;
  readonly certificates: Certificates;
  readonly nowMs: number;
}

export interface ReportFaults {
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
  /** Changes what would have been sent; a member that is undefined stays away. */
  readonly sent?: (
    endorsements: Required<SnpEndorsements>,
    certificates: Certificates,
  ) => SnpEndorsements;
  readonly table?: (entries: readonly TableEntry[]) => readonly TableEntry[];
  readonly nowMs?: number;
}

export const CRL_TIMES = {
  thisUpdateMs: Date.UTC(2026, 0, 10),
  nextUpdateMs: Date.UTC(2027, 0, 20),
};

function filled<N extends number>(size: N, byte: number): Bytes<N> {
  return fixed(new Uint8Array(size).fill(byte), size);
}

const MITIGATIONS = 0x0bn;

/** Every digest holds a value of its own, so that a swap cannot go unnoticed. */
export function soundReport({ product, signer }: ChainKind): ReportFields {
  const { tcb, cpuid, chipId } = PRODUCTS[product];
  return {
    version: 5,
    guestSvn: 7,
    policy: 0x3_001fn,
    familyId: filled(16, 0xfa),
    imageId: filled(16, 0x1d),
    vmpl: 0,
    signatureAlgorithm: ECDSA_P384_SHA384,
    currentTcb: tcb,
    platformInfo: 0x25n,
    signerInfo: SIGNER_INFO[signer],
    reportData: filled(64, 0xc3),
    measurement: sha384(utf8('MEASUREMENT')),
    hostData: sha256(utf8('HOST_DATA')),
    idKeyDigest: sha384(utf8('ID_KEY_DIGEST')),
    authorKeyDigest: filled(48, 0),
    reportId: sha256(utf8('REPORT_ID')),
    reportIdMa: filled(32, 0xff),
    reportedTcb: tcb,
    cpuid,
    chipId: signer === 'vcek' ? chipId : filled(64, 0),
    committedTcb: tcb,
    currentFirmware: { major: 1, minor: 55, build: 49 },
    committedFirmware: { major: 1, minor: 55, build: 40 },
    launchTcb: tcb,
    launchMitigations: MITIGATIONS,
    currentMitigations: MITIGATIONS,
  };
}

/** What a report of this version leaves zero. */
export function asVersion(version: 2 | 3 | 4 | 5, fields: ReportFields): ReportFields {
  const { cpuid, launchMitigations, currentMitigations, ...rest } = fields;
  return {
    ...rest,
    version,
    ...(version === 2 || cpuid === undefined ? {} : { cpuid }),
    ...(version < 5 || launchMitigations === undefined ? {} : { launchMitigations }),
    ...(version < 5 || currentMitigations === undefined ? {} : { currentMitigations }),
  };
}

/** Sound evidence with these faults. */
export async function buildSnpEvidence(
  pki: SnpTestPki,
  faults: SnpFaults = {},
): Promise<SnpEvidence> {
  const kind: ChainKind = { product: faults.product ?? 'Genoa', signer: faults.signer ?? 'vcek' };
  const certificates = await issueChain(pki, kind, faults.chain);
  const sound = {
    vek: certificates.vek.der,
    intermediate: certificates.intermediate.der,
    root: certificates.root.der,
    crl: await buildCrl(certificates, faults.crl ?? {}),
  };
  const entries = [
    { guid: TABLE_GUID[kind.signer], bytes: sound.vek },
    { guid: TABLE_GUID.intermediate, bytes: sound.intermediate },
    { guid: TABLE_GUID.root, bytes: sound.root },
    { guid: TABLE_GUID.crl, bytes: sound.crl },
  ];
  return {
    report: await buildReport(pki, kind, faults.report ?? {}),
    endorsements: faults.sent?.(sound, certificates) ?? sound,
    table: writeCertificateTable(faults.table?.(entries) ?? entries),
    certificates,
    nowMs: faults.nowMs ?? NOW_MS,
  };
}

async function buildReport(
  pki: SnpTestPki,
  kind: ChainKind,
  faults: ReportFaults,
): Promise<Uint8Array> {
  const same = (bytes: Uint8Array): Uint8Array => bytes;
  const written = writeReport({ ...soundReport(kind), ...faults.fields });
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
