/** Who signs in a development hierarchy, whichever vendor's shape it has. @module */

import {
  issueCertificate,
  type CertificateProfile,
  type DistinguishedName,
} from '../../../attestation/x509.ts';
import type { SignatureScheme } from '../../../attestation/x509-keys.ts';

/** A name and its key. */
export interface Authority {
  readonly name: DistinguishedName;
  readonly keys: CryptoKeyPair;
}

/** An authority with the certificate that says so. */
export interface Issued extends Authority {
  readonly der: Uint8Array;
}

export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface CrlTimes {
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
}

/** Signs the profile with the issuer's key and keeps subject and certificate together. */
export async function issue(
  subject: Authority,
  issuer: Authority,
  profile: CertificateProfile,
  scheme?: SignatureScheme,
): Promise<Issued> {
  return { ...subject, der: await issueCertificate(profile, issuer.keys.privateKey, scheme) };
}
