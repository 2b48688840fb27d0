/**
 * The rounds around the policies: looks when there may be something new, carries it out, has said aloud what a person
 * should know. Revocations do not wait for a policy change or a shadow that is under way. Spec: gpu-and-policy §5.4.
 * @module
 */

import { isSameDocument, type PublicationState } from '../../attestation/publication/memory.ts';
import type { PublicationEvent, Refusal } from '../../attestation/publication/step.ts';
import { equalPublic } from '../../core/bytes.ts';
import { codeOf } from '../../core/node/log.ts';
import { Alarms } from './alarms.ts';
import { auditAccepted, auditRefused } from './audit-publication.ts';
import type { Enforced, PolicyDesk } from './desk.ts';
import type { Keeper, KeeperEvents } from './keeper.ts';
import { Notices } from './notices.ts';
import type { PolicyParts, PolicyUsers } from './parts.ts';
import type { PolicyReport } from './report.ts';
import { ShadowRounds } from './shadow-rounds.ts';
import type { PublicationSource } from './source.ts';
import { Transition } from './transition.ts';

export interface WatchInput extends PolicyUsers {
  readonly keeper: Keeper;
  readonly source: PublicationSource;
  readonly desk: PolicyDesk;
  readonly report: PolicyReport;
}

export class Watch {
  readonly #parts: PolicyParts;
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
  readonly #notices = new Notices();
  readonly #shadows: ShadowRounds;
  readonly alarms: Alarms;

  constructor(parts: PolicyParts) {
    this.#parts = parts;
    this.alarms = new Alarms(parts);
    this.#shadows = new ShadowRounds(parts, this.#notices);
  }

  readonly events: KeeperEvents = {
    accepted: (event, state) => this.#accepted(event, state),
    refused: (refusal, state) => this.#refused(refusal, state),
    unreachable: (name, code) => this.alarms.raise(name, code, 'unreachable'),
    unsaved: (code) => this.alarms.raise('state', code, 'unreachable'),
  };

  /** The desk was made of what the keeper has now. */
  run(input: WatchInput): void {
    const { lifecycle } = this.#parts;
    this.#list = input.keeper.state().revocations;
    this.#target = input.keeper.enforced();
    const rounds = this.#rounds(input, lifecycle.closing);
    lifecycle.onClose('policy rounds', async () => {
      await rounds;
      await Promise.all([this.#changes, this.#secondLooks, this.#shadows.ended()]);
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
    this.alarms.begin();
    try {
      await keeper.look(closing);
    } finally {
      // What was accepted is carried out, whatever happened after that.
      this.#carryOut(input, closing);
    }
    this.alarms.end(desk, keeper.state());
    this.#shadows.round(input, closing);
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
    this.#shadows.outdate();
    await this.#notices.written();
    return true;
  }

  #transition(users: PolicyUsers, desk: PolicyDesk): Transition {
    return new Transition({ ...this.#parts, ...users, desk, notices: this.#notices });
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
    this.alarms.raise(document, code, 'refused');
    auditRefused(this.#parts.audit, refusal, state).catch((error: unknown) => this.#failed(error));
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
