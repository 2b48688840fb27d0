/**
 * SEV_FEATURES of a guest: which parts of SEV-SNP its monitor switched on. They stand in every save area, so they are
 * measured. Plain SEV-SNP is 0x1; host kernels that switch DebugSwap on by themselves (some from Linux 6.6 on) make it 0x21.
 * Spec: AMD APM vol. 2 (24593), appendix B, table B-4, SEV_FEATURES at 0x3B0.
 * @module
 */

import { measureError } from './errors.ts';

const SNP_ACTIVE = 1n;
const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** Throws `measure.guest_features`: without SNPActive there is no SEV-SNP guest. */
export function checkGuestFeatures(features: bigint): bigint {
  if (features >= 0n && features <= U64_MAX && (features & SNP_ACTIVE) !== 0n) return features;
  throw measureError('measure.guest_features', 'want a 64-bit mask with bit 0 (SNPActive) set');
}

/** Hex with `0x`. Throws `measure.guest_features`. */
export function decodeGuestFeatures(text: string): bigint {
  if (/^0x[0-9a-f]{1,16}$/i.test(text)) return checkGuestFeatures(BigInt(text));
  throw measureError('measure.guest_features', 'want a mask in hex, such as 0x1 or 0x21');
}
