/**
 * TCB_VERSION: eight bytes of security version numbers whose order depends on the product.
 * Spec: AMD SEV-SNP Firmware ABI (56860) table "TCB_VERSION"; for Turin AMD VCEK Certificate and KDS Interface
 * Specification (57230) §3, structVersion 1.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { TcbLayout } from './products.ts';

/** Security version numbers, 0 to 255. */
export interface SnpTcb {
  /** Layout 1 only. */
  readonly fmc?: number;
  readonly bootloader: number;
  readonly tee: number;
  readonly snp: number;
  readonly microcode: number;
}

/** Absent components are not asked about. */
export type SnpTcbFloor = Partial<SnpTcb>;

export const TCB_COMPONENT_NAMES = ['fmc', 'bootloader', 'tee', 'snp', 'microcode'] as const;

const OFFSETS = {
  0: { bootloader: 0, tee: 1, snp: 6, microcode: 7 },
  1: { fmc: 0, bootloader: 1, tee: 2, snp: 3, microcode: 7 },
} as const;
const RESERVED = { 0: [2, 3, 4, 5], 1: [4, 5, 6] } as const;

export function decodeTcb(raw: Bytes<8>, layout: TcbLayout): SnpTcb {
  const at = OFFSETS[layout];
  const svn = (offset: number): number => raw[offset] ?? 0;
  return {
    ...('fmc' in at ? { fmc: svn(at.fmc) } : {}),
    bootloader: svn(at.bootloader),
    tee: svn(at.tee),
    snp: svn(at.snp),
    microcode: svn(at.microcode),
  };
}

export function isTcbReservedZero(raw: Bytes<8>, layout: TcbLayout): boolean {
  return RESERVED[layout].every((offset) => raw[offset] === 0);
}

/** What `tcb` has less of than `floor` asks, for people: `microcode 83 < 84`. Empty when nothing. */
export function tcbShortfall(tcb: SnpTcb, floor: SnpTcbFloor): readonly string[] {
  return TCB_COMPONENT_NAMES.flatMap((name) => {
    const want = floor[name];
    const have = tcb[name] ?? 0;
    return want === undefined || have >= want ? [] : [`${name} ${have} < ${want}`];
  });
}

export function equalTcb(a: SnpTcb, b: SnpTcb): boolean {
  return TCB_COMPONENT_NAMES.every((name) => a[name] === b[name]);
}

export function tcbText(tcb: SnpTcb): string {
  return TCB_COMPONENT_NAMES.flatMap((name) =>
    tcb[name] === undefined ? [] : [`${name} ${tcb[name]}`],
  ).join(', ');
}
