/**
 * What about the policies a person should know: documents that are refused or cannot be read, word that is not fresh, ends
 * that are near. Said once when it begins, not every second. Spec: gpu-and-policy §5.3 (1).
 * @module
 */

import type { PublicationState } from '../../attestation/publication/memory.ts';
import { EXPIRY_NOTICE_DAYS } from '../limits.ts';
import type { PolicyDesk } from './desk.ts';
import type { PolicyParts } from './parts.ts';

const DAY_MS = 86_400_000;
const TROUBLES_MAX = 16;

/** Something that a person should look at; gone with the first look without trouble. */
export interface Trouble {
  readonly what: string;
  readonly code: string;
  readonly sinceMs: number;
}

export class Alarms {
  readonly #parts: Pick<PolicyParts, 'log' | 'counters' | 'clock'>;
  /** By what and code, so that the same trouble of every second is one line of the log. */
  readonly #troubles = new Map<string, Trouble>();
  #seen = new Set<string>();
  #stale: string | undefined;
  #noticedDay = 0;

  constructor(parts: Pick<PolicyParts, 'log' | 'counters' | 'clock'>) {
    this.#parts = parts;
  }

  troubles(): readonly Trouble[] {
    return [...this.#troubles.values()];
  }

  /** A look begins. */
  begin(): void {
    this.#seen = new Set();
  }

  /** A look has ended: what it did not meet again is over. */
  end(desk: PolicyDesk, state: PublicationState): void {
    for (const name of this.#troubles.keys()) {
      if (!this.#seen.has(name)) this.#troubles.delete(name);
    }
    this.#sayStaleness(desk);
    this.#sayExpiry(state);
  }

  raise(what: string, code: string, result: 'refused' | 'unreachable'): void {
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
}
