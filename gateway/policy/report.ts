/** What an operator sees of the policies: in force, candidate, freshness, troubles. Names and numbers, no content. @module */

import { toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import type { JsonObject } from '../../core/json.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import type { PublicationState } from '../../attestation/publication/memory.ts';
import type { Alarms } from './alarms.ts';
import type { PolicyDesk } from './desk.ts';
import type { Keeper } from './keeper.ts';
import type { ShadowReport } from './shadow.ts';

export type PolicyStatus = JsonObject;

export class PolicyReport {
  readonly #desk: PolicyDesk;
  readonly #alarms: Alarms | undefined;
  readonly #keeper: Keeper | undefined;
  shadow: (ShadowReport & { readonly serial: number; readonly atMs: number }) | undefined;

  constructor(desk: PolicyDesk, alarms?: Alarms, keeper?: Keeper) {
    this.#desk = desk;
    this.#alarms = alarms;
    this.#keeper = keeper;
  }

  status(nowMs: number): PolicyStatus {
    const candidate = this.#desk.candidate();
    const state = this.#keeper?.state();
    return {
      policy: named(this.#desk.current()),
      candidate:
        candidate === undefined ? null : { ...named(candidate.policy), share: candidate.share },
      shadow: this.shadow === undefined ? null : shadowJson(this.shadow),
      publication: state === undefined ? null : publicationJson(state),
      stale: this.#desk.staleBecause(nowMs) ?? null,
      troubles: (this.#alarms?.troubles() ?? []).map(({ what, code, sinceMs }) => ({
        what,
        code,
        since: formatInstant(sinceMs),
      })),
    };
  }
}

/** Null with an unsigned policy. */
function publicationJson({ root, release, revocations, timestamp }: PublicationState): JsonObject {
  const timeMs = timestamp?.document.payload.timeMs;
  return {
    root: root.payload.version,
    release: release?.document.payload.number ?? null,
    revocations: revocations?.document.payload.number ?? null,
    revoked: revocations?.document.payload.entries.length ?? 0,
    timestamp: timeMs === undefined ? null : formatInstant(timeMs),
  };
}

function named({ document, digest }: CompiledPolicy): JsonObject {
  const { name, serial, expires } = document;
  return { name, serial, digest: `sha256:${toHex(digest)}`, expires: formatInstant(expires) };
}

function shadowJson({
  serial,
  atMs,
  judged,
  changes,
}: NonNullable<PolicyReport['shadow']>): JsonObject {
  return {
    serial,
    at: formatInstant(atMs),
    judged,
    changes: changes.map(({ workerId, change, check, rule }) => ({
      workerId,
      change,
      check,
      rule: rule ?? null,
    })),
  };
}
