/** Key handles that both sides of `#primitives` share. @module */

import type { Bytes } from './bytes.ts';
import { defineErrors, type ErrorSpec } from './errors.ts';

const REFUSED: ErrorSpec = {
  status: 400,
  recovery: 'fix_request',
  public: 'A cryptographic value is not valid.',
};

export const primitiveError = defineErrors({
  'primitive.key': REFUSED,
  'primitive.dh': REFUSED,
  'primitive.kem': REFUSED,
});

/** Opaque: the usable key lives in a WeakMap of the implementation that made it. */
export interface P256PublicKey {
  readonly kind: 'p256';
  readonly xy: Bytes<64>;
}

export interface P384PublicKey {
  readonly kind: 'p384';
  readonly xy: Bytes<96>;
}

export interface RsaPublicKey {
  readonly kind: 'rsa';
  /** Big-endian, without leading zeros. */
  readonly modulus: Uint8Array;
}

export interface AeadKey {
  readonly kind: 'aes-256-gcm';
}

/** Ed25519 (seed) or X25519 (scalar). */
export interface KeyPair {
  readonly publicKey: Bytes<32>;
  readonly secretKey: Bytes<32>;
}

export interface MlKemKeyPair {
  readonly publicKey: Bytes<1184>;
  readonly handle:
    | { readonly kind: 'noble'; readonly secretKey: Uint8Array }
    | { readonly kind: 'node'; readonly key: object };
}

export interface KemResult<CiphertextSize extends number> {
  readonly ciphertext: Bytes<CiphertextSize>;
  readonly sharedSecret: Bytes<32>;
}
