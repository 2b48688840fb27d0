/**
 * An event log after reading: a list of digests with texts beside them. What is authenticated and what is not:
 *
 * - A log that replays to the registers of a *verified* quote proves its digests, their registers and their order.
 * - A text is proven only as far as the digest covers it; `covered` says how far. Everything else (file paths, "ACPI
 *   DATA", labels, names of events on firmware registers) is what whoever delivered the log chose to write there.
 * - The event type of a CCEL event is covered by nothing. Covered data says "these bytes were measured here", not why.
 *   Only the runtime events of dstack have their type inside the digest.
 *
 * Spec: Intel TDX Virtual Firmware Design Guide, chapter on measurement; TCG PC Client Platform Firmware Profile 1.05,
 * "Event Logging".
 * @module
 */

import type { Bytes } from '../../../core/bytes.ts';

export type RtmrIndex = 0 | 1 | 2 | 3;
export const RTMR_INDEXES = [0, 1, 2, 3] as const satisfies readonly RtmrIndex[];

/** RTMR0 to RTMR3. */
export type Registers = readonly [Bytes<48>, Bytes<48>, Bytes<48>, Bytes<48>];

/** Bytes [from, to) of an event's data. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** How much of an event its digest covers, and so its register. */
export type Covered =
  /** Changed no register: a remark, or a note about MRTD. Digest, type and data are claims. */
  | { readonly kind: 'unmeasured' }
  /** The digest alone is proven; name, type and data are claims. */
  | { readonly kind: 'digest' }
  /** The profile makes this type's digest of the data, and this one is not: one of the two was changed. */
  | { readonly kind: 'contradicted' }
  /** digest = SHA-384(data). */
  | { readonly kind: 'data' }
  /** digest = SHA-384(data[from, to)): the value of a variable, a command without its label. The rest is a claim. */
  | ({ readonly kind: 'part' } & Range)
  /** dstack runtime event: type, name and payload. */
  | { readonly kind: 'event' }
  /**
   * dstack runtime event, version 1, that hashes the same with another border: name ‖ ":" ‖ payload is proven, the
   * border is not. The application's events alone: where dstack itself writes, no name has a colon.
   */
  | { readonly kind: 'joined' };

export interface LogEvent {
  /** Place in the log, from 0; the header record of a CCEL is not counted. */
  readonly index: number;
  /** `mrtd`: a CCEL event on measurement register 0, which nothing can extend after launch. */
  readonly register: RtmrIndex | 'mrtd';
  readonly type: number;
  /** Supplied, except for runtime events of dstack, where it is computed. */
  readonly digest: Bytes<48>;
  /** Empty in a CCEL. */
  readonly name: string;
  readonly data: Uint8Array;
  readonly covered: Covered;
}

/** Rules of a log, in the order of the report. Ids are API. */
export const LOG_RULES = [
  'log.format',
  'log.unboundEvent',
  'log.eventName',
  'log.eventDigest',
] as const;
export type LogRuleId = (typeof LOG_RULES)[number];

export interface LogFailure {
  readonly id: LogRuleId;
  /** Our words and numbers; never a text of the log. */
  readonly reason: string;
}

export interface EventLog {
  readonly kind: 'ccel' | 'dstack';
  readonly events: readonly LogEvent[];
  /** Well-formed, but not to be used: the first offence against each rule. Empty for a sound log. */
  readonly failures: readonly LogFailure[];
}

/** Whether the event changed a register. */
export function isMeasured({ covered }: LogEvent): boolean {
  return covered.kind !== 'unmeasured';
}

/** Collects the first offence against each rule: a hostile log cannot make the report long. */
export class FailureList {
  readonly #failures = new Map<LogRuleId, LogFailure>();

  add(id: LogRuleId, reason: string): void {
    if (!this.#failures.has(id)) this.#failures.set(id, { id, reason });
  }

  list(): readonly LogFailure[] {
    return LOG_RULES.flatMap((id) => this.#failures.get(id) ?? []);
  }
}
