/**
 * One TDX verification as a test wants it: sound in everything, except for what the test names. Quotes, documents and
 * lists come from the simulator's writers. Spec: tdx.md §1 to §5.
 * @module
 */

import { sha256, sha384 } from '#primitives';
import type { TdxCollateral } from '../../../attestation/tdx/collateral.ts';
import type { QeReport, TdReport } from '../../../attestation/tdx/quote.ts';
import type { TrustRoot } from '../../../attestation/tdx/roots.ts';
import { baselineTdxPolicy, type TdxPolicy } from '../../../attestation/tdx/td-policy.ts';
import { issueCrl, type CrlProfile } from '../../../attestation/x509.ts';
import { signP256 } from '../../../attestation/x509-keys.ts';
import { concat, fixed, fromHex, utf8, type Bytes } from '../../../core/bytes.ts';
import type { Json, JsonObject } from '../../../core/json.ts';
import {
  qeIdentityDocument,
  signDocument,
  tcbInfoDocument,
  type QeIdentityInput,
  type TcbInfoInput,
} from '../../../enclave-worker/evidence/simulator/documents.ts';
import type { Authority } from '../../../enclave-worker/evidence/simulator/authority.ts';
import { crlProfile } from '../../../enclave-worker/evidence/simulator/hierarchy.ts';
import {
  quoteHeader,
  writeAuthData,
  writeQuoteBody,
  writeQuoteHeader,
  type AuthData,
  type QuoteHeader,
} from '../../../enclave-worker/evidence/simulator/quote-writer.ts';
import { certifyAttestationKey } from '../../../enclave-worker/evidence/simulator/quoting-enclave.ts';
import { pemChain } from '../../../enclave-worker/evidence/simulator/simulator.ts';
import {
  issueAll,
  NOW_MS,
  PCK_FACTS,
  PLATFORM_COMPONENTS,
  type CertificateFaults,
  type Certificates,
  type TestPki,
} from './pki.ts';

export interface TdxCase {
  readonly quote: Uint8Array;
  readonly collateral: TdxCollateral;
  readonly nowMs: number;
  readonly policy: TdxPolicy;
  readonly roots: readonly TrustRoot[];
}

export interface QuoteFaults {
  readonly version?: 4 | 5;
  /** TD report 1.0, 1.5 or 1.5 extended. */
  readonly body?: 2 | 3 | 4;
  readonly header?: Partial<QuoteHeader>;
  readonly td?: Partial<TdReport>;
  /** Goes to the QE report, before it is signed. */
  readonly qe?: Partial<Omit<QeReport, 'reportData'>>;
  readonly qeAuthData?: Uint8Array;
  /** Changes the QE report's bytes before the PCK key signs them. */
  readonly qeReport?: (report: Uint8Array) => Uint8Array;
  /** Who signs the QE report, and who the rest. */
  readonly pckKey?: CryptoKey;
  readonly quoteKey?: CryptoKey;
  /** PEM in place of leaf, intermediate and root. */
  readonly pckChain?: (certificates: Certificates) => string;
  /** Changes parts of the authentication data after everything is signed. */
  readonly auth?: (auth: AuthData) => AuthData;
  /** Changes header and body before they are signed. */
  readonly signed?: (bytes: Uint8Array) => Uint8Array;
  /** Changes the finished quote. */
  readonly bytes?: (quote: Uint8Array) => Uint8Array;
}

export interface CollateralFaults {
  readonly tcbInfoInput?: Partial<TcbInfoInput>;
  readonly qeIdentityInput?: Partial<QeIdentityInput>;
  /** Changes the document before it is signed. */
  readonly tcbInfo?: (document: JsonObject) => Json;
  readonly qeIdentity?: (document: JsonObject) => Json;
  /** Who signs the documents. */
  readonly tcbInfoKey?: CryptoKey;
  readonly qeIdentityKey?: CryptoKey;
  readonly pckCrl?: (profile: CrlProfile, certificates: Certificates) => CrlProfile;
  readonly rootCrl?: (profile: CrlProfile, certificates: Certificates) => CrlProfile;
  readonly pckCrlKey?: CryptoKey;
  readonly rootCrlKey?: CryptoKey;
  /** Changes what would have been sent. */
  readonly sent?: (collateral: TdxCollateral, certificates: Certificates) => Partial<TdxCollateral>;
}

export interface Faults {
  readonly certificates?: CertificateFaults;
  readonly quote?: QuoteFaults;
  readonly collateral?: CollateralFaults;
  readonly policy?: Partial<TdxPolicy>;
  readonly nowMs?: number;
  readonly roots?: readonly TrustRoot[];
}

const DOCUMENT_TIMES = {
  issueMs: Date.UTC(2026, 5, 1),
  nextUpdateMs: Date.UTC(2026, 6, 1),
};
const CRL_TIMES = {
  thisUpdateMs: DOCUMENT_TIMES.issueMs,
  nextUpdateMs: DOCUMENT_TIMES.nextUpdateMs,
};

