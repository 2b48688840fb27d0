/**
 * Evidence without hardware: reports and endorsements in the exact form of an SEV-SNP machine, signed by a development
 * hierarchy. Verification runs in full; only a policy that names this root accepts it, and says `simulated`.
 * Spec: sev-snp.md §1, §2; overview "Simulated machines".
 * @module
 */

import { randomBytes, sha256 } from '#primitives';
import type { SnpEndorsements } from '../../../../attestation/snp/endorsements.ts';
import { issueCrl } from '../../../../attestation/x509.ts';
import { exportPublicKey } from '../../../../attestation/x509-keys.ts';
import type { Bytes } from '../../../../core/bytes.ts';
import { systemClock, type Clock } from '../../../../core/clock.ts';
import type { CollectedEvidence, EvidenceProvider } from '../../provider.ts';
import { DEMO_SNP_MEASUREMENTS } from '../demo-image.ts';
import { renewed, type DocumentTimes } from '../renewal.ts';
import { arkCrlProfile } from './hierarchy.ts';
import { machineChipId, machineReport, type Guest } from './machine.ts';
import { openSnpDevelopmentPki, type SnpDevelopmentPki } from './pki-store.ts';
import { signReport, writeReport } from './report-writer.ts';

export interface SnpSimulatorOptions {
  /** Where the hierarchy is kept; made on first use. Workers that share it share their root. */
  readonly pkiDir: string;
  /** What the reports say was launched; absent: the demo image. */
  readonly measurement?: Bytes<48>;
  readonly hostData?: Bytes<32>;
  readonly now?: Clock;
}

export interface SnpSimulator extends EvidenceProvider {
  readonly tee: 'snp';
  readonly simulated: true;
  collect(reportData: Bytes<64>): Promise<SimulatedSnpEvidence>;
  /** SHA-256 of the root certificate: what a development policy pins. */
  rootSha256(): Bytes<32>;
}

export interface SimulatedSnpEvidence extends CollectedEvidence {
  readonly tee: 'snp';
  readonly endorsements: Required<SnpEndorsements>;
}

export const snpSimulator = {
  name: 'simulator-snp',
  simulated: true,
  create: createSnpSimulator,
} as const;

/**
 * The first call on a folder makes two RSA keys of 4096 bits, which takes seconds, off the event loop. Throws
 * `simulator.pki`, or the file system's error when `pkiDir` cannot be used.
 */
export async function createSnpSimulator(options: SnpSimulatorOptions): Promise<SnpSimulator> {
  const now = options.now ?? systemClock;
  const pki = await openSnpDevelopmentPki(options.pkiDir, now());
  const { privateKey, publicKey } = pki.vcek.keys;
  const rootSha256 = sha256(pki.ark.der);
  const chipId = machineChipId(await exportPublicKey(publicKey));
  const guest: Guest = {
    measurement: options.measurement ?? DEMO_SNP_MEASUREMENTS.measurement,
    hostData: options.hostData ?? DEMO_SNP_MEASUREMENTS.hostData,
    idKeyDigest: DEMO_SNP_MEASUREMENTS.idKeyDigest,
    reportId: randomBytes(32),
  };
  const endorsements = await renewed(now, async (times) => await endorse(pki, times));
  return {
    name: snpSimulator.name,
    tee: 'snp',
    simulated: true,
    rootSha256: () => rootSha256,
    async collect(reportData: Bytes<64>): Promise<SimulatedSnpEvidence> {
      const report = writeReport(machineReport(chipId, guest, reportData));
      return {
        tee: 'snp',
        quote: await signReport(privateKey, report),
        endorsements: await endorsements(),
      };
    },
  };
}

async function endorse(
  pki: SnpDevelopmentPki,
  { issueMs, nextUpdateMs }: DocumentTimes,
): Promise<Required<SnpEndorsements>> {
  const { ark, ask, vcek } = pki;
  const profile = await arkCrlProfile(ark, { thisUpdateMs: issueMs, nextUpdateMs });
  return {
    vek: vcek.der,
    intermediate: ask.der,
    root: ark.der,
    crl: await issueCrl(profile, ark.keys.privateKey),
  };
}
