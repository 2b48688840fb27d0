/**
 * A test hierarchy with AMD's shape on the simulator's own writers: keys are made once, every certificate can be issued
 * again with one thing wrong. Names are those a verifier demands. Spec: sev-snp.md §2.
 * @module
 */

import { sha512 } from '#primitives';
import {
  signDer,
  writeTbsCertificate,
  type CertificateProfile,
} from '../../../attestation/x509.ts';
import {
  defaultScheme,
  generateP384,
  type SignatureScheme,
} from '../../../attestation/x509-keys.ts';
import { concat, fixed, utf8, type Bytes } from '../../../core/bytes.ts';
import type {
  Authority,
  Issued,
  Validity,
} from '../../../enclave-worker/evidence/simulator/authority.ts';
import {
  amdName,
  arkProfile,
  CA_SCHEME,
  intermediateProfile,
  vekProfile,
  type AmdProduct,
} from '../../../enclave-worker/evidence/simulator/snp/hierarchy.ts';
import type { Cpuid, Tcb } from '../../../enclave-worker/evidence/simulator/snp/report-writer.ts';
import {
  vekEntries,
  vekExtensions,
  type VekEntry,
  type VekFacts,
} from '../../../enclave-worker/evidence/simulator/snp/vek-extensions.ts';
import type { Spoil } from '../spoil.ts';
import { testRsaKeys, type TestRsaKeys } from './rsa-keys.ts';

/** The instant of every test that does not choose its own: 2026-06-15T12:00:00Z. */
export const NOW_MS = Date.UTC(2026, 5, 15, 12);

export const DAY_MS = 24 * 3600_000;

export const CA_VALIDITY: Validity = {
  notBeforeMs: Date.UTC(2022, 0, 26),
  notAfterMs: Date.UTC(2047, 0, 26),
};
/** Seven years for a chip's certificate, one for a cloud's. */
export const VEK_VALIDITY: Readonly<Record<Signer, Validity>> = {
  vcek: { notBeforeMs: Date.UTC(2026, 0, 1), notAfterMs: Date.UTC(2033, 0, 1) },
  vlek: { notBeforeMs: Date.UTC(2026, 0, 1), notAfterMs: Date.UTC(2027, 0, 1) },
};

/** Which key signs the report. */
export type Signer = 'vcek' | 'vlek';

export interface ProductFacts {
  readonly cpuid: Cpuid;
  readonly tcb: Tcb;
  /** Of the chip's certificate; AMD's for clouds have no stepping. */
  readonly productName: string;
  /** 64 bytes; what is not zero at their end is left out of the certificate. */
  readonly chipId: Bytes<64>;
  readonly hwId: Uint8Array;
}

const CHIP_ID = sha512(utf8('test chip'));

/** Each component has a value of its own, so that a swap cannot go unnoticed. */
export const PRODUCTS: Readonly<Record<AmdProduct, ProductFacts>> = {
  Milan: {
    cpuid: { family: 0x19, model: 0x01, stepping: 1 },
    tcb: { bootloader: 4, tee: 0, snp: 29, microcode: 222 },
    productName: 'Milan-B0',
    chipId: CHIP_ID,
    hwId: CHIP_ID,
  },
  Genoa: {
    cpuid: { family: 0x19, model: 0x11, stepping: 1 },
    tcb: { bootloader: 10, tee: 0, snp: 23, microcode: 84 },
    productName: 'Genoa',
    chipId: CHIP_ID,
    hwId: CHIP_ID,
  },
  Turin: {
    cpuid: { family: 0x1a, model: 0x02, stepping: 1 },
    tcb: { fmc: 2, bootloader: 3, tee: 1, snp: 4, microcode: 81 },
    productName: 'Turin',
    chipId: fixed(concat(CHIP_ID.subarray(0, 8), new Uint8Array(56)), 64),
    hwId: CHIP_ID.subarray(0, 8),
  },
};

export const CSP_ID = 'CN=test-region.cloud.example';

/** Everybody who signs in a test. The keys stay, for every product; certificates are cheap and issued per case. */
export interface SnpTestPki {
  readonly rsa: TestRsaKeys;
  readonly vek: CryptoKeyPair;
  /** Nobody's, for forged report signatures. */
  readonly strangerVek: CryptoKeyPair;
  /** The certificates with nothing wrong: issued once, so that caches can know them. */
  sound(kind: ChainKind): Promise<Certificates>;
}

