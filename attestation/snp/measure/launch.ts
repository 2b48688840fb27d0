/**
 * The MEASUREMENT of a SEV-SNP guest, computed from what it is started with. Nothing here is evidence: it says what a
 * report of such a guest will carry, for whoever writes that into a policy.
 *
 * Not covered: guests started from an IGVM file or through an SVSM, and pages that a monitor adds on its own.
 * Spec: AMD 56860 (SEV-SNP firmware ABI), SNP_LAUNCH_UPDATE; order of pages as in the monitors of vmms.ts.
 * @module
 */

import { sha384 } from '#primitives';
import { fixed, fromHex, type Bytes } from '../../../core/bytes.ts';
import { measureError } from './errors.ts';
import { checkGuestFeatures } from './guest-features.ts';
import { kernelHashesPage, type KernelHashes } from './kernel-hashes.ts';
import { VCPUS_MAX } from './limits.ts';
import { parseOvmf, type Ovmf, type OvmfSection, type SectionKind } from './ovmf.ts';
import {
  EMPTY_LAUNCH,
  extendWithBarePages,
  extendWithNormalPages,
  extendWithVmsa,
  type BarePageType,
  type LaunchDigest,
} from './page-info.ts';
import { findSnpVmm, type SnpVmm, type SnpVmmName } from './vmms.ts';
import { saveArea } from './vmsa.ts';

export interface SnpImage {
  /** The OVMF image, as given to the monitor. */
  readonly firmware: Uint8Array;
  /**
   * What the pages of the firmware come to, where it is known: then `firmware` gives the metadata only, and its pages
   * are not looked at. Whoever passes this answers for both belonging together.
   */
  readonly firmwareDigest?: Bytes<48>;
  /** Of a kernel that the monitor boots directly with its hashes in the launch. */
  readonly kernelHashes?: KernelHashes;
  readonly vmm: SnpVmmName;
}

export interface SnpMachine {
  /** 1 to 4096. */
  readonly vcpus: number;
  /** CPUID Fn0000_0001 EAX of the virtual CPU, 32 bits. QEMU alone lets it into the digest. */
  readonly cpuSignature: number;
  /** SEV_FEATURES, 64 bits with bit 0 set. */
  readonly guestFeatures: bigint;
}

/** An image up to its vCPUs: what machines of every shape share. Made by `prepareSnpImage` only. */
export interface PreparedSnpImage {
  readonly vmm: SnpVmm;
  readonly apResetAddress: number;
  readonly digest: LaunchDigest;
  /** After the firmware's own pages; what `firmwareDigest` takes. */
  readonly firmwareDigest: LaunchDigest;
}

/**
 * The 48 bytes that a report of this guest carries as MEASUREMENT. Throws `measure.*`: for the image what
 * `prepareSnpImage` throws, for the machine what `measureSnpMachine` throws.
 */
export function measureSnpLaunch(image: SnpImage, machine: SnpMachine): Bytes<48> {
  return measureSnpMachine(prepareSnpImage(image), machine);
}

/**
 * Throws `measure.firmware_size`, `.firmware_table`, `.reset_vector`, `.metadata`, `.section`, `.kernel_hashes`,
 * `.vmm`.
 */
export function prepareSnpImage(image: SnpImage): PreparedSnpImage {
  const vmm = findSnpVmm(image.vmm);
  const ovmf = parseOvmf(image.firmware);
  const firmwareDigest = image.firmwareDigest ?? firmwarePages(ovmf);
  return {
    vmm,
    apResetAddress: ovmf.apResetAddress,
    firmwareDigest,
    digest: metadataPages(firmwareDigest, ovmf, vmm, image.kernelHashes),
  };
}

/** Throws `measure.vcpus`, `.cpu_model`, `.guest_features`. */
export function measureSnpMachine(image: PreparedSnpImage, machine: SnpMachine): Bytes<48> {
  const { vcpus, cpuSignature } = machine;
  if (!Number.isInteger(vcpus) || vcpus < 1 || vcpus > VCPUS_MAX) {
    throw measureError('measure.vcpus', `want 1 to ${VCPUS_MAX}`);
  }
  if (!Number.isInteger(cpuSignature) || cpuSignature < 0 || cpuSignature > 0xffff_ffff) {
    throw measureError('measure.cpu_model', 'a CPUID signature has 32 bits');
  }
  const guestFeatures = checkGuestFeatures(machine.guestFeatures);
  const state = { vmm: image.vmm, cpuSignature, guestFeatures };
  const first = sha384(saveArea({ ...state, start: 'reset-vector' }));
  let digest = extendWithVmsa(image.digest, first);
  // All further vCPUs start alike: one save area, hashed once.
  const further = sha384(saveArea({ ...state, start: { address: image.apResetAddress } }));
  for (let vcpu = 1; vcpu < vcpus; vcpu++) digest = extendWithVmsa(digest, further);
  return digest;
}

/** 96 hex digits. Throws `measure.firmware_digest`. */
export function decodeFirmwareDigest(text: string): Bytes<48> {
  if (/^[0-9a-f]{96}$/i.test(text)) return fixed(fromHex(text), 48);
  throw measureError('measure.firmware_digest', 'want 96 hex digits');
}

function firmwarePages({ gpa, bytes }: Ovmf): LaunchDigest {
  return extendWithNormalPages(EMPTY_LAUNCH, gpa, bytes);
}

function metadataPages(
  start: LaunchDigest,
  ovmf: Ovmf,
  vmm: SnpVmm,
  hashes: KernelHashes | undefined,
): LaunchDigest {
  const { sections } = ovmf;
  if (hashes !== undefined && !sections.some(({ kind }) => kind === 'kernel-hashes')) {
    throw measureError(
      'measure.kernel_hashes',
      'this firmware has no page for kernel hashes: take one that is built for measured direct boot (edk2 OvmfPkg/AmdSev, Debian ovmf-amdsev)',
    );
  }
  let digest = start;
  for (const section of inLaunchOrder(sections, vmm)) {
    const { kind, gpa, sizeBytes } = section;
    digest =
      kind === 'kernel-hashes' && hashes !== undefined
        ? extendWithNormalPages(digest, gpa, kernelHashesPage(ovmf, section, hashes))
        : extendWithBarePages(digest, barePageType(kind, vmm), gpa, sizeBytes);
  }
  return digest;
}

function inLaunchOrder(sections: readonly OvmfSection[], vmm: SnpVmm): readonly OvmfSection[] {
  if (vmm.cpuidPage === 'in-order') return sections;
  const isCpuid = ({ kind }: OvmfSection): boolean => kind === 'cpuid';
  return [...sections.filter((section) => !isCpuid(section)), ...sections.filter(isCpuid)];
}

const BARE_PAGES = {
  secrets: 'secrets',
  cpuid: 'cpuid',
  'svsm-caa': 'zero',
  'kernel-hashes': 'zero',
} as const;

function barePageType(kind: SectionKind, vmm: SnpVmm): BarePageType {
  return kind === 'sec-mem' ? vmm.secMem : BARE_PAGES[kind];
}
