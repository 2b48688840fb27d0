/**
 * ML-KEM-768 on node:crypto where its OpenSSL has it (Node 24.7 with OpenSSL 3.5); an older Node, which an app may bring,
 * gets the portable one. Spec: FIPS 203; RFC 9935 §4 and §6.
 * @module
 */

import * as nodeCrypto from 'node:crypto';
import { fixed, fromHex, type Bytes } from '../bytes.ts';
import * as portable from '../ml-kem.ts';
import { primitiveError, type KemResult, type MlKemKeyPair } from '../primitive-types.ts';
import { plain, publicKeyObject, rawPublicKey, secretKeyObject } from './raw-keys.ts';

const ML_KEM_768 = {
  pkcs8: fromHex('3054020100300b060960864801650304040204428040'),
  spki: fromHex('308204b2300b0609608648016503040402038204a100'),
};

function keyPair(seed: Bytes<64>): MlKemKeyPair {
  const key = secretKeyObject(ML_KEM_768, seed);
  return {
    publicKey: fixed(rawPublicKey(nodeCrypto.createPublicKey(key), 1184), 1184),
    handle: { kind: 'node', key },
  };
}

function encapsulate(publicKey: Bytes<1184>): KemResult<1088> {
  try {
    const { ciphertext, sharedKey } = nodeCrypto.encapsulate(
      publicKeyObject(ML_KEM_768, publicKey),
    );
    return {
      ciphertext: fixed(plain(ciphertext), 1088),
      sharedSecret: fixed(plain(sharedKey), 32),
    };
  } catch (cause) {
    throw primitiveError('primitive.kem', '', { cause });
  }
}

function decapsulate(pair: MlKemKeyPair, ciphertext: Bytes<1088>): Bytes<32> {
  const { handle } = pair;
  if (handle.kind !== 'node' || !(handle.key instanceof nodeCrypto.KeyObject)) {
    throw primitiveError('primitive.key', 'ml-kem');
  }
  return fixed(plain(nodeCrypto.decapsulate(handle.key, ciphertext)), 32);
}

/** Node 24.0 to 24.6 has neither; some distributions link a newer Node to an older OpenSSL. */
function hasMlKem(): boolean {
  if (!('encapsulate' in nodeCrypto)) return false;
  try {
    keyPair(fixed(new Uint8Array(64), 64));
    return true;
  } catch {
    // OpenSSL before 3.5 knows no such key: an answer.
    return false;
  }
}

const NATIVE = { keyPair, encapsulate, decapsulate };
const PORTABLE = {
  keyPair: portable.mlKem768KeyPair,
  encapsulate: portable.mlKem768Encapsulate,
  decapsulate: portable.mlKem768Decapsulate,
};
const SIDE = hasMlKem() ? NATIVE : PORTABLE;

export const mlKem768KeyPair: typeof portable.mlKem768KeyPair = SIDE.keyPair;
export const mlKem768Encapsulate: typeof portable.mlKem768Encapsulate = SIDE.encapsulate;
export const mlKem768Decapsulate: typeof portable.mlKem768Decapsulate = SIDE.decapsulate;
