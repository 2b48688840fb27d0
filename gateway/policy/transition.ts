/**
 * From one policy to the next without a pause: everybody is judged under the new one while the old one is in force, then
 * all change places in one step. Whoever loses finishes what runs; whoever was revoked is cut at once.
 * Spec: gpu-and-policy §5.4 "Hot reload", "Revocation".
 * @module
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { revokedAmong } from '../../attestation/policy/revocations.ts';
import { parseStatement } from '../../attestation/statement.ts';
import type { Verdict } from '../../attestation/verdict.ts';
import type { Clock } from '../../core/clock.ts';
import { codeOf } from '../../core/node/log.ts';
import type { Audit } from '../audit.ts';
import type { Counters } from '../counters.ts';
import type { GatewayLog } from '../events.ts';
import { CHANGE_COLLATERAL_WAIT_MS } from '../limits.ts';
import type { WorkerJudge } from '../workers/judge.ts';
import { publishUntilOf } from '../workers/register.ts';
import type { LiveWorker, Standing, WorkerRegistry } from '../workers/registry.ts';
import { policyFor, type Enforced, type PolicyDesk, type RevocationState } from './desk.ts';
import type { Notices } from './notices.ts';

export interface TransitionDeps {
  readonly clock: Clock;
  readonly registry: WorkerRegistry;
  readonly judge: WorkerJudge;
  readonly desk: PolicyDesk;
  readonly audit: Audit;
  readonly log: GatewayLog;
  readonly counters: Counters;
  /** Written by whoever made the transition, when the step is done. */
  readonly notices: Notices;
}

export interface TransitionSummary {
  readonly kept: number;
  readonly returned: number;
  readonly lost: number;
}

export class Transition {
  readonly #deps: TransitionDeps;

  constructor(deps: TransitionDeps) {
    this.#deps = deps;
  }

  /** Resolves when `next` is in force. Undefined when the signal ended it before: then nothing has changed. */
  async change(next: Enforced, signal: AbortSignal): Promise<TransitionSummary | undefined> {
    const { registry, desk } = this.#deps;
    const standings = new Map<string, Standing>();
    const unjudged = (): readonly LiveWorker[] =>
      [...registry.all(), ...registry.benched()].filter(({ kid }) => !standings.has(kid));
    // After it everybody is judged by the collateral that is at hand: who slows the network down must not keep a policy away.
    const patience = AbortSignal.any([signal, AbortSignal.timeout(CHANGE_COLLATERAL_WAIT_MS)]);
    // Who registers meanwhile is judged in the next turn of the loop, until nobody is left.
    for (let open = unjudged(); open.length > 0; open = unjudged()) {
      for (const worker of open) {
        if (signal.aborted) return undefined;
        standings.set(worker.kid, await this.#standing(worker, next, patience));
        await nextTurn();
      }
    }
    if (signal.aborted) return undefined;
    // From here to the end nothing waits: between two requests everything has changed.
    desk.enforce(next);
    return this.#place([...standings.values()].map((standing) => this.#stillNotRevoked(standing)));
  }

  /**
   * Cuts and benches whom the list names, before it returns; behind that lets back in whom another rule admits or the list
   * gave back.
   */
  revoke(
    state: RevocationState,
    signal: AbortSignal,
  ): { readonly cut: number; readonly settled: Promise<void> } {
    const { registry, desk } = this.#deps;
    desk.know(state);
    const isNamed = ({ verdict, grounds }: LiveWorker): boolean =>
      revokedAmong(state.list, [...verdict.revocable, ...grounds]) !== undefined;
    // Whoever sits on the bench, or left, may still have exchanges that run.
    const named = [...registry.all(), ...registry.benched()].filter(isNamed);
    const { lost } = this.#place(
      named.map((worker) => ({
        worker,
        outcome: 'benched',
        reason: 'revoked',
        verdict: worker.verdict,
      })),
    );
    registry.cutGone(isNamed);
    return { cut: lost, settled: this.#secondLook(signal) };
  }

  async #secondLook(signal: AbortSignal): Promise<void> {
    const { registry, desk } = this.#deps;
    for (const worker of registry.benched()) {
      if (signal.aborted) return;
      const current = desk.policyFor(worker.key.workerId);
      const standing = await this.#standing(worker, { current }, signal);
      await nextTurn();
      // A policy that came meanwhile judges everybody itself.
      const isCurrent = desk.policyFor(worker.key.workerId) === current;
      if (standing.outcome === 'serves' && isCurrent)
        this.#place([this.#stillNotRevoked(standing)]);
    }
  }

  async #standing(worker: LiveWorker, next: Enforced, signal: AbortSignal): Promise<Standing> {
    const { judge, log, desk } = this.#deps;
    try {
      const policy = policyFor(next, worker.key.workerId);
      const appraisal = await judge.again(worker, { policy, signal });
      const { verdict } = appraisal;
      if (appraisal.outcome === 'denied') {
        const isRevoked = revokedAmong(desk.revocations(), verdict.revocable) !== undefined;
        return { worker, outcome: 'benched', reason: isRevoked ? 'revoked' : 'policy', verdict };
      }
      const { key } = appraisal;
      const publishUntilMs = publishUntilOf(parseStatement(worker.bundle.statement), key);
      return { worker, outcome: 'serves', key, verdict, publishUntilMs };
    } catch (error) {
      // Whom nobody can judge nobody may seal to.
      log.event('control.failed', { code: codeOf(error), requestId: 'policy' });
      return { worker, outcome: 'benched', reason: 'policy', verdict: worker.verdict };
    }
  }

  /** A revocation may have come while the others were judged. */
  #stillNotRevoked(standing: Standing): Standing {
    const { worker, verdict } = standing;
    if (revokedAmong(this.#deps.desk.revocations(), verdict.revocable) === undefined) {
      return standing;
    }
    return { worker, outcome: 'benched', reason: 'revoked', verdict };
  }

  #place(standings: readonly Standing[]): TransitionSummary {
    const { registry, counters, notices } = this.#deps;
    const serving = new Set(registry.all().map(({ kid }) => kid));
    registry.place(standings);
    let [kept, returned, lost] = [0, 0, 0];
    for (const standing of standings) {
      const served = serving.has(standing.worker.kid);
      if (standing.outcome === 'serves' && served) kept++;
      else if (standing.outcome === 'serves') returned++;
      else if (served) lost++;
      notices.add(() => this.#tell(standing, served));
    }
    counters.workers(registry.all().length);
    counters.benched(registry.benched().length);
    return { kept, returned, lost };
  }

  #tell(standing: Standing, served: boolean): void {
    const { audit, log } = this.#deps;
    const { workerId, kid } = standing.worker;
    const { outcome, verdict } = standing;
    if (outcome === 'benched' && served) {
      log.event('worker.benched', { workerId, kid, reason: standing.reason });
    }
    if (outcome === 'serves' && !served) log.event('worker.returned', { workerId, kid });
    audit.workerRejudged({
      workerId,
      kid,
      outcome: outcome === 'serves' ? 'kept' : 'denied',
      policy: verdict.policy.digest,
      ...namesOf(verdict),
    });
  }
}

function namesOf({ rule, image, checks }: Verdict) {
  const failed = checks.find(({ outcome }) => outcome === 'fail')?.id;
  return {
    ...(rule === undefined ? {} : { rule }),
    ...(image === undefined ? {} : { image }),
    ...(failed === undefined ? {} : { check: failed }),
  };
}
