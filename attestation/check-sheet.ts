/**
 * The sheet on which one verification writes the outcome of each check of its list. A check that nobody wrote is a bug,
 * not a pass: closing the sheet throws then.
 * @module
 */

import { assert, internalError } from '../core/errors.ts';
import { passedCheck, skippedCheck, waivedCheck } from './shared-checks.ts';
import type { Check } from './verdict.ts';

/** Room for a digest of 64 bytes and words around it; a verdict must not carry what a sender wrote at length. */
const TEXT_MAX_CHARS = 200;

function bounded(text: string): string {
  return text.length <= TEXT_MAX_CHARS ? text : `${text.slice(0, TEXT_MAX_CHARS - 1)}…`;
}

export type LazyText = string | (() => string);

export function textOf(text: LazyText): string {
  return typeof text === 'string' ? text : text();
}

export class CheckSheet<Id extends string> {
  readonly #ids: readonly Id[];
  readonly #checks = new Map<Id, Check>();

  /** `ids`: every check there is, in the order of the report. */
  constructor(ids: readonly Id[]) {
    this.#ids = ids;
  }

  #write(id: Id, check: Check): void {
    if (this.#checks.has(id)) throw internalError('internal.invariant', `${id} written twice`);
    this.#checks.set(id, check);
  }

  pass(id: Id): void {
    this.#write(id, passedCheck(id));
  }

  fail(id: Id, want: string, got: string): void {
    this.#write(id, { id, outcome: 'fail', want, got: bounded(got) });
  }

  waive(id: Id, by: string, note: string): void {
    this.#write(id, waivedCheck(id, by, note));
  }

  /** Texts that cost something are made only when needed. */
  judge(id: Id, holds: boolean, want: LazyText, got: LazyText): void {
    if (holds) this.pass(id);
    else this.fail(id, textOf(want), textOf(got));
  }

  /** `cause` is a check already written; where it was itself skipped, its own cause is named. */
  skip(ids: readonly Id[], cause: Id): void {
    const check = this.#checks.get(cause);
    assert(check !== undefined && !this.passed(cause), 'a check is skipped without a cause');
    const because = check.outcome === 'skipped' ? check.because : cause;
    for (const id of ids) this.#write(id, skippedCheck(id, because));
  }

  passed(id: Id): boolean {
    const outcome = this.#checks.get(id)?.outcome;
    return outcome === 'pass' || outcome === 'waived';
  }

  /** Throws when nobody wrote it. */
  outcome(id: Id): Check {
    const check = this.#checks.get(id);
    if (check === undefined) throw internalError('internal.invariant', `${id} not written`);
    return check;
  }

  /** The first of `ids` that did not pass. */
  firstBad(ids: readonly Id[]): Id | undefined {
    return ids.find((id) => !this.passed(id));
  }

  /** Every check, in the fixed order. */
  close(): readonly Check[] {
    return this.#ids.map((id) => this.outcome(id));
  }
}
