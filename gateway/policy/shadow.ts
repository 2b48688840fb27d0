/**
 * A candidate beside the policy in force, on all evidence there is: who would newly be denied, who would newly be admitted.
 * Decides nothing. Spec: gpu-and-policy §5.4 "Shadow".
 * @module
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Appraisal } from '../../attestation/appraise.ts';
import type { Verdict } from '../../attestation/verdict.ts';
import { toHex } from '../../core/bytes.ts';
import type { WorkerJudge } from '../workers/judge.ts';
import type { WorkerRegistry } from '../workers/registry.ts';
import type { CandidatePolicy } from './desk.ts';
import type { RefusedEvidence } from './refused-evidence.ts';

export interface ShadowChange {
  readonly workerId: string;
  readonly change: 'newly_denied' | 'newly_admitted';
  /** The first check that fails under the policy that denies. */
  readonly check: string;
  readonly rule?: string;
}

export interface ShadowReport {
  readonly judged: number;
  readonly changes: readonly ShadowChange[];
}

export interface ShadowDeps {
  readonly registry: WorkerRegistry;
  readonly judge: WorkerJudge;
  readonly refused: RefusedEvidence;
}

/** One entry per worker: its newest evidence counts. */
export async function shadowOf(
  { registry, judge, refused }: ShadowDeps,
  { policy }: CandidatePolicy,
  signal: AbortSignal,
): Promise<ShadowReport> {
  const changes = new Map<string, ShadowChange>();
  const seen = new Set<string>();
  const serving = registry.all();
  for (const worker of serving) {
    if (signal.aborted) break;
    seen.add(worker.workerId);
    const change = changeOf('serves', await judge.again(worker, { policy, signal }));
    if (change === undefined) changes.delete(worker.workerId);
    else changes.set(worker.workerId, { workerId: worker.workerId, ...change });
    await nextTurn();
  }
  const benched = registry.benched().map(({ bundle, challenge, key }) => ({
    bundle,
    challenge,
    workerId: key.workerId,
  }));
  for (const { workerId, bundle, challenge } of [...benched, ...refused.all()]) {
    const id = toHex(workerId);
    if (signal.aborted) break;
    if (seen.has(id)) continue;
    seen.add(id);
    const change = changeOf('refused', await judge.appraise(bundle, challenge, policy));
    if (change !== undefined) changes.set(id, { workerId: id, ...change });
    await nextTurn();
  }
  return { judged: seen.size, changes: [...changes.values()] };
}

function changeOf(
  now: 'serves' | 'refused',
  { outcome, verdict }: Appraisal,
): Omit<ShadowChange, 'workerId'> | undefined {
  if ((now === 'serves') === (outcome === 'admitted')) return undefined;
  const change = now === 'serves' ? 'newly_denied' : 'newly_admitted';
  return { change, check: firstFailed(verdict), ...ruleOf(verdict) };
}

function firstFailed({ checks }: Verdict): string {
  return checks.find(({ outcome }) => outcome === 'fail')?.id ?? '';
}

function ruleOf({ rule }: Verdict): { readonly rule?: string } {
  return rule === undefined ? {} : { rule };
}
