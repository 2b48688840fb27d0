/**
 * What makes bytes worth keeping. Whatever an item's bytes came from (evidence, memory of an earlier run, a bundle, the
 * network), they become `Verified` here or nowhere: genuine down to the pinned root, about what was asked for, current.
 * @module
 */

import { sha256 } from '#primitives';
import { equalPublic, lengthPrefixed, toHex } from '../../core/bytes.ts';
import type { Certificate } from '../pki/certificate.ts';
import { isValidAt } from '../pki/chain.ts';
import type { Crl } from '../pki/crl.ts';
import { expired, invalid } from './errors.ts';
import type { Item, ItemKind } from './items.ts';

/** As stored and bundled. */
export interface RawItem {
  /** A document as JSON, a list or certificate as DER; empty for a chain. */
  readonly body: Uint8Array;
  /** PEM, issuer of the body first, root last; empty where the root itself is the issuer, and for leaves. */
  readonly chain: string;
}

/** Which of two is newer: the number decides, between equal numbers the date. */
export interface Rank {
  readonly number: bigint;
  readonly dateMs: number;
}

export function compareRank(a: Rank, b: Rank): number {
  if (a.number !== b.number) return a.number < b.number ? -1 : 1;
  return a.dateMs - b.dateMs;
}

/** For certificates: none is newer than another of the same key. */
export const NO_RANK: Rank = { number: 0n, dateMs: 0 };

export interface Verified {
  readonly item: Item;
  readonly key: string;
  /** Rebuilt from what was verified: members that no signature covers are gone. */
  readonly raw: RawItem;
  /** CRL number and thisUpdate, or evaluation data number and issueDate. */
  readonly rank: Rank;
  /** The last instant at which everything it rests on is valid; lists beside it are judged apart. */
  readonly expiresAtMs: number;
  /** Of the certificates that vouch for it, as in revocation lists. */
  readonly serials: readonly string[];
  /** The chain of the support that it was judged under, where no other will do. */
  readonly under?: string;
  /** Lists only. */
  readonly list?: VerifiedList;
}

export interface VerifiedList {
  /** See `listIssuerId`. */
  readonly issuerId: string;
  readonly revoked: ReadonlySet<string>;
}

export interface JudgeContext {
  readonly nowMs: number;
  /** As `supportsOf` names them, in that order, and valid at `nowMs`. */
  readonly supports: readonly Verified[];
}

/** Throws `collateral.invalid`, `collateral.expired`. */
export type Judge<Kind extends Item> = (
  item: Kind,
  raw: RawItem,
  context: JudgeContext,
) => Verified;

/** Whether something verified earlier may still be used. Both ends of a validity belong to it. */
export function holds(verified: Verified, { nowMs, supports }: JudgeContext): boolean {
  const { expiresAtMs, serials, under } = verified;
  if (nowMs > expiresAtMs) return false;
  if (under !== undefined && !supports.some(({ raw }) => raw.chain === under)) return false;
  return !supports.some(({ list }) => serials.some((serial) => list?.revoked.has(serial)));
}

/**
 * Who numbers the lists: name and key of the issuing CA, so that a CA whose certificate is renewed stays the same. Lower
 * case hex. `scope` tells lists apart that one CA numbers separately.
 */
export function listIssuerId(
  { subject, publicKey }: Pick<Certificate, 'subject' | 'publicKey'>,
  scope = '',
): string {
  const key = publicKey?.identity() ?? new Uint8Array();
  const digest = sha256(lengthPrefixed(subject), lengthPrefixed(key));
  return scope === '' ? toHex(digest) : `${toHex(digest)}.${scope}`;
}

/**
 * A list by this issuer and not from the future; its end is the caller's to judge. `scope` as in `listIssuerId`. Throws
 * `collateral.invalid`.
 */
export function judgedList(
  kind: ItemKind,
  crl: Crl,
  by: { readonly issuer: Certificate; readonly nowMs: number; readonly scope?: string },
): { readonly crl: Crl; readonly judged: Pick<Verified, 'rank' | 'list'> } {
  const { issuer, nowMs, scope } = by;
  if (!equalPublic(crl.issuer, issuer.subject)) throw invalid(kind, 'another issuer');
  if (!crl.signed.isSignedBy(issuer.publicKey)) throw invalid(kind, 'signature');
  if (crl.thisUpdateMs > nowMs) throw invalid(kind, 'from the future');
  return {
    crl,
    judged: {
      rank: { number: crl.number, dateMs: crl.thisUpdateMs },
      list: { issuerId: listIssuerId(issuer, scope), revoked: crl.revokedSerials },
    },
  };
}

/** Both bounds belong to the validity. Throws `collateral.*`. */
export function assertValid(kind: ItemKind, certificate: Certificate, nowMs: number): void {
  if (isValidAt(certificate, nowMs)) return;
  throw nowMs > certificate.notAfterMs ? expired(kind) : invalid(kind, 'issuer not yet valid');
}
