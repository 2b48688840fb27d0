/**
 * The simulated SNP machine: which processor and firmware it claims to be. The versions are those that patched machines
 * of the kind report, so that a policy with sane floors accepts it.
 * Spec: sev-snp.md §1, §4.
 * @module
 */

import { sha512 } from '#primitives';
import { ascii, fixed, type Bytes } from '../../../../core/bytes.ts';
import type { AmdProduct } from './hierarchy.ts';
import { ECDSA_P384_SHA384, SIGNER_INFO, type ReportFields, type Tcb } from './report-writer.ts';

export const MACHINE_PRODUCT: AmdProduct = 'Genoa';

/** It stands in the stored certificate too: whoever changes it gives the folder of pki-store.ts a new name. */
export const MACHINE_TCB: Tcb = { bootloader: 10, tee: 0, snp: 23, microcode: 84 };

const REPORT_VERSION = 5;
const CPUID = { family: 0x19, model: 0x11, stepping: 1 };
const FIRMWARE = { major: 1, minor: 55, build: 40 };
/** Bit 17 is always set; bit 16 allows SMT. Debug and migration stay off. */
const GUEST_POLICY = 0x3_0000n;
/** SMT_EN, ECC_EN, ALIAS_CHECK_COMPLETE. */
const PLATFORM_INFO = 0x25n;
/** What real machines of the kind report. */
const MITIGATIONS = 0x0bn;

/** Follows from the key, so that certificate and report agree without a file of their own. */
export function machineChipId(vcekSpki: Uint8Array): Bytes<64> {
  return sha512(ascii('veilgate development chip/1 '), vcekSpki);
}

/** What one start of one guest measures and is known by. */
export interface Guest {
  readonly measurement: Bytes<48>;
  readonly hostData: Bytes<32>;
  readonly idKeyDigest: Bytes<48>;
  /** Random at every start. */
  readonly reportId: Bytes<32>;
}

/** A production guest at the highest privilege level, on a machine with its patches in place. */
export function machineReport(
  chipId: Bytes<64>,
  guest: Guest,
  reportData: Bytes<64>,
): ReportFields {
  return {
    version: REPORT_VERSION,
    guestSvn: 0,
    policy: GUEST_POLICY,
    familyId: fixed(new Uint8Array(16), 16),
    imageId: fixed(new Uint8Array(16), 16),
    vmpl: 0,
    signatureAlgorithm: ECDSA_P384_SHA384,
    currentTcb: MACHINE_TCB,
    platformInfo: PLATFORM_INFO,
    signerInfo: SIGNER_INFO.vcek,
    reportData,
    measurement: guest.measurement,
    hostData: guest.hostData,
    idKeyDigest: guest.idKeyDigest,
    authorKeyDigest: fixed(new Uint8Array(48), 48),
    reportId: guest.reportId,
    // No migration agent.
    reportIdMa: fixed(new Uint8Array(32).fill(0xff), 32),
    reportedTcb: MACHINE_TCB,
    cpuid: CPUID,
    chipId,
    committedTcb: MACHINE_TCB,
    currentFirmware: FIRMWARE,
    committedFirmware: FIRMWARE,
    launchTcb: MACHINE_TCB,
    launchMitigations: MITIGATIONS,
    currentMitigations: MITIGATIONS,
  };
}
