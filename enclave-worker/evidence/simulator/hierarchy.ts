/**
 * A certificate hierarchy with the shape of Intel's: root, PCK Platform CA, PCK leaf, TCB signer. The common names are
 * those a verifier demands; the organisation says who really made it.
 * Spec: Intel SGX PCK Certificate and CRL Profile Specification 1.5, §1.2, §1.3; tdx.md §1.4, §1.5.
 * @module
 */

import {
  authorityKeyId,
  caConstraint,
  caKeyUsage,
  crlDistributionPoint,
  crlNumber,
  endEntityConstraint,
  freshSerial,
  signingKeyUsage,
  subjectKeyId,
  type CertificateExtension,
  type CertificateProfile,
  type CrlProfile,
  type DistinguishedName,
  type RevokedCertificate,
} from '../../../attestation/x509.ts';
import type { Authority, CrlTimes, Validity } from './authority.ts';
import { sgxEntries, sgxExtension, type PckFacts } from './sgx-extension.ts';

export const DEVELOPMENT_ORGANIZATION = 'Veilgate development, not Intel';

export type CommonName =
  | 'Intel SGX Root CA'
  | 'Intel SGX PCK Platform CA'
  | 'Intel SGX PCK Processor CA'
  | 'Intel SGX PCK Certificate'
  | 'Intel SGX TCB Signing';

export function developmentName(commonName: CommonName): DistinguishedName {
  return { commonName, organization: DEVELOPMENT_ORGANIZATION };
}

const ROOT_PATH_LENGTH = 1;
const INTERMEDIATE_PATH_LENGTH = 0;
/** Nothing is fetched from it: verifiers take lists as bytes. `.invalid` cannot resolve. */
const CRL_URL = 'https://development.veilgate.invalid/root.crl';

export async function rootProfile(
  root: Authority,
  validity: Validity,
): Promise<CertificateProfile> {
  return await profileOf(root, root, validity, [caKeyUsage(), caConstraint(ROOT_PATH_LENGTH)]);
}

export async function intermediateProfile(
  intermediate: Authority,
  root: Authority,
  validity: Validity,
): Promise<CertificateProfile> {
  const role = [caKeyUsage(), caConstraint(INTERMEDIATE_PATH_LENGTH)];
  return await profileOf(intermediate, root, validity, role);
}

export async function pckProfile(
  pck: Authority,
  intermediate: Authority,
  validity: Validity & { readonly facts: PckFacts },
): Promise<CertificateProfile> {
  const role = [signingKeyUsage(), endEntityConstraint(), sgxExtension(sgxEntries(validity.facts))];
  return await profileOf(pck, intermediate, validity, role);
}

export async function tcbSignerProfile(
  signer: Authority,
  root: Authority,
  validity: Validity,
): Promise<CertificateProfile> {
  return await profileOf(signer, root, validity, [signingKeyUsage(), endEntityConstraint()]);
}

async function profileOf(
  subject: Authority,
  issuer: Authority,
  validity: Validity,
  role: readonly CertificateExtension[],
): Promise<CertificateProfile> {
  return {
    subject: subject.name,
    issuer: issuer.name,
    serial: freshSerial(),
    notBeforeMs: validity.notBeforeMs,
    notAfterMs: validity.notAfterMs,
    publicKey: subject.keys.publicKey,
    extensions: [
      await authorityKeyId(issuer.keys.publicKey),
      crlDistributionPoint(CRL_URL),
      await subjectKeyId(subject.keys.publicKey),
      ...role,
    ],
  };
}

export async function crlProfile(
  issuer: Authority,
  times: CrlTimes,
  revoked: readonly RevokedCertificate[] = [],
): Promise<CrlProfile> {
  return {
    issuer: issuer.name,
    thisUpdateMs: times.thisUpdateMs,
    nextUpdateMs: times.nextUpdateMs,
    revoked,
    extensions: [
      crlNumber(Math.floor(times.thisUpdateMs / 1000)),
      await authorityKeyId(issuer.keys.publicKey),
    ],
  };
}
