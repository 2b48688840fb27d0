/**
 * What a verifier demands of an SEV-SNP guest and its machine beyond authenticity. Every member is required: leaving
 * something unchecked is written down with a reason and shows in the verdict as waived.
 * Spec: AMD SEV-SNP Firmware ABI (56860) §7.3; sev-snp module design.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { Unchecked } from '../unchecked.ts';
import type { GuestPolicyBit, PlatformInfoBit, SignerKind } from './bits.ts';
import type { SiliconLine, SnpProductName } from './products.ts';
import type { FirmwareVersion } from './report.ts';
import type { SnpTcbFloor } from './tcb.ts';

export type BitRule = 'require' | 'forbid' | Unchecked;

/** An empty list admits nothing. */
export interface AnyOf<Value> {
  readonly anyOf: readonly Value[];
}

export type TcbFloors = Readonly<Partial<Record<SiliconLine, SnpTcbFloor>>>;

export interface SnpPolicy {
  readonly products: AnyOf<SnpProductName> | Unchecked;
  readonly signers: AnyOf<SignerKind> | Unchecked;
  readonly minReportVersion: number | Unchecked;
  /** A chip key over a report that does not say which chip: proves some chip at that TCB, nothing more. */
  readonly maskedChipId: 'refuse' | Unchecked;
  /** 64 bytes as in the report. VCEK only: a VLEK proves no chip, so a list refuses it. */
  readonly chipIds: AnyOf<Bytes<64>> | Unchecked;
  /** Clouds whose VLEK is accepted, by exact name. Judges VLEKs only. */
  readonly cspIds: AnyOf<string> | Unchecked;
  readonly crl: 'require' | Unchecked;
  readonly vmpls: AnyOf<number> | Unchecked;
  readonly minGuestSvn: number | Unchecked;
  readonly guestPolicy: Readonly<Record<GuestPolicyBit, BitRule>>;
  /** The least ABI that the guest may have asked for at launch. */
  readonly minAbi: { readonly major: number; readonly minor: number } | Unchecked;
  readonly platformInfo: Readonly<Record<PlatformInfoBit, BitRule>>;
  readonly unknownPlatformBits: 'forbid' | Unchecked;
  /** For CURRENT_TCB, COMMITTED_TCB and REPORTED_TCB. A silicon line without an entry is refused. */
  readonly minTcb: { readonly floors: TcbFloors } | Unchecked;
  readonly minLaunchTcb: { readonly floors: TcbFloors } | Unchecked;
  /** For the firmware that runs and the one that cannot be gone back behind. */
  readonly minFirmware: FirmwareVersion | Unchecked;
  /** Firmware that runs but is not committed can still be taken back. */
  readonly provisionalFirmware: 'forbid' | Unchecked;
  /** All bits of the mask are set; reports below version 5 have none. */
  readonly launchMitigations: { readonly mask: bigint } | Unchecked;
  readonly currentMitigations: { readonly mask: bigint } | Unchecked;
  readonly measurements: AnyOf<Bytes<48>> | Unchecked;
  readonly reportData:
    | { readonly equals: Bytes<64> }
    | { readonly startsWith: Uint8Array }
    | Unchecked;
  readonly hostData: { readonly equals: Bytes<32> } | Unchecked;
  readonly familyId: { readonly equals: Bytes<16> } | Unchecked;
  readonly imageId: { readonly equals: Bytes<16> } | Unchecked;
  readonly reportId: { readonly equals: Bytes<32> } | Unchecked;
  readonly reportIdMa: { readonly equals: Bytes<32> } | Unchecked;
  readonly idKeys: AnyOf<Bytes<48>> | Unchecked;
  /** Needs AUTHOR_KEY_EN: without it the digest means nothing. */
  readonly authorKeys: AnyOf<Bytes<48>> | Unchecked;
}

/** What no default can decide. */
export type SnpPolicyChoices = Pick<SnpPolicy, 'reportData' | 'measurements'>;

const BY_DEFAULT: Unchecked = { unchecked: 'not asked for by this policy' };

/** The default rules, each safe on its own, around the two decisions a caller has to make. */
export function baselineSnpPolicy(choices: SnpPolicyChoices): SnpPolicy {
  return {
    products: BY_DEFAULT,
    signers: BY_DEFAULT,
    minReportVersion: BY_DEFAULT,
    maskedChipId: 'refuse',
    chipIds: BY_DEFAULT,
    cspIds: BY_DEFAULT,
    crl: 'require',
    vmpls: { anyOf: [0] },
    minGuestSvn: BY_DEFAULT,
    guestPolicy: {
      smt: BY_DEFAULT,
      migrateMa: 'forbid',
      debug: 'forbid',
      singleSocket: BY_DEFAULT,
      cxlAllow: BY_DEFAULT,
      memAes256Xts: BY_DEFAULT,
      raplDis: BY_DEFAULT,
      ciphertextHidingDram: BY_DEFAULT,
      pageSwapDisable: BY_DEFAULT,
    },
    minAbi: BY_DEFAULT,
    platformInfo: {
      smtEn: BY_DEFAULT,
      tsmeEn: BY_DEFAULT,
      eccEn: BY_DEFAULT,
      raplDis: BY_DEFAULT,
      ciphertextHidingDramEn: BY_DEFAULT,
      aliasCheckComplete: BY_DEFAULT,
      iommuWriteSafe: BY_DEFAULT,
      tioEn: BY_DEFAULT,
    },
    unknownPlatformBits: 'forbid',
    minTcb: BY_DEFAULT,
    minLaunchTcb: BY_DEFAULT,
    minFirmware: BY_DEFAULT,
    provisionalFirmware: BY_DEFAULT,
    launchMitigations: BY_DEFAULT,
    currentMitigations: BY_DEFAULT,
    measurements: choices.measurements,
    reportData: choices.reportData,
    hostData: BY_DEFAULT,
    familyId: BY_DEFAULT,
    imageId: BY_DEFAULT,
    reportId: BY_DEFAULT,
    reportIdMa: BY_DEFAULT,
    idKeys: BY_DEFAULT,
    authorKeys: BY_DEFAULT,
  };
}
