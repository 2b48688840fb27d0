/**
 * Judges the candidate on all evidence every minute, and when something has changed: beside everything else, because it may
 * take seconds. What it finds is in the report, the metrics and the log. Spec: gpu-and-policy §5.4 "Shadow".
 * @module
 */

import { codeOf } from '../../core/node/log.ts';
import { SHADOW_INTERVAL_MS } from '../limits.ts';
import type { CandidatePolicy, PolicyDesk } from './desk.ts';
import type { Notices } from './notices.ts';
import type { PolicyParts, PolicyUsers } from './parts.ts';
import type { PolicyReport } from './report.ts';
import { shadowOf } from './shadow.ts';

export interface ShadowInput extends PolicyUsers {
  readonly desk: PolicyDesk;
  readonly report: PolicyReport;
}

export class ShadowRounds {
  readonly #parts: Pick<PolicyParts, 'log' | 'counters' | 'clock'>;
  readonly #notices: Notices;
  #shadowedMs = 0;
  #shadowing: { readonly ended: Promise<void>; readonly outdated: AbortController } | undefined;

  constructor(parts: Pick<PolicyParts, 'log' | 'counters' | 'clock'>, notices: Notices) {
    this.#parts = parts;
    this.#notices = notices;
  }

  /** Another policy has come: the one under way ends early, and the next round begins anew. */
  outdate(): void {
    this.#shadowedMs = 0;
    this.#shadowing?.outdated.abort();
  }

  async ended(): Promise<void> {
    await this.#shadowing?.ended;
  }

  /** Beside whoever asks; one at a time. */
  round(input: ShadowInput, closing: AbortSignal): void {
    const { clock, counters, log } = this.#parts;
    const { desk, report } = input;
    const candidate = desk.candidate();
    if (candidate === undefined) {
      report.shadow = undefined;
      counters.shadow('newly_denied', 0);
      counters.shadow('newly_admitted', 0);
      return;
    }
    const nowMs = clock();
    if (this.#shadowing !== undefined || nowMs < this.#shadowedMs + SHADOW_INTERVAL_MS) return;
    this.#shadowedMs = nowMs;
    const outdated = new AbortController();
    const ended = this.#judge(input, candidate, AbortSignal.any([closing, outdated.signal]))
      .catch((error: unknown) => log.event('gateway.failed', { code: codeOf(error) }))
      .finally(() => {
        this.#shadowing = undefined;
      });
    this.#shadowing = { ended, outdated };
  }

  async #judge(
    { report, desk: _desk, ...users }: ShadowInput,
    candidate: CandidatePolicy,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, log, counters } = this.#parts;
    const atMs = clock();
    const found = await shadowOf(users, candidate, signal);
    // What was not judged to the end says nothing.
    if (signal.aborted) return;
    const before = new Set(report.shadow?.changes.map(({ workerId, change }) => workerId + change));
    const { serial } = candidate.policy.document;
    report.shadow = { ...found, serial, atMs };
    const count = (change: string): number =>
      found.changes.filter((one) => one.change === change).length;
    counters.shadow('newly_denied', count('newly_denied'));
    counters.shadow('newly_admitted', count('newly_admitted'));
    const fresh = found.changes.filter((one) => !before.has(one.workerId + one.change));
    if (fresh.length === 0 && before.size === found.changes.length && before.size > 0) return;
    log.event('policy.shadow', {
      serial,
      judged: found.judged,
      newlyDenied: count('newly_denied'),
      newlyAdmitted: count('newly_admitted'),
    });
    for (const { workerId, change, check } of fresh) {
      this.#notices.add(() =>
        log.event('policy.shadow_change', { serial, workerId, change, check }),
      );
    }
    await this.#notices.written();
  }
}
