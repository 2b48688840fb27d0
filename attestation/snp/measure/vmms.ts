/**
 * Every virtual machine monitor whose launch can be computed, and where they differ. To add one: add its entry here.
 * Spec: QEMU target/i386/sev.c with KVM arch/x86/kvm/svm/sev.c; for the clouds, what they publish for verifiers
 * (google/gce-tcb-verifier; AWS with virtee/sev-snp-measure).
 * @module
 */

import { measureError } from './errors.ts';

/** Segment attributes as in a VMCB: type, S, DPL and P in the low byte. */
interface InitialState {
  /** Of the first vCPU and of the others. */
  readonly csAttributes: { readonly first: number; readonly further: number };
  readonly ssAttributes: number;
  readonly trAttributes: number;
  readonly gPat: bigint;
  /** RDX: the CPUID signature of the virtual CPU, or a constant of the monitor. */
  readonly rdx: 'cpu-signature' | number;
  readonly mxcsr: number;
  readonly fcw: number;
}

export interface SnpVmm {
  readonly name: string;
  /** As people call it. */
  readonly title: string;
  /** What becomes of memory for the firmware's first phase. */
  readonly secMem: 'zero' | 'unmeasured';
  /** Whether the CPUID page is added in its turn or after all other sections. */
  readonly cpuidPage: 'in-order' | 'last';
  /** Whether this monitor boots a kernel directly and puts its hashes into the launch. */
  readonly bootsKernels: boolean;
  readonly state: InitialState;
}

/** The reset value of the PAT register. Spec: AMD APM vol. 2 (24593), §7.8 "Page-Attribute Table". */
const PAT_AT_RESET = 0x0007_0406_0007_0406n;
/** KVM's RDX for a vCPU without CPUID: family 6. */
const RDX_WITHOUT_CPUID = 0x600;

const qemu = {
  name: 'qemu',
  title: 'QEMU',
  secMem: 'zero',
  cpuidPage: 'in-order',
  bootsKernels: true,
  state: {
    csAttributes: { first: 0x9b, further: 0x9b },
    ssAttributes: 0x93,
    trAttributes: 0x8b,
    gPat: PAT_AT_RESET,
    rdx: 'cpu-signature',
    // Set by KVM_SEV_INIT2, without which there are no SNP guests; earlier trial kernels left them zero.
    mxcsr: 0x1f80,
    fcw: 0x37f,
  },
} as const satisfies SnpVmm;

const ec2 = {
  name: 'ec2',
  title: 'Amazon EC2',
  secMem: 'zero',
  cpuidPage: 'last',
  bootsKernels: false,
  state: {
    csAttributes: { first: 0x9a, further: 0x9b },
    ssAttributes: 0x92,
    trAttributes: 0x83,
    gPat: PAT_AT_RESET,
    // Machines that were started before Amazon changed this have zero here, and are not covered.
    rdx: RDX_WITHOUT_CPUID,
    mxcsr: 0,
    fcw: 0,
  },
} as const satisfies SnpVmm;

/** On Milan. Google's verifier puts the save areas of Genoa at a 52-bit address. */
const gce = {
  name: 'gce',
  title: 'Google Compute Engine',
  secMem: 'unmeasured',
  cpuidPage: 'in-order',
  bootsKernels: false,
  state: {
    csAttributes: { first: 0x9b, further: 0x9b },
    ssAttributes: 0x93,
    trAttributes: 0x8b,
    gPat: 0x0007_0106n,
    rdx: RDX_WITHOUT_CPUID,
    mxcsr: 0,
    fcw: 0,
  },
} as const satisfies SnpVmm;

export const SNP_VMMS = [qemu, ec2, gce] as const;
export type SnpVmmName = (typeof SNP_VMMS)[number]['name'];

/** Throws `measure.vmm`. */
export function findSnpVmm(name: string): SnpVmm & { readonly name: SnpVmmName } {
  const found = SNP_VMMS.find((vmm) => vmm.name === name);
  if (found !== undefined) return found;
  throw measureError('measure.vmm', `want one of ${SNP_VMMS.map((vmm) => vmm.name).join(', ')}`);
}
