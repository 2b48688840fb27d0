/**
 * The rounds: judges everybody anew, puts out whom the policy or the collateral no longer admits and who is not there.
 * Spec: overview "Key life".
 * @module
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import { revokedAmong } from '../../attestation/policy/revocations.ts';
import { codeOf } from '../../core/node/log.ts';
import type { Counters } from '../counters.ts';
import type { GatewayLog } from '../events.ts';
import { PROBE_FAILURES_MAX } from '../limits.ts';
import type { PolicyDesk } from '../policy/desk.ts';
import type { WorkerJudge } from './judge.ts';
import type { LiveWorker, WorkerRegistry } from './registry.ts';

export interface RoundsDeps {
  readonly clock: Clock;
  readonly registry: WorkerRegistry;
  readonly judge: WorkerJudge;
  readonly desk: PolicyDesk;
  readonly log: GatewayLog;
  readonly counters: Counters;
}

export class Rounds {
  readonly #deps: RoundsDeps;
  readonly #probeFailures = new WeakMap<LiveWorker['load'], number>();

  constructor(deps: RoundsDeps) {
    this.#deps = deps;
  }

  async sweep(signal: AbortSignal): Promise<void> {
    const { registry, counters, log, clock } = this.#deps;
    for (const { kid, key } of registry.benched()) {
      if (clock() >= key.expiresAtMs) registry.remove(kid, 'expired');
    }
    for (const worker of registry.all()) {
      if (signal.aborted) return;
      try {
        await this.#rejudge(worker, signal);
      } catch (error) {
        // Whom nobody can judge nobody may seal to; those behind still have their turn.
        log.event('control.failed', { code: codeOf(error), requestId: 'sweep' });
        registry.remove(worker.kid, 'denied');
      }
      // A judgement of what is known never waits: without this a round is one long turn.
      await nextTurn();
    }
    await Promise.all(registry.all().map((worker) => this.#probe(worker, signal)));
    counters.workers(registry.all().length);
  }

  async #rejudge(worker: LiveWorker, signal: AbortSignal): Promise<void> {
    const { registry, clock, judge, desk } = this.#deps;
    if (clock() >= worker.key.expiresAtMs) {
      registry.remove(worker.kid, 'expired');
      return;
    }
    const policy = desk.policyFor(worker.key.workerId);
    const { outcome, verdict } = await judge.again(worker, { policy, signal });
    // A policy that came in the meantime judges everybody itself.
    if (outcome === 'admitted' || desk.policyFor(worker.key.workerId) !== policy) return;
    // By what newer collateral brought up, such as an exception that was taken back: it is cut like every other.
    if (revokedAmong(desk.revocations(), verdict.revocable) === undefined) {
      registry.remove(worker.kid, 'denied');
    } else registry.place([{ worker, outcome: 'benched', reason: 'revoked', verdict }]);
  }

  /** Only whom traffic has found failing: a busy worker is its own sign of life. */
  async #probe(worker: LiveWorker, signal: AbortSignal): Promise<void> {
    const { load } = worker;
    if (load.failures === 0) return;
    const state = await worker.link.probe(signal);
    if (signal.aborted) return;
    const failures = state === 'gone' ? (this.#probeFailures.get(load) ?? 0) + 1 : 0;
    this.#probeFailures.set(load, failures);
    if (failures >= PROBE_FAILURES_MAX) this.#deps.registry.remove(worker.kid, 'unreachable');
  }
}
