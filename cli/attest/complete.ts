/**
 * Asks an endorser for what a piece of evidence came without. What the evidence brought stays: an endorser completes, it
 * does not replace. That it cannot be asked, or has no answer, is a note and not an end: the checks say what is missing.
 * @module
 */

import type { Endorser } from '../../attestation/collateral/endorser.ts';
import type { SnpEndorsements } from '../../attestation/snp/endorsements.ts';
import type { TdxCollateral } from '../../attestation/tdx/collateral.ts';
import { assert, VeilError } from '../../core/errors.ts';
import { parseHcl } from '../../attestation/azure/hcl.ts';
import { missingOfTdx } from './missing.ts';
import type { SnpMachine, Subject, TdxMachine } from './subject.ts';

const ENDORSER_TIMEOUT_MS = 60_000;

export async function completed(subject: Subject, endorser: Endorser): Promise<Subject> {
  const { machine } = subject;
  if (isComplete(machine)) return subject;
  try {
    const signal = AbortSignal.timeout(ENDORSER_TIMEOUT_MS);
    const found = await endorser.endorse(asked(machine), signal);
    return { ...subject, machine: withFound(machine, found) };
  } catch (error) {
    if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
    return { ...subject, notes: [...subject.notes, `asked for collateral: ${error.message}`] };
  }
}

function isComplete(machine: TdxMachine | SnpMachine): boolean {
  if (machine.tee === 'tdx') return missingOfTdx(machine).length === 0;
  return machine.endorsements.vek !== undefined && machine.endorsements.crl !== undefined;
}

function asked(machine: TdxMachine | SnpMachine) {
  if (machine.tee === 'tdx') return { tee: machine.tee, quote: machine.quote };
  const { certTable, form, bytes } = machine;
  return {
    tee: machine.tee,
    quote: form === 'azure-hcl' ? parseHcl(bytes).report : bytes,
    ...(certTable === undefined ? {} : { certificates: certTable }),
  };
}

function isTdx(found: TdxCollateral | SnpEndorsements): found is TdxCollateral {
  return 'tcbInfo' in found;
}

function withFound(
  machine: TdxMachine | SnpMachine,
  found: TdxCollateral | SnpEndorsements,
): TdxMachine | SnpMachine {
  if (machine.tee === 'snp') {
    assert(!isTdx(found), 'endorsements of another kind of machine');
    return { ...machine, endorsements: { ...found, ...machine.endorsements } };
  }
  assert(isTdx(found), 'endorsements of another kind of machine');
  const { collateral } = machine;
  const brought = Object.entries(collateral).filter(([, value]) => value.length > 0);
  return { ...machine, collateral: { ...found, ...Object.fromEntries(brought) } };
}
