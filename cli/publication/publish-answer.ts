/** What a command says that published, or prepared what others have to sign. @module */

import type { Page } from '../attest/text.ts';
import {
  EXIT,
  jsonAnswer,
  textAnswer,
  type PolicyAnswer,
  type PolicyQuestion,
} from '../policy/answer.ts';
import type { PublicationState } from '../../attestation/publication/memory.ts';
import { policyInForce } from './bundle-checks.ts';
import { documentName } from './documents.ts';
import type { SignedRelease } from './next-release.ts';
import { changeLines } from './policy-changes.ts';
import type { Published } from './publishing.ts';
import { facts, indented, nextSteps } from './rows.ts';
import { releaseFacts } from './show-document.ts';
import { standing, standingText } from './standing.ts';

export function draftAnswer(
  question: PolicyQuestion,
  { document, as, path }: Extract<SignedRelease, { outcome: 'draft' }>,
  { state, page, publishWith }: DraftContext,
): PolicyAnswer {
  const there = standing(document.envelope, state.root.payload, 'release');
  if (question.json) {
    return jsonAnswer(question, EXIT.findings, {
      published: false,
      out: path,
      as,
      signatures: [there],
    });
  }
  const repo = publishWith.directory;
  return textAnswer(EXIT.findings, [
    'NOT published: others have to sign too',
    ...facts(
      [
        ['document', documentName(document)],
        ...releaseFacts(document.release),
        ['signed', standingText(there)],
        ['file', path],
      ],
      page,
    ),
    ...nextSteps([
      `veilgate policy sign ${path} --as your.key --repo ${repo}`,
      ['veilgate policy publish --repo', repo, path, ...publishWith.files].join(' '),
    ]),
  ]);
}

export interface DraftContext {
  readonly state: PublicationState;
  readonly page: Page;
  readonly publishWith: { readonly directory: string; readonly files: readonly string[] };
}

export interface PublishedContext {
  readonly page: Page;
  readonly before: PublicationState;
  readonly more?: readonly string[];
}

export function publishedAnswer(
  question: PolicyQuestion,
  { state, accepted, written }: Published,
  { page, before, more = [] }: PublishedContext,
): PolicyAnswer {
  const release = state.release?.document;
  const revocations = state.revocations?.document.payload;
  const changes = publishedChanges(before, state);
  if (question.json) {
    return jsonAnswer(question, EXIT.ok, {
      published: true,
      written,
      accepted,
      changes,
      root: state.root.payload.version,
      release: release?.payload.number ?? null,
      serial: release?.payload.current.serial ?? null,
      candidate: release?.payload.candidate?.serial ?? null,
      share: release?.payload.candidate?.share ?? null,
      revocations: revocations?.number ?? null,
    });
  }
  return textAnswer(EXIT.ok, [
    `published ${written.join(', ')}`,
    ...facts(
      [
        ['root', String(state.root.payload.version)],
        ['release', release === undefined ? 'none yet' : String(release.payload.number)],
        ...(release === undefined ? [] : releaseFacts(release.payload)),
        ['revocations', revocations === undefined ? 'none yet' : `list ${revocations.number}`],
      ],
      page,
    ),
    ...(changes.length === 0 ? [] : ['', 'what is in force has changed']),
    ...indented(changes, page),
    ...nextSteps(more),
  ]);
}

/** Of the policy in force. */
function publishedChanges(before: PublicationState, after: PublicationState): readonly string[] {
  const [was, is] = [policyInForce(before), policyInForce(after)];
  return was === undefined || is === undefined || was === is ? [] : changeLines(was, is);
}
