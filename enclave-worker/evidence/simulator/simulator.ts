/**
 * Evidence without hardware: quotes and collateral in the exact form of a TDX machine, signed by a development
 * hierarchy. Verification runs in full; only a policy that names this root accepts it, and says `simulated`.
 * Spec: tdx.md §1, §2; overview "Simulated machines".
 * @module
 */

import { randomBytes, sha256 } from '#primitives';
import type { TdxCollateral } from '../../../attestation/tdx/collateral.ts';
import type { TdxMeasurement } from '../../../attestation/tdx/td-policy.ts';
import { encodePem, issueCrl } from '../../../attestation/x509.ts';
import { generateP256 } from '../../../attestation/x509-keys.ts';
import type { Bytes } from '../../../core/bytes.ts';
import { systemClock, type Clock } from '../../../core/clock.ts';
import type { CollectedEvidence, EvidenceProvider } from '../provider.ts';
import type { Authority, Issued } from './authority.ts';
import { DEMO_MEASUREMENTS } from './demo-image.ts';
import { qeIdentityDocument, signDocument, tcbInfoDocument } from './documents.ts';
import { crlProfile } from './hierarchy.ts';
import { MACHINE_QE, MACHINE_QE_IDENTITY, MACHINE_TCB_INFO, machineTdReport } from './machine.ts';
import { openDevelopmentPki, type DevelopmentPki } from './pki-store.ts';
import { certifyAttestationKey, signQuote, type CertifiedKey } from './quoting-enclave.ts';
import { renewed, type DocumentTimes } from './renewal.ts';

export interface SimulatorOptions {
  /** Where the hierarchy is kept; made on first use. Workers that share it share their root. */
  readonly pkiDir: string;
  /** What the quotes report; absent: the demo image. */
  readonly measurements?: TdxMeasurement;
  readonly now?: Clock;
}

export interface Simulator extends EvidenceProvider {
  readonly simulated: true;
  collect(reportData: Bytes<64>): Promise<SimulatedEvidence>;
  /** SHA-256 of the root certificate: what a development policy pins. */
  rootSha256(): Bytes<32>;
}

export interface SimulatedEvidence extends CollectedEvidence {
  readonly endorsements: TdxCollateral;
}

const QE_AUTH_DATA_BYTES = 32;

export const simulator = { name: 'simulator', simulated: true, create: createSimulator } as const;

/** Throws `simulator.pki`, or the file system's error when `pkiDir` cannot be used. */
export async function createSimulator(options: SimulatorOptions): Promise<Simulator> {
  const now = options.now ?? systemClock;
  const pki = await openDevelopmentPki(options.pkiDir, now());
  const rootSha256 = sha256(pki.root.der);
  const measurements = options.measurements ?? DEMO_MEASUREMENTS;
  const key = await certify(pki);
  const collateral = await renewed(now, async (times) => await signCollateral(pki, times));
  return {
    name: simulator.name,
    tee: 'tdx',
    simulated: true,
    rootSha256: () => rootSha256,
    async collect(reportData: Bytes<64>): Promise<SimulatedEvidence> {
      const quote = await signQuote(key, machineTdReport(measurements, reportData));
      return { tee: 'tdx', quote, endorsements: await collateral() };
    },
  };
}

async function certify(pki: DevelopmentPki): Promise<CertifiedKey> {
  return await certifyAttestationKey({
    attestationKeys: await generateP256(),
    pckKey: pki.pck.keys.privateKey,
    qe: MACHINE_QE,
    qeAuthData: randomBytes(QE_AUTH_DATA_BYTES),
    pckChain: pemChain(pki.pck, pki.platformCa, pki.root),
  });
}

async function signCollateral(pki: DevelopmentPki, times: DocumentTimes): Promise<TdxCollateral> {
  const { issueMs, nextUpdateMs } = times;
  const signerKey = pki.tcbSigning.keys.privateKey;
  const signerChain = pemChain(pki.tcbSigning, pki.root);
  return {
    tcbInfo: await signDocument(
      'tcbInfo',
      tcbInfoDocument({ ...MACHINE_TCB_INFO, ...times }),
      signerKey,
    ),
    qeIdentity: await signDocument(
      'enclaveIdentity',
      qeIdentityDocument({ ...MACHINE_QE_IDENTITY, ...times }),
      signerKey,
    ),
    tcbInfoIssuerChain: signerChain,
    qeIdentityIssuerChain: signerChain,
    pckCrlIssuerChain: pemChain(pki.platformCa, pki.root),
    pckCrl: await emptyCrl(pki.platformCa, issueMs, nextUpdateMs),
    rootCaCrl: await emptyCrl(pki.root, issueMs, nextUpdateMs),
  };
}

async function emptyCrl(
  issuer: Authority,
  thisUpdateMs: number,
  nextUpdateMs: number,
): Promise<Uint8Array> {
  return await issueCrl(
    await crlProfile(issuer, { thisUpdateMs, nextUpdateMs }),
    issuer.keys.privateKey,
  );
}

/** PEM, signer first. */
export function pemChain(...chain: readonly Pick<Issued, 'der'>[]): string {
  return chain.map(({ der }) => encodePem('CERTIFICATE', der)).join('');
}
