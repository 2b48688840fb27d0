/** What ties two certificates of a chain together, and a certificate to an instant. Spec: RFC 5280 §6.1. @module */

import { equalPublic } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import type { Certificate } from './certificate.ts';

/** Why `issuer` did not issue `subject`; undefined when it did. Names compare byte for byte. */
export function linkFault(
  subject: Certificate,
  issuer: Certificate,
  what: string,
): string | undefined {
  if (!namesIssuer(subject, issuer)) return `the ${what} names another issuer`;
  if (!isIssuedBy(subject, issuer)) return `the ${what} is not signed by its issuer`;
  return undefined;
}

export function namesIssuer(subject: Certificate, issuer: Certificate): boolean {
  return equalPublic(subject.issuer, issuer.subject);
}

/** By signature alone. */
export function isIssuedBy(subject: Certificate, issuer: Certificate): boolean {
  return subject.signed?.isSignedBy(issuer.publicKey) ?? false;
}

/** Both bounds belong to the validity. RFC 5280 §4.1.2.5. */
export function isValidAt(certificate: Certificate, nowMs: number): boolean {
  return certificate.notBeforeMs <= nowMs && nowMs <= certificate.notAfterMs;
}

export function validityText(certificate: Certificate): string {
  return `${formatInstant(certificate.notBeforeMs)} to ${formatInstant(certificate.notAfterMs)}`;
}
