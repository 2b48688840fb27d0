/**
 * The bits of POLICY, PLATFORM_INFO and SIGNER_INFO.
 * Spec: AMD SEV-SNP Firmware ABI (56860) tables "Guest Policy", "PLATFORM_INFO", "ATTESTATION_REPORT".
 * @module
 */

/** POLICY: what the guest's owner demanded of the machine at launch. Fixed then, and enforced by the firmware. */
export const GUEST_POLICY_BITS = {
  smt: 16,
  migrateMa: 18,
  debug: 19,
  singleSocket: 20,
  cxlAllow: 21,
  memAes256Xts: 22,
  raplDis: 23,
  ciphertextHidingDram: 24,
  pageSwapDisable: 25,
} as const;
export type GuestPolicyBit = keyof typeof GUEST_POLICY_BITS;

/** PLATFORM_INFO: what the machine is like. */
export const PLATFORM_INFO_BITS = {
  smtEn: 0,
  tsmeEn: 1,
  eccEn: 2,
  raplDis: 3,
  ciphertextHidingDramEn: 4,
  aliasCheckComplete: 5,
  iommuWriteSafe: 6,
  tioEn: 7,
} as const;
export type PlatformInfoBit = keyof typeof PLATFORM_INFO_BITS;

const MUST_BE_ONE = 17n;
const POLICY_MUST_BE_ZERO_FROM = 26n;
const PLATFORM_UNKNOWN_FROM = 8n;

export function hasBit(value: bigint, bit: number): boolean {
  return ((value >> BigInt(bit)) & 1n) === 1n;
}

/** Bit 17 set, bits 26 to 63 clear. */
export function isGuestPolicyWellFormed(policy: bigint): boolean {
  return ((policy >> MUST_BE_ONE) & 1n) === 1n && policy >> POLICY_MUST_BE_ZERO_FROM === 0n;
}

/** Bits that nobody has explained to us. */
export function unknownPlatformBits(platformInfo: bigint): bigint {
  return (platformInfo >> PLATFORM_UNKNOWN_FROM) << PLATFORM_UNKNOWN_FROM;
}

/** The lowest firmware ABI that the guest accepts. */
export function guestAbi(policy: bigint): { readonly major: number; readonly minor: number } {
  return { major: Number((policy >> 8n) & 0xffn), minor: Number(policy & 0xffn) };
}

export type SignerKind = 'vcek' | 'vlek';

/** SIGNING_KEY: 0 VCEK, 1 VLEK, 7 none; others are reserved. */
export function signingKeyOf(signerInfo: number): SignerKind | 'none' | 'reserved' {
  const key = (signerInfo >>> 2) & 0x7;
  if (key === 0) return 'vcek';
  if (key === 1) return 'vlek';
  return key === 7 ? 'none' : 'reserved';
}

/** Bits 5 to 31. */
export function isSignerInfoReservedZero(signerInfo: number): boolean {
  return signerInfo >>> 5 === 0;
}

export function hasAuthorKey(signerInfo: number): boolean {
  return (signerInfo & 0x1) !== 0;
}

export function hasMaskedChipKey(signerInfo: number): boolean {
  return (signerInfo & 0x2) !== 0;
}
