/**
 * The save area of a vCPU before its first instruction, as each monitor leaves it.
 * Spec: AMD APM vol. 2 (24593), appendix B, table B-4 "VMSA Layout, State Save Area for SEV-ES".
 * @module
 */

import { PAGE_BYTES } from './page-info.ts';
import type { SnpVmm } from './vmms.ts';

/** Where the first processor of an x86 machine starts. Spec: APM vol. 2, §14.1 "Processor Initialization". */
const RESET_VECTOR = 0xffff_fff0;

export interface VcpuState {
  readonly vmm: SnpVmm;
  /** The first vCPU starts at the reset vector, further ones where the firmware says. */
  readonly start: 'reset-vector' | { readonly address: number };
  /** CPUID Fn0000_0001 EAX. */
  readonly cpuSignature: number;
  /** SEV_FEATURES. */
  readonly guestFeatures: bigint;
}

/** One page. */
export function saveArea({ vmm, start, cpuSignature, guestFeatures }: VcpuState): Uint8Array {
  const { csAttributes, ssAttributes, trAttributes, gPat, rdx, mxcsr, fcw } = vmm.state;
  const isFirst = start === 'reset-vector';
  const address = isFirst ? RESET_VECTOR : start.address;
  const page = new Uint8Array(PAGE_BYTES);
  const view = new DataView(page.buffer);
  const segment = (at: number, attributes: number, selector = 0, base = 0): void => {
    view.setUint16(at, selector, true);
    view.setUint16(at + 2, attributes, true);
    view.setUint32(at + 4, 0xffff, true); // limit
    view.setBigUint64(at + 8, BigInt(base), true);
  };
  const u64 = (at: number, value: bigint): void => view.setBigUint64(at, value, true);

  segment(0x00, 0x93); // ES
  const codeBase = address - (address % 0x1_0000);
  segment(0x10, isFirst ? csAttributes.first : csAttributes.further, 0xf000, codeBase); // CS
  segment(0x20, ssAttributes); // SS
  segment(0x30, 0x93); // DS
  segment(0x40, 0x93); // FS
  segment(0x50, 0x93); // GS
  segment(0x60, 0); // GDTR
  segment(0x70, 0x82); // LDTR
  segment(0x80, 0); // IDTR
  segment(0x90, trAttributes); // TR
  u64(0xd0, 0x1000n); // EFER: SVME, set by KVM
  u64(0x148, 0x40n); // CR4: MCE, set by KVM
  u64(0x158, 0x10n); // CR0: ET
  u64(0x160, 0x400n); // DR7
  u64(0x168, 0xffff_0ff0n); // DR6
  u64(0x170, 0x2n); // RFLAGS
  u64(0x178, BigInt(address % 0x1_0000)); // RIP
  u64(0x268, gPat); // G_PAT
  u64(0x310, BigInt(rdx === 'cpu-signature' ? cpuSignature : rdx)); // RDX
  u64(0x3b0, guestFeatures); // SEV_FEATURES
  u64(0x3e8, 0x1n); // XCR0: x87
  view.setUint32(0x408, mxcsr, true); // MXCSR
  view.setUint16(0x410, fcw, true); // X87_FCW
  return page;
}
