/**
 * Asks a source for what a piece of evidence came without. What the evidence brought stays: a source completes, it does
 * not replace. That it has no answer is a note and not an end: the checks say what is missing.
 * @module
 */

import { parseHcl } from '../../attestation/azure/hcl.ts';
import type { EndorsableEvidence } from '../../attestation/collateral/endorser.ts';
import type { SnpEndorsements } from '../../attestation/snp/endorsements.ts';
import type { TdxCollateral } from '../../attestation/tdx/collateral.ts';
import { assert, VeilError } from '../../core/errors.ts';
import type { CollateralSource } from './collateral-source.ts';
import type { Machine, SnpMachine, Subject } from './subject.ts';

const SOURCE_TIMEOUT_MS = 60_000;

export async function completed(subject: Subject, source: CollateralSource): Promise<Subject> {
  const { machine, notes } = subject;
  try {
    const found = await source.endorse(asked(machine), AbortSignal.timeout(SOURCE_TIMEOUT_MS));
    const note = `What was missing came from ${source.name}.`;
    return {
      ...subject,
      machine: withFound(machine, found),
      notes: [...notes, ...source.notes, note],
    };
  } catch (error) {
    if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
    const note = `Collateral was asked of ${source.name}: ${error.message}`;
    return { ...subject, notes: [...notes, ...source.notes, note] };
  }
}

function asked(machine: Machine): EndorsableEvidence {
  return machine.tee === 'tdx' ? { tee: 'tdx', quote: machine.quote } : askedOfSnp(machine);
}

function askedOfSnp({ form, bytes, certTable, endorsements }: SnpMachine): EndorsableEvidence {
  return {
    tee: 'snp',
    quote: form === 'azure-hcl' ? parseHcl(bytes).report : bytes,
    endorsements,
    ...(certTable === undefined ? {} : { certificates: certTable }),
  };
}

function isTdx(found: TdxCollateral | SnpEndorsements): found is TdxCollateral {
  return 'tcbInfo' in found;
}

function withFound(machine: Machine, found: TdxCollateral | SnpEndorsements): Machine {
  const another = 'endorsements of another kind of machine';
  if (machine.tee === 'snp') {
    assert(!isTdx(found), another);
    return { ...machine, endorsements: { ...found, ...machine.endorsements } };
  }
  assert(isTdx(found), another);
  const brought = Object.entries(machine.collateral).filter(([, value]) => value.length > 0);
  return { ...machine, collateral: { ...found, ...Object.fromEntries(brought) } };
}
