/**
 * The rounds around the policies: looks when there may be something new, carries it out, says aloud what a person should
 * know. Revocations do not wait for a policy change or a shadow that is under way. Spec: gpu-and-policy §5.4.
 * @module
 */

import { isSameDocument, type PublicationState } from '../../attestation/publication/memory.ts';
import type { PublicationEvent, Refusal } from '../../attestation/publication/step.ts';
import { equalPublic } from '../../core/bytes.ts';
import { codeOf } from '../../core/node/log.ts';
import { EXPIRY_NOTICE_DAYS, SHADOW_INTERVAL_MS } from '../limits.ts';
import { auditAccepted, auditRefused } from './audit-publication.ts';
import type { CandidatePolicy, Enforced, PolicyDesk } from './desk.ts';
import type { Keeper, KeeperEvents } from './keeper.ts';
import { Notices } from './notices.ts';
import type { PolicyParts, PolicyUsers } from './open-policies.ts';
import type { PolicyReport } from './report.ts';
import { shadowOf } from './shadow.ts';
import type { PublicationSource } from './source.ts';
import { Transition } from './transition.ts';

const DAY_MS = 86_400_000;
const TROUBLES_MAX = 16;

export interface WatchInput extends PolicyUsers {
  readonly keeper: Keeper;
  readonly source: PublicationSource;
  readonly desk: PolicyDesk;
  readonly report: PolicyReport;
}

/** Something that a person should look at; gone with the first look without trouble. */
export interface Trouble {
  readonly what: string;
  readonly code: string;
  readonly sinceMs: number;
}

export class Watch {
  readonly #parts: PolicyParts;
  /** By what and code, so that the same trouble of every second is one line of the log. */
  #troubles = new Map<string, Trouble>();
  #seen = new Set<string>();
  #stale: string | undefined;
  #noticedDay = 0;
  /** What was carried out last, or is being. */
  #list: PublicationState['revocations'];
  #target: Enforced | undefined;
  /** Ends the change that is under way, where that is allowed. */
  #changing: AbortController | undefined;
  #next: Enforced | undefined;
  #changes: Promise<void> | undefined;
  #secondLooks: Promise<void> = Promise.resolve();
  /** Of the revocations that were audited last. */
  #before: PublicationState | undefined;
  #shadowedMs = 0;
  /** One at a time; it ends early when another policy comes. */
  #shadowing: { readonly ended: Promise<void>; readonly outdated: AbortController } | undefined;
  readonly #notices = new Notices();

  constructor(parts: PolicyParts) {
    this.#parts = parts;
  }

  readonly events: KeeperEvents = {
    accepted: (event, state) => this.#accepted(event, state),
    refused: (refusal, state) => this.#refused(refusal, state),
    unreachable: (name, code) => this.#trouble(name, code, 'unreachable'),
    unsaved: (code) => this.#trouble('state', code, 'unreachable'),
  };

