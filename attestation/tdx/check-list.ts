/**
 * The complete list of TDX checks, and the sheet on which one verification writes their outcomes. A check that nobody
 * wrote is a bug, not a pass: closing the sheet throws then.
 * @module
 */

import { assert, internalError } from '../../core/errors.ts';
import type { Check } from '../verdict.ts';

/** Authenticity, in the order of the report. Ids are API. */
export const AUTHENTICITY_CHECKS = [
  'quote.format',
  'quote.qeVendor',
  'quote.attestationKey',
  'quote.signature',
  'qe.keyBinding',
  'qe.reportSignature',
  'pck.chain',
  'pck.root',
  'pck.leafRole',
  'pck.caConstraint',
  'pck.validity',
  'pck.extension',
  'rootCrl.format',
  'rootCrl.issuer',
  'rootCrl.signature',
  'rootCrl.freshness',
  'pckCrl.format',
  'pckCrl.issuer',
  'pckCrl.signature',
  'pckCrl.freshness',
  'pck.revoked',
  'pck.intermediateRevoked',
  'pck.rootRevoked',
  'tcbInfo.format',
  'tcbInfo.chain',
  'tcbInfo.signerRole',
  'tcbInfo.signerValidity',
  'tcbInfo.signerRevoked',
  'tcbInfo.signature',
  'tcbInfo.freshness',
  'tcbInfo.id',
  'tcbInfo.version',
  'tcbInfo.tcbType',
  'tcbInfo.fmspc',
  'tcbInfo.pceId',
  'qeIdentity.format',
  'qeIdentity.chain',
  'qeIdentity.signerRole',
  'qeIdentity.signerValidity',
  'qeIdentity.signerRevoked',
  'qeIdentity.signature',
  'qeIdentity.freshness',
  'qeIdentity.id',
  'qeIdentity.version',
  'qe.mrsigner',
  'qe.isvprodid',
  'qe.miscselect',
  'qe.attributes',
  'tdxModule.identity',
  'tdxModule.mrsigner',
  'tdxModule.attributes',
] as const;

/** Policy on a TD whose authenticity is settled above. */
export const POLICY_CHECKS = [
  'policy.tcbStatus',
  'policy.tcbStatus.current',
  'policy.advisories',
  'policy.minTcbEvaluationDataNumber',
  'policy.minTeeTcbSvn',
  'policy.td.debug',
  'policy.td.attributesReserved',
  'policy.td.septVeDisable',
  'policy.td.migratable',
  'policy.td.xfam',
  'policy.td.serviceTd',
  'policy.tdAttributes',
  'policy.xfam',
  'policy.mrSeam',
  'policy.mrTd',
  'policy.measurements',
  'policy.reportData',
  'policy.allowedPlatforms',
  'policy.deniedPlatforms',
] as const;

export const TDX_CHECK_IDS = [...AUTHENTICITY_CHECKS, ...POLICY_CHECKS] as const;
export type TdxCheckId = (typeof TDX_CHECK_IDS)[number];

/** Room for a digest of 64 bytes and words around it; a verdict must not carry what a sender wrote at length. */
const TEXT_MAX_CHARS = 200;

function bounded(text: string): string {
  return text.length <= TEXT_MAX_CHARS ? text : `${text.slice(0, TEXT_MAX_CHARS - 1)}…`;
}

type LazyText = string | (() => string);

function textOf(text: LazyText): string {
  return typeof text === 'string' ? text : text();
}

export class CheckSheet {
  readonly #checks = new Map<TdxCheckId, Check>();

  #write(id: TdxCheckId, check: Check): void {
    if (this.#checks.has(id)) throw internalError('internal.invariant', `${id} written twice`);
    this.#checks.set(id, check);
  }

  pass(id: TdxCheckId): void {
    this.#write(id, { id, outcome: 'pass' });
  }

  fail(id: TdxCheckId, want: string, got: string): void {
    this.#write(id, { id, outcome: 'fail', want, got: bounded(got) });
  }

  waive(id: TdxCheckId, by: string, note: string): void {
    this.#write(id, { id, outcome: 'waived', by, note });
  }

  /** Texts that cost something are made only when needed. */
  judge(id: TdxCheckId, holds: boolean, want: LazyText, got: LazyText): void {
    if (holds) this.pass(id);
    else this.fail(id, textOf(want), textOf(got));
  }

  /** `cause` is a check already written; where it was itself skipped, its own cause is named. */
  skip(ids: readonly TdxCheckId[], cause: TdxCheckId): void {
    const check = this.#checks.get(cause);
    assert(check !== undefined && !this.passed(cause), 'a check is skipped without a cause');
    const because = check.outcome === 'skipped' ? check.because : cause;
    for (const id of ids) this.#write(id, { id, outcome: 'skipped', because });
  }

  passed(id: TdxCheckId): boolean {
    const outcome = this.#checks.get(id)?.outcome;
    return outcome === 'pass' || outcome === 'waived';
  }

  /** The first of `ids` that did not pass. */
  firstBad(ids: readonly TdxCheckId[]): TdxCheckId | undefined {
    return ids.find((id) => !this.passed(id));
  }

  /** Every check, in the fixed order. */
  close(): readonly Check[] {
    return TDX_CHECK_IDS.map((id) => {
      const check = this.#checks.get(id);
      if (check === undefined) throw internalError('internal.invariant', `${id} not written`);
      return check;
    });
  }
}
