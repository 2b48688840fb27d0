/**
 * What a verifier needs beside a report: AMD's certificates and its revocation list, as bytes from anywhere. Everything
 * here is untrusted until `verifySnp` has judged it. Spec: AMD VCEK Certificate and KDS Interface Specification (57230).
 * @module
 */

/** DER each. What is absent here is taken from the certificate table, then, for the CAs, from the built-in ones. */
export interface SnpEndorsements {
  /** The certificate of the key that signed the report: VCEK or VLEK. */
  readonly vek?: Uint8Array;
  /** ASK or ASVK. */
  readonly intermediate?: Uint8Array;
  /** ARK. Never an anchor by itself: it has to be one of the trusted roots, byte for byte. */
  readonly root?: Uint8Array;
  /** Of the ARK. */
  readonly crl?: Uint8Array;
}
