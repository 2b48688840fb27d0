/**
 * Ed25519 signatures that a signer makes on purpose so that verifiers disagree: key and R carry a part of small order, which
 * whoever multiplies by the cofactor does not see. Spec: RFC 8032 §5.1.7; ton-settlement §3.4.
 * @module
 */

import { ed25519 } from '@noble/curves/ed25519.js';
import { sha512 } from '#primitives';
import { concat, fixed, type Bytes } from '../../core/bytes.ts';
import { littleEndian, SMALL_ORDER_KEYS } from './payer-keys.ts';

const { Point } = ed25519;
const ORDER = Point.Fn.ORDER;

export interface TorsionSigner {
  readonly publicKey: Bytes<32>;
  readonly sign: (message: Uint8Array) => Bytes<64>;
}

export interface TorsionInput {
  readonly secret: bigint;
  readonly nonce: bigint;
  /** Multiples of a point of order 8; 0: none. */
  readonly inKey: number;
  readonly inR: number;
}

function torsion(times: number): typeof Point.BASE {
  const key = SMALL_ORDER_KEYS[times];
  if (key === undefined) throw new Error('0 to 7 times');
  return Point.fromBytes(key, false);
}

function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

export function torsionSigner({ secret, nonce, inKey, inR }: TorsionInput): TorsionSigner {
  const point = Point.BASE.multiply(secret).add(torsion(inKey));
  const publicKey = fixed(point.toBytes(), 32);
  const r = fixed(Point.BASE.multiply(nonce).add(torsion(inR)).toBytes(), 32);
  return {
    publicKey,
    sign: (message) => {
      const h = numberOf(sha512(concat(r, publicKey, message))) % ORDER;
      return fixed(concat(r, littleEndian((nonce + h * secret) % ORDER)), 64);
    },
  };
}
