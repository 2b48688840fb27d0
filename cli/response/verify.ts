/** A proof checked with what only this side of the house can: that the channel is the one of its terms. @module */

import type { Check } from '../../attestation/verdict.ts';
import {
  checkProof,
  type CheckedProof,
  type ProofPins,
} from '../../client/proof/check-response.ts';
import {
  checkAttestedProof,
  type CheckedAttestedProof,
} from '../../client/attested/check-attested.ts';
import type { ResponseProof } from '../../client/proof/response-proof.ts';
import type { AnyProof } from './read-files.ts';
import { placeChecks } from '../receipt/verify.ts';

/** A checked proof, and the gateway it came through where that was in a TEE. */
export interface Verified {
  readonly proof: ResponseProof;
  readonly checked: CheckedProof;
  readonly via: Omit<CheckedAttestedProof, 'response' | 'holds'> | undefined;
  readonly holds: boolean;
}

export function verifyProof({ kind, proof }: AnyProof, pins: ProofPins): Verified {
  if (kind === 'sealed') {
    const checked = placed(checkProof(proof, pins));
    return { proof, checked, via: undefined, holds: checked.holds };
  }
  const { response, holds, ...via } = checkAttestedProof(proof, pins);
  const checked = placed(response);
  return { proof: proof.response, checked, via, holds: holds && checked.holds };
}

function placed(checked: CheckedProof): CheckedProof {
  const { bill, sections } = checked;
  if (bill === undefined) return checked;
  const checks = placeChecks(bill).map(({ id, outcome }): Check => {
    if (outcome === 'pass') return { id, outcome };
    if (outcome === 'skipped') return { id, outcome, because: 'no channel paid' };
    return { id, outcome, want: 'the channel of its terms', got: 'another one' };
  });
  const holds = checked.holds && checks.every(({ outcome }) => outcome !== 'fail');
  return { ...checked, holds, sections: { ...sections, bill: [...sections.bill, ...checks] } };
}
