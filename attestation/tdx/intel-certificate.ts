/**
 * Intel's profile of certificates and lists: P-256 with SHA-256 throughout, and no critical extension but the profile's
 * own. Roles, signatures and dates are judged by chain.ts.
 * Spec: Intel SGX PCK Certificate and CRL Profile Specification 1.5, §1, §2.
 * @module
 */

import {
  OID,
  parseCertificate,
  unrecognisedCritical,
  type Certificate,
} from '../pki/certificate.ts';
import { parseCrl, type Crl } from '../pki/crl.ts';
import { tdxError } from './errors.ts';

/** 1.2.840.113741.1.13.1, content octets as hex. */
export const SGX_EXTENSIONS = '2a864886f84d010d01';

const RECOGNISED: ReadonlySet<string> = new Set([
  OID.subjectKeyIdentifier,
  OID.keyUsage,
  OID.basicConstraints,
  OID.crlDistributionPoints,
  OID.authorityKeyIdentifier,
  SGX_EXTENSIONS,
]);

/** Throws `tdx.certificate`, `pki.*`, `der.*`. `der` must not change afterwards. */
export function parseIntelCertificate(der: Uint8Array): Certificate {
  const certificate = parseCertificate(der);
  if (certificate.signed?.algorithm !== 'ecdsa-p256-sha256') {
    throw tdxError('tdx.certificate', 'signature algorithm');
  }
  if (certificate.publicKey?.kind !== 'p256') {
    throw tdxError('tdx.certificate', 'public key is not an uncompressed P-256 point');
  }
  if (certificate.hasPaddedKeyUsage) throw tdxError('tdx.certificate', 'key usage is not minimal');
  const critical = unrecognisedCritical(certificate, RECOGNISED);
  if (critical !== undefined) {
    throw tdxError('tdx.certificate', `unknown critical extension ${critical}`);
  }
  return certificate;
}

/** Throws `tdx.crl`, `pki.*`, `der.*`. */
export function parseIntelCrl(bytes: Uint8Array): Crl {
  const crl = parseCrl(bytes);
  if (crl.signed.algorithm !== 'ecdsa-p256-sha256')
    throw tdxError('tdx.crl', 'signature algorithm');
  return crl;
}