export function svn(...leading: readonly number[]): Bytes<16> {
  const bytes = new Uint8Array(16);
  bytes.set(leading);
  return fixed(bytes, 16);
}

export function filled<N extends number>(size: N, byte: number): Bytes<N> {
  return fixed(new Uint8Array(size).fill(byte), size);
}

const QE_MRSIGNER = sha256(utf8('test quoting enclave MRSIGNER'));

const QE: Omit<QeReport, 'reportData'> = {
  cpuSvn: fixed(Uint8Array.from(PLATFORM_COMPONENTS), 16),
  miscSelect: filled(4, 0),
  attributes: fixed(fromHex('15000000000000000700000000000000'), 16),
  mrEnclave: sha256(utf8('test quoting enclave MRENCLAVE')),
  mrSigner: QE_MRSIGNER,
  isvProdId: 2,
  isvSvn: 6,
};

/** Every register holds a value of its own, so that a swap cannot go unnoticed. */
const TD_REPORT: TdReport = {
  teeTcbSvn: svn(5, 1, 4),
  mrSeam: sha384(utf8('MRSEAM')),
  mrSignerSeam: filled(48, 0),
  seamAttributes: filled(8, 0),
  tdAttributes: fixed(fromHex('0000001000000000'), 8),
  xfam: fixed(fromHex('e702060000000000'), 8),
  mrTd: sha384(utf8('MRTD')),
  mrConfigId: sha384(utf8('MRCONFIGID')),
  mrOwner: sha384(utf8('MROWNER')),
  mrOwnerConfig: sha384(utf8('MROWNERCONFIG')),
  rtmr: [
    sha384(utf8('RTMR0')),
    sha384(utf8('RTMR1')),
    sha384(utf8('RTMR2')),
    sha384(utf8('RTMR3')),
  ],
  reportData: filled(64, 0xc3),
};

const V15: NonNullable<TdReport['v15']> = {
  teeTcbSvn2: svn(5, 1, 4),
  mrServiceTd: filled(48, 0),
};

const EXTENDED: NonNullable<TdReport['extended']> = {
  vmid: 0,
  tdId: sha256(utf8('TD id')),
  deviceInfoHash: sha384(utf8('device info')),
  initialServiceTdHash: filled(48, 0),
  initialServiceTdAttributes: filled(8, 0),
  initialCpuSvn: fixed(Uint8Array.from(PLATFORM_COMPONENTS), 16),
  initialTeeTcbSvn: svn(5, 1, 4),
  initialTeeFmspc: filled(12, 0xfe),
  currentServiceTdHash: filled(48, 0),
  currentServiceTdAttributes: filled(8, 0),
};

const TCB_DAY = '2025-11-12';

