/** The answers for programs: one object, members of fixed names, nothing left out because it is empty. @module */

import { toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { policyRef, type CompiledPolicy } from '../../attestation/policy/compile.ts';
import { behindOf, bulletinsOf, explainedChecks, remarksOf } from './explain.ts';
import { inspectJson, verifiedOf } from './inspect.ts';
import type { Judgement } from './judge.ts';
import type { AttestCommand } from './request.ts';
import type { Unreadable } from './subject.ts';
import { platformOf, tcbStatusOf } from './summary.ts';

export const ATTEST_FORMAT = 'veilgate.attest/1';

export interface Answer {
  readonly command: AttestCommand;
  readonly nowMs: number;
  readonly policy: CompiledPolicy | undefined;
  readonly status: number;
  readonly judgements: readonly Judgement[];
  readonly unreadable: readonly Unreadable[];
}

export function answerJson(answer: Answer): object {
  const { command, nowMs, policy, status, judgements, unreadable } = answer;
  return {
    format: ATTEST_FORMAT,
    command,
    exit: status,
    at: formatInstant(nowMs),
    policy: policy === undefined ? null : policyJson(policy),
    evidence: judgements.map((judgement) => ({
      ...judgementJson(judgement),
      ...(command === 'explain' ? explanationJson(judgement) : {}),
      ...(command === 'inspect'
        ? { verified: verifiedOf(judgement), fields: inspectJson(judgement) }
        : {}),
    })),
    unreadable,
  };
}

export function failureJson(command: AttestCommand, code: string, message: string, status: number) {
  return { format: ATTEST_FORMAT, command, exit: status, error: { code, message } };
}

function policyJson(policy: CompiledPolicy): object {
  const { name, serial, digest } = policyRef(policy);
  return { name, serial, sha256: toHex(digest) };
}

function judgementJson(judgement: Judgement): object {
  const { subject, outcome, machine, checks, warnings, missing, verdict, validUntilMs } = judgement;
  return {
    name: subject.name,
    kind: subject.kind,
    tee: machine.tee,
    verdict: outcome,
    authentic: machine.result.authentic,
    simulated: machine.result.simulated,
    failing: checks.flatMap(({ id, outcome: is }) => (is === 'fail' ? [id] : [])),
    checks,
    warnings,
    missing: missing.map(({ name, option }) => ({ name, option })),
    notes: subject.notes,
    rule: verdict?.rule ?? null,
    image: verdict?.image ?? null,
    shape: verdict?.shape ?? null,
    model: verdict?.model ?? judgement.card?.model.id ?? null,
    platform: platformOf(machine)?.ids ?? null,
    tcbStatus: tcbStatusOf(machine) ?? null,
    validUntil: validUntilMs === 0 ? null : formatInstant(validUntilMs),
  };
}

function explanationJson(judgement: Judgement): object {
  const { machine } = judgement;
  return {
    explanations: explainedChecks(judgement).map(({ id, explanation, advice, hides }) => ({
      id,
      ...explanation,
      advice: advice ?? null,
      hides,
    })),
    behind: behindOf(machine),
    remarks: remarksOf(machine),
    bulletins: bulletinsOf(machine).map(({ advisory, outcome, gaps }) => ({
      id: advisory.id,
      name: advisory.name,
      outcome,
      gaps,
    })),
  };
}
