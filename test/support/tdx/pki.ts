/**
 * A test hierarchy on the simulator's own writers: keys are made once per test file, every certificate can be issued
 * again with one thing wrong. Names are those a verifier demands. Spec: tdx.md §1.4, §1.5.
 * @module
 */

import { fixed, fromHex } from '../../../core/bytes.ts';
import { type CertificateProfile } from '../../../attestation/x509.ts';
import { generateP256 } from '../../../attestation/x509-keys.ts';
import {
  issue,
  type Authority,
  type Issued,
} from '../../../enclave-worker/evidence/simulator/authority.ts';
import {
  developmentName,
  intermediateProfile,
  pckProfile,
  rootProfile,
  tcbSignerProfile,
  type CommonName,
} from '../../../enclave-worker/evidence/simulator/hierarchy.ts';
import type { PckFacts } from '../../../enclave-worker/evidence/simulator/sgx-extension.ts';

import type { Spoil } from '../spoil.ts';

/** The instant of every test that does not choose its own: 2026-06-15T12:00:00Z. */
export const NOW_MS = Date.UTC(2026, 5, 15, 12);

export const DAY_MS = 24 * 3600_000;

const CERTIFICATE_VALIDITY = {
  notBeforeMs: Date.UTC(2026, 0, 1),
  notAfterMs: Date.UTC(2033, 0, 1),
};
const ROOT_VALIDITY = { notBeforeMs: Date.UTC(2018, 4, 21), notAfterMs: Date.UTC(2049, 11, 31) };

export const PLATFORM_COMPONENTS = [4, 4, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0] as const;

export const PCK_FACTS: PckFacts = {
  ppid: fixed(fromHex('11'.repeat(16)), 16),
  components: PLATFORM_COMPONENTS,
  pceSvn: 13,
  cpuSvn: Uint8Array.from(PLATFORM_COMPONENTS),
  pceId: fromHex('0000'),
  fmspc: fromHex('c0ffee000000'),
  sgxType: 1,
  platformInstanceId: fixed(fromHex('22'.repeat(16)), 16),
  configuration: { dynamicPlatform: true, cachedKeys: false, smtEnabled: true },
};

/** Everybody who signs in a test. The keys stay; certificates are cheap and issued per case. */
export interface TestPki {
  readonly root: Authority;
  readonly platformCa: Authority;
  readonly processorCa: Authority;
  readonly pck: Authority;
  readonly tcbSigning: Authority;
  /** The quoting enclave's. */
  readonly attestationKeys: CryptoKeyPair;
  /** A stranger's key, for forged signatures. */
  readonly strangerKeys: CryptoKeyPair;
  /** The certificates with nothing wrong. */
  readonly sound: Certificates;
}

/** With the profile it was made from: revocation lists need the serial. */
export interface TestCertificate extends Issued {
  readonly profile: CertificateProfile;
}

export interface Certificates {
  readonly root: TestCertificate;
  readonly intermediate: TestCertificate;
  readonly pck: TestCertificate;
  /** Signs TCB info. */
  readonly tcbSigner: TestCertificate;
  /** Signs the QE identity: the same key with a certificate of its own, so that tests can spoil one of the two. */
  readonly qeSigner: TestCertificate;
}

/** What to do differently from a sound hierarchy. */
export interface CertificateFaults {
  readonly root?: Spoil;
  readonly intermediate?: Spoil;
  readonly pck?: Spoil;
  readonly tcbSigner?: Spoil;
  readonly qeSigner?: Spoil;
  /** The PCK leaf's own data. */
  readonly facts?: Partial<PckFacts>;
  /** Issue the leaf under the other CA. */
  readonly ca?: 'platform' | 'processor';
  /** Whose keys sign a certificate instead of its issuer's. */
  readonly signedBy?: Readonly<
    Partial<Record<'intermediate' | 'pck' | 'tcbSigner' | 'qeSigner', CryptoKeyPair>>
  >;
}

export async function createTestPki(): Promise<TestPki> {
  const [root, platformCa, processorCa, pck, tcbSigning] = await Promise.all([
    authority('Intel SGX Root CA'),
    authority('Intel SGX PCK Platform CA'),
    authority('Intel SGX PCK Processor CA'),
    authority('Intel SGX PCK Certificate'),
    authority('Intel SGX TCB Signing'),
  ]);
  const keys = {
    root,
    platformCa,
    processorCa,
    pck,
    tcbSigning,
    attestationKeys: await generateP256(),
    strangerKeys: await generateP256(),
  };
  return { ...keys, sound: await issueAll(keys, {}) };
}

async function authority(commonName: CommonName): Promise<Authority> {
  return { name: developmentName(commonName), keys: await generateP256() };
}

export async function issueAll(
  pki: Omit<TestPki, 'sound'>,
  faults: CertificateFaults,
): Promise<Certificates> {
  const { root, tcbSigning } = pki;
  const intermediate = faults.ca === 'processor' ? pki.processorCa : pki.platformCa;
  const validity = { ...CERTIFICATE_VALIDITY, facts: { ...PCK_FACTS, ...faults.facts } };
  const signer = async (which: 'tcbSigner' | 'qeSigner'): Promise<TestCertificate> =>
    await certify(
      tcbSigning,
      signedBy(root, faults.signedBy?.[which]),
      await tcbSignerProfile(tcbSigning, root, CERTIFICATE_VALIDITY),
      faults[which],
    );
  return {
    root: await certify(root, root, await rootProfile(root, ROOT_VALIDITY), faults.root),
    intermediate: await certify(
      intermediate,
      signedBy(root, faults.signedBy?.intermediate),
      await intermediateProfile(intermediate, root, CERTIFICATE_VALIDITY),
      faults.intermediate,
    ),
    pck: await certify(
      pki.pck,
      signedBy(intermediate, faults.signedBy?.pck),
      await pckProfile(pki.pck, intermediate, validity),
      faults.pck,
    ),
    tcbSigner: await signer('tcbSigner'),
    qeSigner: await signer('qeSigner'),
  };
}

function signedBy(issuer: Authority, keys: CryptoKeyPair | undefined): Authority {
  return keys === undefined ? issuer : { ...issuer, keys };
}

async function certify(
  subject: Authority,
  issuer: Authority,
  sound: CertificateProfile,
  spoil: Spoil = (profile) => profile,
): Promise<TestCertificate> {
  const profile = spoil(sound);
  return { ...(await issue(subject, issuer, profile)), profile };
}
