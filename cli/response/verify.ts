/** A proof checked with what only this side of the house can: that the channel is the one of its terms. @module */

import type { Check } from '../../attestation/verdict.ts';
import {
  checkProof,
  type CheckedProof,
  type ProofPins,
} from '../../client/proof/check-response.ts';
import type { ResponseProof } from '../../client/proof/response-proof.ts';
import { placeChecks } from '../receipt/verify.ts';

export function verifyProof(proof: ResponseProof, pins: ProofPins): CheckedProof {
  const checked = checkProof(proof, pins);
  const { bill, sections } = checked;
  if (bill === undefined) return checked;
  const placed = placeChecks(bill).map(({ id, outcome }): Check => {
    if (outcome === 'pass') return { id, outcome };
    if (outcome === 'skipped') return { id, outcome, because: 'no channel paid' };
    return { id, outcome, want: 'the channel of its terms', got: 'another one' };
  });
  const holds = checked.holds && placed.every(({ outcome }) => outcome !== 'fail');
  return { ...checked, holds, sections: { ...sections, bill: [...sections.bill, ...placed] } };
}
