/**
 * Reader for the ATTESTATION_REPORT: 1184 bytes, of which the first 672 are signed. Reading takes the fields apart and
 * judges nothing but the length: what they say is the sender's word until `verifySnp` has judged it.
 * Spec: AMD SEV-SNP Firmware ABI (56860) §7.3, table "ATTESTATION_REPORT"; versions 2 to 5.
 * @module
 */

import { Reader, type Bytes } from '../../core/bytes.ts';
import { snpError } from './errors.ts';
import type { Cpuid } from './products.ts';

export const SNP_REPORT_BYTES = 1184;
const SIGNED_BYTES = 0x2a0;
const VERSION_WITH_CPUID = 3;

export interface FirmwareVersion {
  readonly major: number;
  readonly minor: number;
  readonly build: number;
}

export interface SnpReport {
  readonly version: number;
  readonly guestSvn: number;
  /** POLICY. Bits: guest-policy.ts. */
  readonly guestPolicy: bigint;
  readonly familyId: Bytes<16>;
  readonly imageId: Bytes<16>;
  readonly vmpl: number;
  readonly signatureAlgorithm: number;
  readonly currentTcb: Bytes<8>;
  readonly platformInfo: bigint;
  /** Bit 0 AUTHOR_KEY_EN, bit 1 MASK_CHIP_KEY, bits 2 to 4 SIGNING_KEY. */
  readonly signerInfo: number;
  readonly reportData: Bytes<64>;
  readonly measurement: Bytes<48>;
  readonly hostData: Bytes<32>;
  readonly idKeyDigest: Bytes<48>;
  readonly authorKeyDigest: Bytes<48>;
  readonly reportId: Bytes<32>;
  readonly reportIdMa: Bytes<32>;
  readonly reportedTcb: Bytes<8>;
  /** Version 3 and later. */
  readonly cpuid: Cpuid | undefined;
  readonly chipId: Bytes<64>;
  readonly committedTcb: Bytes<8>;
  readonly currentFirmware: FirmwareVersion;
  readonly committedFirmware: FirmwareVersion;
  readonly launchTcb: Bytes<8>;
  /** Bitmaps of applied mitigations; they mean something from version 5 on. */
  readonly launchMitigations: bigint;
  readonly currentMitigations: bigint;
  /** Little-endian, 48 bytes of value and 24 of padding each. */
  readonly signatureR: Bytes<72>;
  readonly signatureS: Bytes<72>;
  /** Bytes 0 to 0x29F as received: what is signed. */
  readonly signed: Uint8Array;
  /** Names of the reserved ranges that are not zero. */
  readonly nonZero: readonly string[];
}

/** Ranges that must be zero, by the first and last version for which it is so. */
const RESERVED = [
  { name: '0x04C', at: 0x4c, size: 4, from: 0, to: 5 },
  { name: '0x188', at: 0x188, size: 3, from: 0, to: 2 },
  { name: '0x18B', at: 0x18b, size: 21, from: 0, to: 5 },
  { name: '0x1EB', at: 0x1eb, size: 1, from: 0, to: 5 },
  { name: '0x1EF', at: 0x1ef, size: 1, from: 0, to: 5 },
  // Version 4 is described nowhere, so these bytes are free there.
  { name: '0x1F8', at: 0x1f8, size: 16, from: 0, to: 3 },
  { name: '0x208', at: 0x208, size: 152, from: 0, to: 5 },
  // Not signed: without this check one report could be sent in endless forms.
  { name: '0x330', at: 0x330, size: 368, from: 0, to: 5 },
] as const;

