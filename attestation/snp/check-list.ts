/** The complete list of SEV-SNP checks. @module */

import { CheckSheet } from '../check-sheet.ts';
import { GUEST_POLICY_BITS, PLATFORM_INFO_BITS } from './bits.ts';
import type { GuestPolicyBit, PlatformInfoBit } from './bits.ts';

/** The leaf and its chain, apart from revocation: also asked of every leaf that is fetched. */
export const SNP_CHAIN_CHECKS = [
  /** There is a certificate of the signing key. */
  'vek.present',
  'vek.format',
  'intermediate.format',
  'root.format',
  /** The root is one of the trusted ones, byte for byte. */
  'chain.root',
  /** Names chain byte for byte and are those of AMD's hierarchy. */
  'chain.names',
  /** RSASSA-PSS with SHA-384 and keys of 4096 bits; P-384 in the leaf. */
  'chain.algorithms',
  'chain.signatures',
  /** CAs may sign certificates and the leaf is none; no critical extension that nobody understands. */
  'chain.constraints',
  'chain.notBefore',
  'chain.notAfter',
  'vek.extensions',
] as const;

/** Authenticity, in the order of the report. Ids are API. */
export const SNP_AUTHENTICITY_CHECKS = [
  /** Azure's blob around the report; without one there is nothing to break. */
  'hcl.format',
  /** The host's certificate table; without one there is nothing to break. */
  'certTable.format',
  'report.length',
  'report.version',
  'report.signatureAlgorithm',
  /** POLICY: bit 17 set, bits 26 to 63 clear. */
  'report.guestPolicy',
  /** SIGNER_INFO: bits 5 to 31 clear, SIGNING_KEY not a reserved value. */
  'report.signerInfo',
  /** SIGNING_KEY is not "none". */
  'report.signed',
  /** 0 to 3; the host's own reports say 0xFFFFFFFF. */
  'report.vmpl',
  'report.cpuid',
  'report.reserved',
  /** Upper 24 bytes of r and s are zero: they are not signed, so nothing else would hold them. */
  'report.signatureEncoding',
  'hcl.runtimeData',
  ...SNP_CHAIN_CHECKS,
  'crl.present',
  'crl.format',
  'crl.issuer',
  'crl.signature',
  'crl.freshness',
  'chain.revoked',
  /** VCEK or VLEK, as SIGNING_KEY says. */
  'bind.signerKind',
  /** CPUID, leaf and chain are of one product. */
  'bind.product',
  /** REPORTED_TCB is the TCB that the key was derived for. */
  'bind.tcb',
  /** REPORTED_TCB is not above CURRENT_TCB. */
  'bind.tcbOrder',
  'bind.chipId',
  'report.signature',
] as const;

type GuestPolicyCheck = `policy.guestPolicy.${GuestPolicyBit}`;
type PlatformInfoCheck = `policy.platformInfo.${PlatformInfoBit | 'unknownBits'}`;

function isGuestPolicyBit(name: string): name is GuestPolicyBit {
  return Object.hasOwn(GUEST_POLICY_BITS, name);
}

function isPlatformInfoBit(name: string): name is PlatformInfoBit {
  return Object.hasOwn(PLATFORM_INFO_BITS, name);
}

export const GUEST_POLICY_CHECKS: readonly {
  readonly name: GuestPolicyBit;
  readonly id: GuestPolicyCheck;
}[] = Object.keys(GUEST_POLICY_BITS)
  .filter(isGuestPolicyBit)
  .map((name) => ({ name, id: `policy.guestPolicy.${name}` }));

export const PLATFORM_INFO_CHECKS: readonly {
  readonly name: PlatformInfoBit;
  readonly id: PlatformInfoCheck;
}[] = Object.keys(PLATFORM_INFO_BITS)
  .filter(isPlatformInfoBit)
  .map((name) => ({ name, id: `policy.platformInfo.${name}` }));

/** Policy on a guest whose authenticity is settled above. */
export const SNP_POLICY_CHECKS = [
  'policy.product',
  'policy.signer',
  'policy.reportVersion',
  'policy.maskedChipId',
  'policy.chipId',
  'policy.cspId',
  'policy.vmpl',
  'policy.guestSvn',
  ...GUEST_POLICY_CHECKS.map(({ id }) => id),
  'policy.abi',
  ...PLATFORM_INFO_CHECKS.map(({ id }) => id),
  'policy.platformInfo.unknownBits',
  /** The policy has a floor for this silicon line. */
  'policy.tcbFloor',
  /** CURRENT_TCB, COMMITTED_TCB and REPORTED_TCB reach it. */
  'policy.tcbMinimum',
  'policy.launchTcb',
  'policy.firmware',
  'policy.provisionalFirmware',
  'policy.mitigations.launch',
  'policy.mitigations.current',
  'policy.measurement',
  'policy.reportData',
  'policy.hostData',
  'policy.familyId',
  'policy.imageId',
  'policy.reportId',
  'policy.reportIdMa',
  'policy.idKey',
  'policy.authorKey',
] as const;

export const SNP_CHECK_IDS = [...SNP_AUTHENTICITY_CHECKS, ...SNP_POLICY_CHECKS] as const;
export type SnpCheckId = (typeof SNP_CHECK_IDS)[number];
export type SnpCheckSheet = CheckSheet<SnpCheckId>;

export function snpCheckSheet(): SnpCheckSheet {
  return new CheckSheet(SNP_CHECK_IDS);
}
