/** What somebody is about to sign, against what is in force. @module */

import { heldBundles } from '../../attestation/publication/find-bundles.ts';
import type { PublicationState } from '../../attestation/publication/memory.ts';
import type { Release, ReleasedPolicy } from '../../attestation/publication/release.ts';
import type { DatedRevocation, RevocationList } from '../../attestation/publication/revocations.ts';
import { equalPublic, toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { policyInForce } from './bundle-checks.ts';
import { documentDigest, documentName, policyNameOf, type OpenedDocument } from './documents.ts';
import { fromNow } from './lifetime.ts';
import { changeLines } from './policy-changes.ts';

export interface Shown {
  readonly facts: readonly (readonly [label: string, text: string | undefined])[];
  /** Against what is in force, one line each. */
  readonly changes: readonly string[];
  /** What the changes are against. */
  readonly against: string | undefined;
}

export function shownDocument(
  document: OpenedDocument,
  state: PublicationState,
  nowMs: number,
): Shown {
  const head = [
    ['document', documentName(document)],
    ['digest', documentDigest(document)],
  ] as const;
  switch (document.kind) {
    case 'bundle': {
      const { issued, expires, note } = document.policy.document;
      const before = policyInForce(state);
      return {
        facts: [
          ...head,
          ['issued', `${formatInstant(issued)} (${fromNow(issued, nowMs)})`],
          ['expires', `${formatInstant(expires)} (${fromNow(expires, nowMs)})`],
          ['note', note],
        ],
        changes: before === undefined ? [] : changeLines(before, document.policy),
        against: before && `${policyNameOf(before)}, in force`,
      };
    }
    case 'release':
      return {
        facts: [...head, ...releaseFacts(document.release)],
        changes: releaseChanges(document.release, state),
        against: state.release && `release ${state.release.document.payload.number}`,
      };
    case 'revocations': {
      const before = state.revocations?.document.payload;
      return {
        facts: [...head, ['entries', String(document.list.entries.length)]],
        changes: listChanges(before, document.list),
        against: `list ${before?.number ?? 'empty'}`,
      };
    }
    case 'root':
    case 'timestamp':
  }
  return { facts: head, changes: [], against: undefined };
}

export function releaseFacts({ current, candidate }: Release): Shown['facts'] {
  return [
    ['in force', releasedText(current)],
    [
      'candidate',
      candidate === null ? 'none' : `${releasedText(candidate)}, ${shareText(candidate.share)}`,
    ],
  ];
}

export function releasedText({ serial, digest }: ReleasedPolicy): string {
  return `serial ${serial}, sha256:${toHex(digest)}`;
}

export function shareText(share: number): string {
  return share === 0 ? 'shadow: judged, in force for nobody' : `in force for ${share} % of workers`;
}

function releaseChanges(next: Release, state: PublicationState): readonly string[] {
  const before = state.release?.document.payload;
  if (before === undefined) return [`+ serial ${next.current.serial} comes into force`];
  const lines: string[] = [];
  if (before.current.serial !== next.current.serial) {
    lines.push(`~ in force: serial ${before.current.serial} → ${next.current.serial}`);
  }
  lines.push(...otherContents(next, state));
  const candidateText = ({ candidate }: Release): string =>
    candidate === null ? 'none' : `serial ${candidate.serial} at ${candidate.share} %`;
  if (candidateText(before) !== candidateText(next)) {
    lines.push(`~ candidate: ${candidateText(before)} → ${candidateText(next)}`);
  }
  const known = heldBundles(state).map(({ document }) => document.payload.policy);
  const from = known.find(({ document }) => document.serial === before.current.serial);
  const to = known.find(({ document }) => document.serial === next.current.serial);
  const named = [next.current, ...(next.candidate === null ? [] : [next.candidate])];
  const unseen = named.filter((it) => !known.some(({ document }) => document.serial === it.serial));
  lines.push(
    ...unseen.map(
      ({ serial }) => `! serial ${serial} is not published yet: look at its bundle too`,
    ),
  );
  if (from === undefined || to === undefined || from === to) return lines;
  return [...lines, ...changeLines(from, to).map((line) => `  ${line}`)];
}

/** Readers take it for what it is, two contents under one serial; whoever signs it should not have to find out from them. */
function otherContents(
  { current, candidate }: Release,
  state: PublicationState,
): readonly string[] {
  return [current, ...(candidate === null ? [] : [candidate])].flatMap(({ serial, digest }) => {
    const held = heldBundles(state)
      .map(({ document }) => document.payload.policy)
      .find(({ document }) => document.serial === serial);
    if (held === undefined || equalPublic(held.digest, digest)) return [];
    return [`! serial ${serial} with ANOTHER CONTENT than the one that is published`];
  });
}

/** By kind and value, as readers do. */
export function listChanges(
  before: RevocationList | undefined,
  next: RevocationList,
): readonly string[] {
  const text = ({ kind, value }: DatedRevocation): string => `${kind} ${value}`;
  const was = new Map((before?.entries ?? []).map((entry) => [text(entry), entry]));
  const is = new Map(next.entries.map((entry) => [text(entry), entry]));
  const added = [...is].filter(([name]) => !was.has(name));
  const removed = [...was].filter(([name]) => !is.has(name));
  return [
    ...added.map(([name, { reason, by }]) => `+ revoked: ${name} (${by}: ${reason})`),
    ...removed.map(([name]) => `- TRUSTED AGAIN: ${name}`),
  ];
}
