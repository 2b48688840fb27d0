/**
 * Which machine evidence comes from, by what the vendor's certificate says and a verification held: PPID or CHIP_ID. What a
 * report merely claims is no identity.
 * @module
 */

import type { CpuId } from '../../attestation/policy/remedy/host-mend.ts';
import { isZero, toHex } from '../../core/bytes.ts';
import type { Judgement } from '../attest/judge.ts';

export type Identified =
  | { readonly cpu: CpuId; readonly isSimulated: boolean }
  | { readonly refused: string };

export function machineIdOf({ machine, checks }: Judgement): Identified {
  const { result } = machine;
  if (!result.authentic) {
    const failed = checks.filter(({ outcome }) => outcome === 'fail').map(({ id }) => id);
    return { refused: `not genuine, or not of this time: ${failed.join(', ')}` };
  }
  if (machine.tee === 'tdx') {
    const { platform } = machine.result;
    if (platform === undefined) return { refused: 'its certificate names no platform' };
    return { cpu: { ppid: platform.ppid }, isSimulated: result.simulated };
  }
  const { facts, owner } = machine.result;
  if (owner?.kind !== 'vcek' || facts === undefined) {
    return { refused: 'a cloud’s key (VLEK) signed it: that proves no chip' };
  }
  const { chipId } = facts.report;
  if (isZero(chipId)) return { refused: 'it hides its chip (MASK_CHIP_ID): CHIP_ID is zero' };
  return { cpu: { chip_id: toHex(chipId) }, isSimulated: result.simulated };
}

/** `ppid 1111…`. */
export function cpuText(cpu: CpuId): string {
  return 'ppid' in cpu ? `ppid ${cpu.ppid}` : `chip_id ${cpu.chip_id}`;
}

export function cpuHex(cpu: CpuId): string {
  return 'ppid' in cpu ? cpu.ppid : cpu.chip_id;
}
