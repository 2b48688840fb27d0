/**
 * What a verifier needs beside a TDX quote: Intel-signed documents, certificate chains and revocation lists, as
 * bytes from anywhere. Everything here is untrusted until `verifyTdx` has judged it.
 * Spec: Intel SGX and TDX Provisioning Certification Service API v4, "Get TCB Info", "Get TD QE Identity",
 * "Get Revocation List".
 * @module
 */

export interface TdxCollateral {
  /** Complete response body: `{"tcbInfo":{…},"signature":"…"}`. */
  readonly tcbInfo: Uint8Array;
  /** Complete response body: `{"enclaveIdentity":{…},"signature":"…"}`. */
  readonly qeIdentity: Uint8Array;
  /** PEM, signer first, root last. */
  readonly tcbInfoIssuerChain: string;
  /** PEM, signer first, root last. */
  readonly qeIdentityIssuerChain: string;
  /**
   * PEM, as the service delivers it. Nothing is decided by it: the list must be signed by the intermediate of the
   * PCK chain itself, so a foreign chain here cannot bring its own revocation list.
   */
  readonly pckCrlIssuerChain: string;
  /** DER. */
  readonly pckCrl: Uint8Array;
  /** DER. */
  readonly rootCaCrl: Uint8Array;
  /** PEM, leaf first; read only when the quote does not carry a chain (certification data type other than 5). */
  readonly pckCertChain?: string;
}
