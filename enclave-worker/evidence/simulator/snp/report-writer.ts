/**
 * Writes SEV-SNP attestation reports byte by byte, versions 2 to 5. It checks nothing, so that tests can write reports
 * no firmware would make. All integers are little-endian, those of the signature too.
 * Spec: AMD SEV-SNP Firmware ABI Specification (56860), "ATTESTATION_REPORT", "TCB_VERSION"; sev-snp.md §1.
 * @module
 */

import { signP384 } from '../../../../attestation/x509-keys.ts';
import { concat, type Bytes } from '../../../../core/bytes.ts';
import { u32le } from '../quote-writer.ts';

/** ECDSA P-384 with SHA-384. */
export const ECDSA_P384_SHA384 = 1;
/** SIGNER_INFO with this SIGNING_KEY and every other bit clear. */
export const SIGNER_INFO = { vcek: 0 << 2, vlek: 1 << 2 } as const;
/** The part of a report that is signed. */
export const SIGNED_BYTES = 0x2a0;
export const REPORT_BYTES = 0x4a0;

/** With `fmc` it is written in the layout of Turin, without in that of Milan and Genoa. */
export interface Tcb {
  readonly fmc?: number;
  readonly bootloader: number;
  readonly tee: number;
  readonly snp: number;
  readonly microcode: number;
}

export interface FirmwareVersion {
  readonly major: number;
  readonly minor: number;
  readonly build: number;
}

/** CPUID family (combined), model (combined) and stepping. */
export interface Cpuid {
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
}

/** Every field of the signed part, in its order. */
export interface ReportFields {
  readonly version: number;
  readonly guestSvn: number;
  readonly policy: bigint;
  readonly familyId: Bytes<16>;
  readonly imageId: Bytes<16>;
  readonly vmpl: number;
  readonly signatureAlgorithm: number;
  readonly currentTcb: Tcb;
  readonly platformInfo: bigint;
  readonly signerInfo: number;
  readonly reportData: Bytes<64>;
  readonly measurement: Bytes<48>;
  readonly hostData: Bytes<32>;
  readonly idKeyDigest: Bytes<48>;
  readonly authorKeyDigest: Bytes<48>;
  readonly reportId: Bytes<32>;
  readonly reportIdMa: Bytes<32>;
  readonly reportedTcb: Tcb;
  /** Absent: zero, as in version 2. */
  readonly cpuid?: Cpuid;
  readonly chipId: Bytes<64>;
  readonly committedTcb: Tcb;
  readonly currentFirmware: FirmwareVersion;
  readonly committedFirmware: FirmwareVersion;
  readonly launchTcb: Tcb;
  /** Absent: zero, as before version 5. */
  readonly launchMitigations?: bigint;
  readonly currentMitigations?: bigint;
}

/** The signed part: 672 bytes. */
export function writeReport(report: ReportFields): Uint8Array {
  return concat(
    u32le(report.version), // 000
    u32le(report.guestSvn), // 004
    u64le(report.policy), // 008
    report.familyId, // 010
    report.imageId, // 020
    u32le(report.vmpl), // 030
    u32le(report.signatureAlgorithm), // 034
    writeTcb(report.currentTcb), // 038
    u64le(report.platformInfo), // 040
    u32le(report.signerInfo), // 048
    new Uint8Array(4), // 04C
    report.reportData, // 050
    report.measurement, // 090
    report.hostData, // 0C0
    report.idKeyDigest, // 0E0
    report.authorKeyDigest, // 110
    report.reportId, // 140
    report.reportIdMa, // 160
    writeTcb(report.reportedTcb), // 180
    writeCpuid(report.cpuid), // 188
    new Uint8Array(21), // 18B
    report.chipId, // 1A0
    writeTcb(report.committedTcb), // 1E0
    writeFirmware(report.currentFirmware), // 1E8
    writeFirmware(report.committedFirmware), // 1EC
    writeTcb(report.launchTcb), // 1F0
    u64le(report.launchMitigations ?? 0n), // 1F8
    u64le(report.currentMitigations ?? 0n), // 200
    new Uint8Array(152), // 208
  );
}

/** TCB_VERSION. */
export function writeTcb({ fmc, bootloader, tee, snp, microcode }: Tcb): Uint8Array {
  return fmc === undefined
    ? Uint8Array.of(bootloader, tee, 0, 0, 0, 0, snp, microcode)
    : Uint8Array.of(fmc, bootloader, tee, snp, 0, 0, 0, microcode);
}

function writeCpuid(cpuid: Cpuid | undefined): Uint8Array {
  if (cpuid === undefined) return new Uint8Array(3);
  return Uint8Array.of(cpuid.family, cpuid.model, cpuid.stepping);
}

/** Build, minor, major, reserved. */
function writeFirmware({ major, minor, build }: FirmwareVersion): Uint8Array {
  return Uint8Array.of(build, minor, major, 0);
}

const HALF_BYTES = 48;
const HALF_PADDING = 24;
const SIGNATURE_RESERVED = 368;

/** r ‖ s, big-endian, as the report carries it: 512 bytes to the end. */
export function writeSignature(rs: Uint8Array): Uint8Array {
  return concat(
    rs.slice(0, HALF_BYTES).reverse(), // 2A0
    new Uint8Array(HALF_PADDING),
    rs.slice(HALF_BYTES).reverse(), // 2E8
    new Uint8Array(HALF_PADDING),
    new Uint8Array(SIGNATURE_RESERVED), // 330
  );
}

/** `signed` is what `writeReport` gave, or what a test made of it. */
export async function signReport(privateKey: CryptoKey, signed: Uint8Array): Promise<Uint8Array> {
  return concat(signed, writeSignature(await signP384(privateKey, signed)));
}

export function u64le(value: bigint): Uint8Array {
  return concat(u32le(Number(value & 0xffff_ffffn)), u32le(Number((value >> 32n) & 0xffff_ffffn)));
}
