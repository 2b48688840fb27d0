/** What a genuine machine showed, out of a judgement without a policy. @module */

import type { TeeFacts } from '../../attestation/tee.ts';
import type { MachineResult } from '../attest/judge.ts';

/** Undefined when it is not genuine. */
export function factsOf(machine: MachineResult): TeeFacts | undefined {
  if (!machine.result.authentic) return undefined;
  if (machine.tee === 'snp') {
    const { subject } = machine.result;
    return subject === undefined ? undefined : { tee: 'snp', snp: subject };
  }
  const { quote, tcb, platform } = machine.result;
  if (quote === undefined || tcb === undefined || platform === undefined) return undefined;
  return { tee: 'tdx', tdx: { td: quote.td, tcb, platform } };
}