export async function createSnpTestPki(): Promise<SnpTestPki> {
  const [rsa, vek, strangerVek] = await Promise.all([
    testRsaKeys(),
    generateP384(),
    generateP384(),
  ]);
  const issued = new Map<string, Promise<Certificates>>();
  const pki: SnpTestPki = {
    rsa,
    vek,
    strangerVek,
    async sound(kind) {
      const key = `${kind.product} ${kind.signer}`;
      const certificates = issued.get(key) ?? issueChain(pki, kind, {});
      issued.set(key, certificates);
      return await certificates;
    },
  };
  return pki;
}

/** With the profile it was made from: revocation lists need the serial. */
export interface TestCertificate extends Issued {
  readonly profile: CertificateProfile;
}

export interface Certificates {
  readonly root: TestCertificate;
  /** ASK or ASVK. */
  readonly intermediate: TestCertificate;
  readonly vek: TestCertificate;
}

type Member = keyof Certificates;

/** What to do differently with one certificate. */
export interface CertificateFaults {
  readonly profile?: Spoil;
  /** Changes what is signed. */
  readonly tbs?: (tbs: Uint8Array) => Uint8Array;
  /** Changes the finished certificate. */
  readonly der?: (der: Uint8Array) => Uint8Array;
  /** In place of the issuer's key. */
  readonly signedBy?: CryptoKey;
  /** In place of what the issuer's key signs with. */
  readonly scheme?: SignatureScheme;
  /** In place of the subject's keys. */
  readonly keys?: CryptoKeyPair;
}

export interface ChainFaults extends Readonly<Partial<Record<Member, CertificateFaults>>> {
  /** The leaf's own data. */
  readonly facts?: Partial<VekFacts>;
  /** Changes the leaf's extensions. */
  readonly entries?: (entries: readonly VekEntry[]) => readonly VekEntry[];
  /** Issue the leaf below the other intermediate. */
  readonly below?: 'ask' | 'asvk';
}

export interface ChainKind {
  readonly product: AmdProduct;
  readonly signer: Signer;
}

export async function issueChain(
  pki: SnpTestPki,
  { product, signer }: ChainKind,
  faults: ChainFaults,
): Promise<Certificates> {
  const role = faults.below ?? (signer === 'vcek' ? 'ask' : 'asvk');
  const validity = { ...CA_VALIDITY, product };
  const ark: Authority = {
    name: amdName('ark', product),
    keys: faults.root?.keys ?? pki.rsa.ark,
  };
  const intermediate: Authority = {
    name: amdName(role, product),
    keys: faults.intermediate?.keys ?? pki.rsa[role],
  };
  const vek: Authority = { name: amdName(signer, product), keys: faults.vek?.keys ?? pki.vek };
  const facts = { ...soundFacts({ product, signer }), ...faults.facts };
  const leaf = vekProfile(vek, intermediate, VEK_VALIDITY[signer], facts);
  return {
    root: await certify(ark, ark, await arkProfile(ark, validity), CA_SCHEME, faults.root),
    intermediate: await certify(
      intermediate,
      ark,
      await intermediateProfile(role, intermediate, ark, validity),
      CA_SCHEME,
      faults.intermediate,
    ),
    vek: await certify(
      vek,
      intermediate,
      faults.entries === undefined
        ? leaf
        : { ...leaf, extensions: vekExtensions(faults.entries(vekEntries(facts))) },
      defaultScheme(intermediate.keys.privateKey),
      faults.vek,
    ),
  };
}

function soundFacts({ product, signer }: ChainKind): VekFacts {
  const { tcb, productName, hwId } = PRODUCTS[product];
  return signer === 'vcek'
    ? { productName, tcb, hwId }
    : { productName: product, tcb, cspId: CSP_ID };
}

async function certify(
  subject: Authority,
  issuer: Authority,
  sound: CertificateProfile,
  usual: SignatureScheme,
  faults: CertificateFaults = {},
): Promise<TestCertificate> {
  const profile = faults.profile?.(sound) ?? sound;
  const scheme = faults.scheme ?? usual;
  const tbs = await writeTbsCertificate(profile, scheme);
  const der = await signDer(
    faults.tbs?.(tbs) ?? tbs,
    faults.signedBy ?? issuer.keys.privateKey,
    scheme,
  );
  return { ...subject, der: faults.der?.(der) ?? der, profile };
}
