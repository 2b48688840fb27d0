/** The result of checking a proof, as data. Amounts are strings of atomic units. @module */

import { toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import type { Json } from '../../core/json.ts';
import type { Check } from '../../attestation/verdict.ts';
import { PROOF_SECTIONS, type CheckedProof } from '../../client/proof/check-response.ts';
import type { ResponseProof } from '../../client/proof/response-proof.ts';

export function proofJson(proof: ResponseProof, checked: CheckedProof): Json {
  const { verdict, receipt, gateway, rootSha256 } = checked;
  return {
    format: 'veilgate.response-report/1',
    holds: checked.holds,
    appraisedAt: formatInstant(proof.appraisedAtMs),
    root: rootSha256 === undefined ? null : `sha256:${toHex(rootSha256)}`,
    gateway: gateway ?? null,
    worker: verdict === undefined ? null : workerJson(verdict, receipt),
    receipt: receipt === undefined ? null : receiptJson(receipt),
    sections: Object.fromEntries(
      PROOF_SECTIONS.map((name) => [name, checked.sections[name].map(checkJson)]),
    ),
  };
}

function workerJson(
  verdict: NonNullable<CheckedProof['verdict']>,
  receipt: CheckedProof['receipt'],
): Json {
  const { decision, policy, simulated, rule, image, model, tcbStatus } = verdict;
  return {
    id: receipt === undefined ? null : toHex(receipt.workerId),
    decision,
    simulated,
    policy: { name: policy.name, serial: policy.serial, digest: `sha256:${toHex(policy.digest)}` },
    rule: rule ?? null,
    image: image ?? null,
    model: model ?? null,
    tcbStatus: tcbStatus ?? null,
    validUntil: decision === 'admitted' ? instantJson(verdict.validUntilMs) : null,
  };
}

function receiptJson(receipt: NonNullable<CheckedProof['receipt']>): Json {
  return {
    requestId: toHex(receipt.requestId),
    outcome: receipt.outcome,
    usage: { ...receipt.usage },
    amount: receipt.amount.toString(),
    startedAt: instantJson(receipt.startMs),
    endedAt: instantJson(receipt.endMs),
  };
}

/** The last instant that has a date; a receipt has room for later ones. */
const INSTANT_MAX_MS = 8_640_000_000_000_000;

function instantJson(ms: number): string | null {
  return ms <= INSTANT_MAX_MS ? formatInstant(ms) : null;
}

function checkJson(check: Check): Json {
  return { ...check };
}
