/** Certificates and lists as people have them: DER, or DER inside PEM. @module */

import { decodePemBlock, splitPem, type PemLabel } from '../attestation/pem.ts';
import { fromUtf8 } from '../core/bytes.ts';

const ASCII_DASH = 0x2d;

/** Each block of a PEM file, in its order; the bytes themselves where they are no PEM. Throws `pem.*`, `bytes.utf8`. */
export function derBlocksOf(bytes: Uint8Array, label: PemLabel): readonly Uint8Array[] {
  if (bytes[0] !== ASCII_DASH) return [bytes];
  return splitPem(fromUtf8(bytes), label).map(decodePemBlock);
}

/** The first. */
export function derOf(bytes: Uint8Array, label: PemLabel): Uint8Array {
  return derBlocksOf(bytes, label)[0] ?? bytes;
}
