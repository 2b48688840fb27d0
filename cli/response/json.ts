/** The result of checking a proof, as data. Amounts are strings of atomic units. @module */

import { toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import type { Json } from '../../core/json.ts';
import type { Check } from '../../attestation/verdict.ts';
import { PROOF_SECTIONS, type CheckedProof } from '../../client/proof/check-response.ts';
import type { Verified } from './verify.ts';

export function proofJson({ proof, checked, via, holds }: Verified): Json {
  const { verdict, receipt, gateway, rootSha256 } = checked;
  return {
    format: 'veilgate.response-report/1',
    holds,
    unpinned: [...checked.unpinned],
    appraisedAt: formatInstant(proof.appraisedAtMs),
    root: rootSha256 === undefined ? null : `sha256:${toHex(rootSha256)}`,
    gateway: gateway ?? null,
    worker: verdict === undefined ? null : workerJson(verdict, receipt),
    receipt: receipt === undefined ? null : receiptJson(receipt),
    ...(via === undefined ? {} : { attestedGateway: viaJson(via) }),
    sections: Object.fromEntries([
      ...(via === undefined ? [] : [['gateway', via.gateway.map(checkJson)] as const]),
      ...PROOF_SECTIONS.map((name) => [name, checked.sections[name].map(checkJson)] as const),
    ]),
  };
}

function viaJson({ verdict }: NonNullable<Verified['via']>): Json {
  if (verdict === undefined) return null;
  const { decision, simulated, rule, image, tcbStatus } = verdict;
  return {
    decision,
    simulated,
    rule: rule ?? null,
    image: image ?? null,
    tcbStatus: tcbStatus ?? null,
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
