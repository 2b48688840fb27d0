/** Bounds of certificates and revocation lists. @module */

export const CERTIFICATE_MAX_BYTES = 64 * 1024;
export const CRL_MAX_BYTES = 8 * 1024 * 1024;
export const CRL_MAX_ENTRIES = 100_000;
