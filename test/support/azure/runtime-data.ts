/**
 * The runtime data that a paravisor puts beside its report, as Azure writes it.
 * Spec: Microsoft, "Confidential VM guest attestation design", runtime claims.
 * @module
 */

import { toHex, utf8, type Bytes } from '../../../core/bytes.ts';
import type { TestVtpm } from './vtpm.ts';

export interface RuntimeClaims {
  readonly keys: readonly Readonly<Record<string, unknown>>[];
  readonly 'vm-configuration': Readonly<Record<string, unknown>>;
  readonly 'user-data': string;
}

export function attestationKeyOf({
  modulus,
  exponent,
}: TestVtpm): Readonly<Record<string, unknown>> {
  return { kid: 'HCLAkPub', key_ops: ['sign'], kty: 'RSA', e: exponent, n: modulus };
}

export function runtimeClaims(vtpm: TestVtpm, userData: Bytes<64>): RuntimeClaims {
  return {
    keys: [
      attestationKeyOf(vtpm),
      { kid: 'HCLEkPub', key_ops: ['encrypt'], kty: 'RSA', e: 'AQAB', n: vtpm.modulus },
    ],
    'vm-configuration': {
      'console-enabled': true,
      'secure-boot': true,
      'tpm-enabled': true,
      'tpm-persisted': true,
      vmUniqueId: vtpm.name,
    },
    'user-data': toHex(userData).toUpperCase(),
  };
}

export function runtimeDataOf(
  claims: Readonly<Record<string, unknown>> | RuntimeClaims,
): Uint8Array {
  return utf8(JSON.stringify(claims));
}
