/** Ed25519 keys of small order, made and not copied: eight times any point of that group is neutral. @module */

import { ed25519 } from '@noble/curves/ed25519.js';
import { fixed, type Bytes } from '../../core/bytes.ts';

export function littleEndian(value: bigint): Bytes<32> {
  const out = new Uint8Array(32);
  for (let at = 0; at < 32; at++) out[at] = Number((value >> BigInt(8 * at)) & 0xffn);
  return fixed(out, 32);
}

/** A point of order 8: of any point, what is left when its prime part is multiplied away. */
function torsionGenerator(): typeof ed25519.Point.BASE {
  const order = ed25519.Point.Fn.ORDER;
  for (let y = 2n; ; y++) {
    try {
      const point = ed25519.Point.fromBytes(littleEndian(y), false);
      const rest = point.multiplyUnsafe(order - 1n).add(point);
      if (!rest.double().double().is0()) return rest;
    } catch {
      // Not a point: the next one.
    }
  }
}

export const SMALL_ORDER_KEYS: readonly Bytes<32>[] = Array.from({ length: 8 }, (_, times) => {
  let point = ed25519.Point.ZERO;
  for (let i = 0; i < times; i++) point = point.add(torsionGenerator());
  return fixed(point.toBytes(), 32);
});
