/** Changes to one certificate before it is signed, for test hierarchies of any vendor. @module */

import type { CertificateExtension, CertificateProfile } from '../../attestation/x509.ts';

export type Spoil = (profile: CertificateProfile) => CertificateProfile;

export function withSubject(commonName: string): Spoil {
  return (profile) => ({ ...profile, subject: { ...profile.subject, commonName } });
}

export function withIssuer(commonName: string): Spoil {
  return (profile) => ({ ...profile, issuer: { ...profile.issuer, commonName } });
}

export function without(oid: string): Spoil {
  return (profile) => ({
    ...profile,
    extensions: profile.extensions.filter((extension) => extension.oid !== oid),
  });
}

/** In place of the extension with the same identifier, or at the end. */
export function withExtension(extension: CertificateExtension): Spoil {
  return (profile) => {
    const rest = without(extension.oid)(profile);
    return { ...rest, extensions: [...rest.extensions, extension] };
  };
}

export function twice(oid: string): Spoil {
  return (profile: CertificateProfile) => ({
    ...profile,
    extensions: [
      ...profile.extensions,
      ...profile.extensions.filter((extension) => extension.oid === oid),
    ],
  });
}

/** Dotted identifiers of RFC 5280 §4.2. */
export const EXTENSION = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  crlDistributionPoints: '2.5.29.31',
  authorityKeyId: '2.5.29.35',
} as const;
