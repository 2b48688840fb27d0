/**
 * ML-KEM-768 without node:crypto: for browsers, and for a Node whose OpenSSL has none. Spec: FIPS 203.
 * @module
 */

import { ml_kem768 } from '@noble/post-quantum/ml-kem.js';
import { fixed, type Bytes } from './bytes.ts';
import { primitiveError, type KemResult, type MlKemKeyPair } from './primitive-types.ts';

/** `seed` is d‖z (FIPS 203 §7.1). */
export function mlKem768KeyPair(seed: Bytes<64>): MlKemKeyPair {
  const pair = ml_kem768.keygen(seed);
  return {
    publicKey: fixed(pair.publicKey, 1184),
    handle: { kind: 'noble', secretKey: pair.secretKey },
  };
}

/** Throws `primitive.kem` when the key fails the modulus check of FIPS 203 §7.2. */
export function mlKem768Encapsulate(publicKey: Bytes<1184>): KemResult<1088> {
  try {
    const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey);
    return { ciphertext: fixed(cipherText, 1088), sharedSecret: fixed(sharedSecret, 32) };
  } catch (cause) {
    throw primitiveError('primitive.kem', '', { cause });
  }
}

export function mlKem768Decapsulate(pair: MlKemKeyPair, ciphertext: Bytes<1088>): Bytes<32> {
  if (pair.handle.kind !== 'noble') throw primitiveError('primitive.key', 'ml-kem');
  return fixed(ml_kem768.decapsulate(ciphertext, pair.handle.secretKey), 32);
}