/** Throws `snp.report` for another length. `bytes` must not change afterwards. */
export function parseSnpReport(bytes: Uint8Array): SnpReport {
  if (bytes.length !== SNP_REPORT_BYTES) {
    throw snpError('snp.report', `${bytes.length} bytes, want ${SNP_REPORT_BYTES}`);
  }
  const reader = new Reader(bytes, (field) => snpError('snp.report', field));
  const version = reader.u32le('VERSION'); // 0x000
  const guestSvn = reader.u32le('GUEST_SVN'); // 0x004
  const guestPolicy = reader.u64le('POLICY'); // 0x008
  const familyId = reader.bytes(16, 'FAMILY_ID'); // 0x010
  const imageId = reader.bytes(16, 'IMAGE_ID'); // 0x020
  const vmpl = reader.u32le('VMPL'); // 0x030
  const signatureAlgorithm = reader.u32le('SIGNATURE_ALGO'); // 0x034
  const currentTcb = reader.bytes(8, 'CURRENT_TCB'); // 0x038
  const platformInfo = reader.u64le('PLATFORM_INFO'); // 0x040
  const signerInfo = reader.u32le('SIGNER_INFO'); // 0x048
  reader.skip(4, 'reserved'); // 0x04C
  const reportData = reader.bytes(64, 'REPORT_DATA'); // 0x050
  const measurement = reader.bytes(48, 'MEASUREMENT'); // 0x090
  const hostData = reader.bytes(32, 'HOST_DATA'); // 0x0C0
  const idKeyDigest = reader.bytes(48, 'ID_KEY_DIGEST'); // 0x0E0
  const authorKeyDigest = reader.bytes(48, 'AUTHOR_KEY_DIGEST'); // 0x110
  const reportId = reader.bytes(32, 'REPORT_ID'); // 0x140
  const reportIdMa = reader.bytes(32, 'REPORT_ID_MA'); // 0x160
  const reportedTcb = reader.bytes(8, 'REPORTED_TCB'); // 0x180
  const cpuid = readCpuid(reader); // 0x188
  reader.skip(21, 'reserved'); // 0x18B
  const chipId = reader.bytes(64, 'CHIP_ID'); // 0x1A0
  const committedTcb = reader.bytes(8, 'COMMITTED_TCB'); // 0x1E0
  const currentFirmware = readFirmware(reader, 'CURRENT'); // 0x1E8
  const committedFirmware = readFirmware(reader, 'COMMITTED'); // 0x1EC
  const launchTcb = reader.bytes(8, 'LAUNCH_TCB'); // 0x1F0
  const launchMitigations = reader.u64le('LAUNCH_MIT_VECTOR'); // 0x1F8
  const currentMitigations = reader.u64le('CURRENT_MIT_VECTOR'); // 0x200
  reader.skip(SIGNED_BYTES - reader.offset, 'reserved'); // 0x208
  const signatureR = reader.bytes(72, 'signature R'); // 0x2A0
  const signatureS = reader.bytes(72, 'signature S'); // 0x2E8
  return {
    version,
    guestSvn,
    guestPolicy,
    familyId,
    imageId,
    vmpl,
    signatureAlgorithm,
    currentTcb,
    platformInfo,
    signerInfo,
    reportData,
    measurement,
    hostData,
    idKeyDigest,
    authorKeyDigest,
    reportId,
    reportIdMa,
    reportedTcb,
    cpuid: version >= VERSION_WITH_CPUID ? cpuid : undefined,
    chipId,
    committedTcb,
    currentFirmware,
    committedFirmware,
    launchTcb,
    launchMitigations,
    currentMitigations,
    signatureR,
    signatureS,
    signed: bytes.subarray(0, SIGNED_BYTES),
    nonZero: nonZeroRanges(bytes, version),
  };
}

function readCpuid(reader: Reader): Cpuid {
  const family = reader.u8('CPUID_FAM_ID');
  const model = reader.u8('CPUID_MOD_ID');
  return { family, model, stepping: reader.u8('CPUID_STEP') };
}

/** In the order of the report: build, minor, major, and a reserved byte. */
function readFirmware(reader: Reader, what: string): FirmwareVersion {
  const build = reader.u8(`${what}_BUILD`);
  const minor = reader.u8(`${what}_MINOR`);
  const major = reader.u8(`${what}_MAJOR`);
  reader.skip(1, 'reserved');
  return { major, minor, build };
}

function nonZeroRanges(bytes: Uint8Array, version: number): readonly string[] {
  return RESERVED.filter(
    ({ at, size, from, to }) =>
      from <= version && version <= to && !isZeroRange(bytes, at, at + size),
  ).map(({ name }) => name);
}

function isZeroRange(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] !== 0) return false;
  return true;
}