  troubles(): readonly Trouble[] {
    return [...this.#troubles.values()];
  }

  /** The desk was made of what the keeper has now. */
  run(input: WatchInput): void {
    const { lifecycle } = this.#parts;
    this.#list = input.keeper.state().revocations;
    this.#target = input.keeper.enforced();
    const rounds = this.#rounds(input, lifecycle.closing);
    lifecycle.onClose('policy rounds', async () => {
      await rounds;
      await Promise.all([this.#changes, this.#secondLooks, this.#shadowing?.ended]);
    });
  }

  async #rounds(input: WatchInput, closing: AbortSignal): Promise<void> {
    const { log } = this.#parts;
    while (!closing.aborted) {
      try {
        await this.#round(input, closing);
        if (!(await input.source.changed(closing))) return;
      } catch (error) {
        // One bad round must not end the rounds.
        log.event('gateway.failed', { code: codeOf(error) });
        if (!(await input.source.changed(closing))) return;
      }
    }
  }

  async #round(input: WatchInput, closing: AbortSignal): Promise<void> {
    const { keeper, desk } = input;
    this.#seen = new Set();
    try {
      await keeper.look(closing);
    } finally {
      // What was accepted is carried out, whatever happened after that.
      this.#carryOut(input, closing);
    }
    this.#sayTroubles();
    this.#sayStaleness(desk);
    this.#sayExpiry(keeper.state());
    this.#shadow(input, closing);
  }

  /** By content: who holds the files can put the same documents in other spellings, as often as he likes. */
  #carryOut(input: WatchInput, closing: AbortSignal): void {
    const { revocations } = input.keeper.state();
    if (!isSameList(this.#list, revocations)) {
      this.#list = revocations;
      this.#revoke(input, closing);
    }
    const next = input.keeper.enforced();
    if (next === undefined || isSameEnforced(this.#target, next)) return;
    this.#target = next;
    this.#change(input, next, closing);
  }

  /** What is named is out before this returns; who may come back is judged behind it. */
  #revoke({ keeper, desk, ...users }: WatchInput, closing: AbortSignal): void {
    const { log } = this.#parts;
    const transition = this.#transition(users, desk);
    const state = keeper.revocations();
    const number = keeper.state().revocations?.document.payload.number ?? 0;
    const { cut, settled } = transition.revoke(state, closing);
    log.event('policy.revoked', { number, cut });
    const before = this.#secondLooks;
    const written = this.#notices.written();
    this.#secondLooks = Promise.all([written, settled])
      .catch((error: unknown) => this.#failed(error))
      .then(() => before)
      .then(() => this.#notices.written());
  }

  /** The newest wins: a change that is under way ends without effect. */
  #change(input: WatchInput, next: Enforced, closing: AbortSignal): void {
    this.#next = next;
    this.#changing?.abort();
    this.#changes ??= this.#changeAll(input, closing).finally(() => {
      this.#changes = undefined;
    });
  }

  /**
   * One after the other, until the newest is in force. What took the place of a change that was broken off is not broken
   * off itself: who publishes one release after the other must not keep all of them from coming into force.
   */
  async #changeAll(input: WatchInput, closing: AbortSignal): Promise<void> {
    let brokenOff = false;
    while (this.#next !== undefined && !closing.aborted) {
      const next = this.#next;
      this.#next = undefined;
      const changing = new AbortController();
      this.#changing = brokenOff ? undefined : changing;
      try {
        brokenOff = !(await this.#enforce(
          input,
          next,
          AbortSignal.any([closing, changing.signal]),
        ));
      } catch (error) {
        this.#failed(error);
        // The next round tries again.
        this.#target = undefined;
      }
    }
    this.#changing = undefined;
  }

  /** False when the signal ended it: then nothing has changed. */
  async #enforce(
    { desk, ...users }: WatchInput,
    next: Enforced,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { log, clock, counters } = this.#parts;
    const startMs = clock();
    const transition = this.#transition(users, desk);
    const summary = await transition.change(next, signal);
    if (summary === undefined) return false;
    const { serial } = next.current.document;
    counters.policySerial(serial);
    const durMs = clock() - startMs;
    log.event('policy.enforced', { serial, policy: next.current.digest, ...summary, durMs });
    const isEmpty = summary.kept + summary.returned === 0;
    if (isEmpty && summary.lost > 0)
      log.event('policy.nobody_left', { serial, lost: summary.lost });
    this.#shadowedMs = 0;
    this.#shadowing?.outdated.abort();
    await this.#notices.written();
    return true;
  }

  #transition(users: PolicyUsers, desk: PolicyDesk): Transition {
    return new Transition({ ...this.#parts, ...users, desk, notices: this.#notices });
  }

  #shadow(input: WatchInput, closing: AbortSignal): void {
    const { clock, counters } = this.#parts;
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
    const ended = this.#judgeShadow(input, candidate, AbortSignal.any([closing, outdated.signal]))
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#shadowing = undefined;
      });
    this.#shadowing = { ended, outdated };
  }

  async #judgeShadow(
    { report, ...users }: WatchInput,
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

  #accepted(event: PublicationEvent, state: PublicationState): void {
    const { log, counters, audit } = this.#parts;
    counters.publication('accepted', 'none');
    if (event.kind === 'timestamp') return;
    const number = 'number' in event ? event.number : 'version' in event ? event.version : 0;
    const document = 'document' in event ? `${event.document}_${event.kind}` : event.kind;
    log.event('policy.document_accepted', { document, number });
    auditAccepted(audit, event, state, this.#before).catch((error: unknown) => this.#failed(error));
    this.#before = state;
  }

  #refused(refusal: Refusal, state: PublicationState): void {
    const { document, code } = refusal;
    this.#trouble(document, code, 'refused');
    auditRefused(this.#parts.audit, refusal, state).catch((error: unknown) => this.#failed(error));
  }

  #trouble(what: string, code: string, result: 'refused' | 'unreachable'): void {
    const { log, counters, clock } = this.#parts;
    const name = `${what} ${code}`;
    this.#seen.add(name);
    if (this.#troubles.has(name)) return;
    if (this.#troubles.size < TROUBLES_MAX) {
      this.#troubles.set(name, { what, code, sinceMs: clock() });
    }
    counters.publication(result, code);
    if (result === 'refused') log.event('policy.document_refused', { document: what, code });
    else log.event('policy.unreachable', { document: what, code });
  }

  #sayTroubles(): void {
    for (const name of this.#troubles.keys()) {
      if (!this.#seen.has(name)) this.#troubles.delete(name);
    }
  }

  #sayStaleness(desk: PolicyDesk): void {
    const { log, counters, clock } = this.#parts;
    const why = desk.staleBecause(clock());
    counters.policyAlarm(why !== undefined || this.#troubles.size > 0);
    if (why === this.#stale) return;
    this.#stale = why;
    if (why === undefined) log.event('policy.fresh', {});
    else log.event('policy.stale', { why });
  }

  /** Once a day, from two weeks before. */
  #sayExpiry({ root, release }: PublicationState): void {
    const { log, clock } = this.#parts;
    const nowMs = clock();
    const day = Math.floor(nowMs / DAY_MS);
    if (day === this.#noticedDay) return;
    this.#noticedDay = day;
    const ends = [
      ['root', root.payload.expiresMs],
      ['policy', release?.current.document.payload.policy.document.expires ?? Infinity],
    ] as const;
    for (const [what, endMs] of ends) {
      const days = Math.floor((endMs - nowMs) / DAY_MS);
      if (days < EXPIRY_NOTICE_DAYS)
        log.event('policy.expires_soon', { what, days: Math.max(0, days) });
    }
  }

  #failed(error: unknown): void {
    this.#parts.log.event('gateway.failed', { code: codeOf(error) });
  }
}

function isSameList(
  before: PublicationState['revocations'],
  next: PublicationState['revocations'],
): boolean {
  if (before === undefined || next === undefined) return before === next;
  return isSameDocument(before.document, next.document);
}

function isSameEnforced(before: Enforced | undefined, next: Enforced): boolean {
  if (before === undefined || !equalPublic(before.current.digest, next.current.digest))
    return false;
  const [a, b] = [before.candidate, next.candidate];
  if (a === undefined || b === undefined) return a === b;
  return a.share === b.share && equalPublic(a.policy.digest, b.policy.digest);
}
