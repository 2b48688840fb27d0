/**
 * Judges a revocation list and what it says about a certificate. A list counts only when the certificate that issued the
 * judged one signed it: an empty list from elsewhere clears nobody, a foreign list revokes nobody.
 * Spec: RFC 5280 §6.3.
 * @module
 */

import { equalPublic } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import type { Attempt } from '../attempt.ts';
import type { CheckSheet } from '../check-sheet.ts';
import type { Certificate } from './certificate.ts';
import type { Crl } from './crl.ts';

/** A list that its issuer made, or the check that speaks against it. Freshness is judged apart. */
export type JudgedList<Id extends string> =
  | { readonly outcome: 'believed'; readonly crl: Crl }
  | { readonly outcome: 'disbelieved'; readonly cause: Id };

/** The checks that one list is judged by. */
export interface ListCheckIds<Id extends string> {
  readonly format: Id;
  readonly issuer: Id;
  readonly signature: Id;
  readonly freshness: Id;
}

export interface ListContext<Id extends string> {
  readonly sheet: CheckSheet<Id>;
  readonly nowMs: number;
  /** Undefined when the chain could not be read; `cause` says which check that was. */
  readonly issuer: Certificate | undefined;
  readonly cause: Id;
}

export function judgeList<Id extends string>(
  ids: ListCheckIds<Id>,
  read: Attempt<Crl>,
  { sheet, nowMs, issuer, cause }: ListContext<Id>,
): JudgedList<Id> {
  if (read.outcome === 'malformed') {
    sheet.fail(ids.format, 'a complete version 2 list', read.reason);
    sheet.skip([ids.issuer, ids.signature, ids.freshness], ids.format);
    return { outcome: 'disbelieved', cause: ids.format };
  }
  const crl = read.value;
  sheet.pass(ids.format);
  if (issuer === undefined) {
    sheet.skip([ids.issuer, ids.signature], cause);
  } else {
    const named = equalPublic(crl.issuer, issuer.subject);
    sheet.judge(ids.issuer, named, 'the issuing CA of the chain', 'another issuer');
    const signed = crl.signed.isSignedBy(issuer.publicKey);
    sheet.judge(ids.signature, signed, 'a signature of the issuing CA', 'another signature');
  }
  sheet.judge(
    ids.freshness,
    crl.thisUpdateMs <= nowMs && nowMs <= crl.nextUpdateMs,
    () => `current at ${formatInstant(nowMs)}`,
    () => `${formatInstant(crl.thisUpdateMs)} to ${formatInstant(crl.nextUpdateMs)}`,
  );
  const against = sheet.firstBad([ids.issuer, ids.signature]);
  if (against !== undefined) return { outcome: 'disbelieved', cause: against };
  return { outcome: 'believed', crl };
}

/** Writes one revocation check: skipped unless the list may be believed. */
export function judgeRevoked<Id extends string>(
  id: Id,
  certificate: Certificate,
  list: JudgedList<Id>,
  sheet: CheckSheet<Id>,
): void {
  if (list.outcome === 'disbelieved') {
    sheet.skip([id], list.cause);
    return;
  }
  const revoked = list.crl.revokedSerials.has(certificate.serial);
  sheet.judge(id, !revoked, 'not revoked', () => `serial ${certificate.serial} is listed`);
}
