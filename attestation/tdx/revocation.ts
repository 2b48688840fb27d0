/**
 * Judges the two revocation lists and what they say about the PCK chain. A list counts only when the certificate that
 * issued the judged one signed it: an empty list from elsewhere clears nobody, a foreign list revokes nobody.
 * Spec: Intel SGX PCK Certificate and CRL Profile Specification 1.5, §2; RFC 5280 §6.3.
 * @module
 */

import { equalPublic } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import type { Certificate } from './certificate.ts';
import type { PckChain } from './chain.ts';
import type { CheckSheet, TdxCheckId } from './check-list.ts';
import type { Crl } from './crl.ts';
import type { ReadList } from './read.ts';

export type ListKind = 'rootCrl' | 'pckCrl';

/** A list that its issuer made, or the check that speaks against it. Freshness is judged apart. */
export type JudgedList =
  | { readonly outcome: 'believed'; readonly crl: Crl }
  | { readonly outcome: 'disbelieved'; readonly cause: TdxCheckId };

interface ListContext {
  readonly sheet: CheckSheet;
  readonly nowMs: number;
  /** Undefined when the PCK chain could not be read; `cause` says which check that was. */
  readonly issuer: Certificate | undefined;
  readonly cause: TdxCheckId;
}

export function judgeList(kind: ListKind, read: ReadList, context: ListContext): JudgedList {
  const { sheet, nowMs, issuer, cause } = context;
  const [format, issuerId, signature, freshness] = [
    `${kind}.format`,
    `${kind}.issuer`,
    `${kind}.signature`,
    `${kind}.freshness`,
  ] as const;
  if (read.crl.outcome === 'malformed') {
    sheet.fail(format, 'a complete version 2 list', read.crl.reason);
    sheet.skip([issuerId, signature, freshness], format);
    return { outcome: 'disbelieved', cause: format };
  }
  const crl = read.crl.value;
  sheet.pass(format);
  if (issuer === undefined) {
    sheet.skip([issuerId, signature], cause);
  } else {
    const named = equalPublic(crl.issuer, issuer.subject);
    sheet.judge(issuerId, named, 'the issuing CA of the chain', 'another issuer');
    const signed = crl.signed.isSignedBy(issuer.publicKey.get());
    sheet.judge(signature, signed, 'a signature of the issuing CA', 'another signature');
  }
  sheet.judge(
    freshness,
    crl.thisUpdateMs <= nowMs && nowMs <= crl.nextUpdateMs,
    () => `current at ${formatInstant(nowMs)}`,
    () => `${formatInstant(crl.thisUpdateMs)} to ${formatInstant(crl.nextUpdateMs)}`,
  );
  const against = sheet.firstBad([issuerId, signature]);
  if (against !== undefined) return { outcome: 'disbelieved', cause: against };
  return { outcome: 'believed', crl };
}

/** Writes one revocation check: skipped unless the list may be believed. */
export function judgeRevoked(
  id: TdxCheckId,
  certificate: Certificate,
  list: JudgedList,
  sheet: CheckSheet,
): void {
  if (list.outcome === 'disbelieved') {
    sheet.skip([id], list.cause);
    return;
  }
  const revoked = list.crl.revokedSerials.has(certificate.serial);
  sheet.judge(id, !revoked, 'not revoked', () => `serial ${certificate.serial} is listed`);
}

const CHAIN_REVOCATION = ['pck.revoked', 'pck.intermediateRevoked', 'pck.rootRevoked'] as const;

export function judgeChainRevocation(
  chain: PckChain | undefined,
  lists: { readonly rootCrl: JudgedList; readonly pckCrl: JudgedList },
  context: { readonly sheet: CheckSheet; readonly cause: TdxCheckId },
): void {
  const { sheet } = context;
  if (chain === undefined) {
    sheet.skip(CHAIN_REVOCATION, context.cause);
    return;
  }
  judgeRevoked('pck.revoked', chain.leaf, lists.pckCrl, sheet);
  judgeRevoked('pck.intermediateRevoked', chain.intermediate, lists.rootCrl, sheet);
  judgeRevoked('pck.rootRevoked', chain.root, lists.rootCrl, sheet);
}
