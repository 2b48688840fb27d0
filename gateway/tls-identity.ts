/**
 * The certificate and key that the HTTPS listener shows, and the digest of its key that the gateway's document names.
 * @module
 */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { sha256 } from '#primitives';
import type { Bytes } from '../core/bytes.ts';
import { gatewayError } from './errors.ts';

export interface TlsIdentity {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly spkiSha256: Bytes<32>;
  readonly expiresMs: number;
}

/** Of the first certificate in the text. */
export function certificateSpki(certificatePem: string, privateKeyPem: string): TlsIdentity {
  const certificate = new X509Certificate(certificatePem);
  const spki = certificate.publicKey.export({ format: 'der', type: 'spki' });
  return {
    certificatePem,
    privateKeyPem,
    spkiSha256: sha256(spki),
    expiresMs: certificate.validToDate.getTime(),
  };
}

/** Of two files each may be of another start. Throws for a key that cannot be read. */
export function isPair({ certificatePem, privateKeyPem }: TlsIdentity): boolean {
  return new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(privateKeyPem));
}

/** Undefined when one of the files is not there. Throws `gateway.config` when they cannot be used. */
export function readCertificate(certificatePath: string, keyPath: string): TlsIdentity | undefined {
  try {
    return certificateSpki(readFileSync(certificatePath, 'utf8'), readFileSync(keyPath, 'utf8'));
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw gatewayError('gateway.config', 'TLS certificate or key', { cause });
  }
}