export const TCB_INFO: TcbInfoInput = {
  ...DOCUMENT_TIMES,
  fmspc: PCK_FACTS.fmspc,
  pceId: PCK_FACTS.pceId,
  evaluationNumber: 19,
  modules: [
    {
      id: 'TDX_01',
      mrSigner: new Uint8Array(48),
      levels: [
        { isvSvn: 5, tcbStatus: 'UpToDate', tcbDay: TCB_DAY },
        { isvSvn: 3, tcbStatus: 'OutOfDate', tcbDay: '2024-03-13', advisoryIds: ['TEST-SA-M3'] },
        { isvSvn: 1, tcbStatus: 'Revoked', tcbDay: '2023-02-15', advisoryIds: ['TEST-SA-M1'] },
      ],
    },
  ],
  levels: [
    {
      sgx: PLATFORM_COMPONENTS,
      tdx: [5, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      pceSvn: 13,
      tcbStatus: 'UpToDate',
      tcbDay: TCB_DAY,
    },
    {
      sgx: [3, 3, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0],
      tdx: [5, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      pceSvn: 11,
      tcbStatus: 'OutOfDate',
      tcbDay: '2024-11-13',
      advisoryIds: ['TEST-SA-P3'],
    },
  ],
};

export const QE_IDENTITY: QeIdentityInput = {
  ...DOCUMENT_TIMES,
  evaluationNumber: 19,
  mrSigner: QE_MRSIGNER,
  isvProdId: 2,
  levels: [
    { isvSvn: 6, tcbStatus: 'UpToDate', tcbDay: TCB_DAY },
    { isvSvn: 4, tcbStatus: 'OutOfDate', tcbDay: '2024-03-13', advisoryIds: ['TEST-SA-Q4'] },
    { isvSvn: 2, tcbStatus: 'Revoked', tcbDay: '2023-02-15', advisoryIds: ['TEST-SA-Q2'] },
  ],
};

const POLICY: TdxPolicy = baselineTdxPolicy({
  reportData: { equals: TD_REPORT.reportData },
  measurements: {
    anyOf: [
      {
        image: 'test',
        shape: 'test',
        mrtd: TD_REPORT.mrTd,
        rtmr0: TD_REPORT.rtmr[0],
        rtmr1: TD_REPORT.rtmr[1],
        rtmr2: TD_REPORT.rtmr[2],
        rtmr3: TD_REPORT.rtmr[3],
        mrconfigid: TD_REPORT.mrConfigId,
        mrowner: TD_REPORT.mrOwner,
        mrownerconfig: TD_REPORT.mrOwnerConfig,
      },
    ],
  },
});

/** A sound case with these faults. */
export async function buildCase(pki: TestPki, faults: Faults = {}): Promise<TdxCase> {
  const certificates =
    faults.certificates === undefined ? pki.sound : await issueAll(pki, faults.certificates);
  return {
    quote: await buildQuote(pki, certificates, faults.quote ?? {}),
    collateral: await buildCollateral(pki, certificates, faults.collateral ?? {}),
    nowMs: faults.nowMs ?? NOW_MS,
    policy: { ...POLICY, ...faults.policy },
    roots: faults.roots ?? [{ sha256: sha256(certificates.root.der), simulated: true }],
  };
}

/** The TD report of a sound case. */
export function tdReport(body: 2 | 3 | 4 = 2): TdReport {
  return {
    ...TD_REPORT,
    ...(body === 2 ? {} : { v15: V15 }),
    ...(body === 4 ? { extended: EXTENDED } : {}),
  };
}

async function buildQuote(
  pki: TestPki,
  certificates: Certificates,
  faults: QuoteFaults,
): Promise<Uint8Array> {
  const version = faults.version ?? 4;
  const same = (bytes: Uint8Array): Uint8Array => bytes;
  const signed = (faults.signed ?? same)(
    concat(
      writeQuoteHeader({ ...quoteHeader(version), ...faults.header }),
      writeQuoteBody(version, { ...tdReport(faults.body), ...faults.td }),
    ),
  );
  const auth: AuthData = {
    ...(await buildAuth(pki, certificates, faults)),
    signature: await signP256(faults.quoteKey ?? pki.attestationKeys.privateKey, signed),
  };
  const quote = concat(signed, writeAuthData(faults.auth === undefined ? auth : faults.auth(auth)));
  return (faults.bytes ?? same)(quote);
}

async function buildAuth(
  pki: TestPki,
  certificates: Certificates,
  faults: QuoteFaults,
): Promise<Omit<AuthData, 'signature'>> {
  const pckKey = faults.pckKey ?? pki.pck.keys.privateKey;
  const { auth } = await certifyAttestationKey({
    attestationKeys: pki.attestationKeys,
    pckKey,
    qe: { ...QE, ...faults.qe },
    qeAuthData: faults.qeAuthData ?? Uint8Array.from({ length: 32 }, (_, at) => at),
    pckChain:
      faults.pckChain?.(certificates) ??
      pemChain(certificates.pck, certificates.intermediate, certificates.root),
  });
  if (faults.qeReport === undefined) return auth;
  const qeReport = faults.qeReport(auth.qeReport);
  return { ...auth, qeReport, qeReportSignature: await signP256(pckKey, qeReport) };
}

async function buildCollateral(
  pki: TestPki,
  certificates: Certificates,
  faults: CollateralFaults,
): Promise<TdxCollateral> {
  const { root, intermediate, tcbSigner, qeSigner } = certificates;
  const same = <T>(value: T): T => value;
  const tcbInfo = tcbInfoDocument({ ...TCB_INFO, ...faults.tcbInfoInput });
  const qeIdentity = qeIdentityDocument({ ...QE_IDENTITY, ...faults.qeIdentityInput });
  const signingKey = pki.tcbSigning.keys.privateKey;
  const collateral: TdxCollateral = {
    tcbInfo: await signDocument(
      'tcbInfo',
      (faults.tcbInfo ?? same)(tcbInfo),
      faults.tcbInfoKey ?? signingKey,
    ),
    qeIdentity: await signDocument(
      'enclaveIdentity',
      (faults.qeIdentity ?? same)(qeIdentity),
      faults.qeIdentityKey ?? signingKey,
    ),
    tcbInfoIssuerChain: pemChain(tcbSigner, root),
    qeIdentityIssuerChain: pemChain(qeSigner, root),
    pckCrlIssuerChain: pemChain(intermediate, root),
    pckCrl: await issueCrl(
      (faults.pckCrl ?? same)(await testCrl(intermediate), certificates),
      faults.pckCrlKey ?? intermediate.keys.privateKey,
    ),
    rootCaCrl: await issueCrl(
      (faults.rootCrl ?? same)(await testCrl(root), certificates),
      faults.rootCrlKey ?? root.keys.privateKey,
    ),
  };
  return { ...collateral, ...faults.sent?.(collateral, certificates) };
}

/** Lists two strangers, so that a list with entries is the ordinary case. */
async function testCrl(issuer: Authority): Promise<CrlProfile> {
  return await crlProfile(issuer, CRL_TIMES, [
    { serial: fromHex('5a5afe'), revokedMs: Date.UTC(2024, 0, 2) },
    { serial: fromHex('00ff5a5aff'), revokedMs: Date.UTC(2024, 0, 2) },
  ]);
}
