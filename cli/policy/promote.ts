/**
 * `veilgate policy promote`: a candidate for a greater share of workers, for all of them, or withdrawn. Exit status: 0
 * published, 1 refused or more have to sign, 2 wrong usage, 3 a file cannot be read or written.
 * @module
 */

import type { Command } from 'commander';
import type { Release } from '../../attestation/publication/release.ts';
import { systemClock } from '../../core/clock.ts';
import type { Page } from '../attest/text.ts';
import { readPinnedRepository, ROOT_OPTION } from '../publication/pinned-root.ts';
import { assertInTime } from '../publication/bundle-checks.ts';
import { collect } from '../publication/collect.ts';
import { refused } from '../publication/errors.ts';
import { releaseAfter, signRelease } from '../publication/next-release.ts';
import { ownState } from '../publication/own-state.ts';
import { draftAnswer, publishedAnswer } from '../publication/publish-answer.ts';
import { publish } from '../publication/publishing.ts';
import { respond, type PolicyAnswer, type PolicyQuestion } from './answer.ts';
import { share } from './publish.ts';

interface PromoteOptions {
  readonly repo: string;
  readonly as: readonly string[];
  readonly share: number | 'full' | 'none';
  readonly out?: string;
  readonly root?: string;
  readonly json?: true;
}

export function registerPromoteCommand(parent: Command): void {
  parent
    .command('promote')
    .description('give the candidate a share of the workers, or all of them')
    .requiredOption('--repo <dir>', 'the repository')
    .requiredOption('--share <percent>', '0 to 99, "full", or "none" to withdraw it', shareOrWord)
    .requiredOption(
      '--as <keyfile>',
      'a secret key of the role release; several times if more are needed',
      collect,
    )
    .option('--out <file>', 'where the release goes if others have to sign it too')
    .option(...ROOT_OPTION)
    .option('--json', 'one line of JSON')
    .action((options: PromoteOptions) => {
      const question = { command: 'promote', json: options.json === true };
      return respond(question, (page) => promoteAnswer(question, options, page));
    });
}

function shareOrWord(text: string): PromoteOptions['share'] {
  return text === 'full' || text === 'none' ? text : share(text);
}

async function promoteAnswer(
  question: PolicyQuestion,
  options: PromoteOptions,
  page: Page,
): Promise<PolicyAnswer> {
  const nowMs = systemClock();
  const files = readPinnedRepository(options.repo, options.root);
  const { state } = ownState(files, nowMs);
  const before = state.release?.document.payload;
  const candidate = state.release?.candidate?.document.payload.policy;
  if (before === undefined || candidate === undefined) {
    throw refused(
      'there is no candidate',
      `veilgate policy publish --repo ${options.repo} --bundle FILE --as release.key --candidate`,
    );
  }
  if (options.share !== 'none') assertInTime(candidate, nowMs);
  const payload = releaseAfter(files, state, { nowMs, ...promoted(before, options.share) });
  const signed = signRelease(payload, state, { as: options.as, out: options.out });
  if (signed.outcome === 'draft') {
    return draftAnswer(question, signed, {
      state,
      page,
      publishWith: { directory: options.repo, files: [] },
    });
  }
  const done = await publish(files, { release: signed.document.bytes }, { nowMs });
  return publishedAnswer(question, done, { page, before: state });
}

function promoted(
  { current, candidate }: Release,
  asked: PromoteOptions['share'],
): Pick<Release, 'current' | 'candidate'> {
  if (candidate === null || asked === 'none') return { current, candidate: null };
  const { serial, digest, share: was } = candidate;
  if (asked === 'full') return { current: { serial, digest }, candidate: null };
  if (asked === was) {
    throw refused(`the candidate has ${was} % already`, 'name another --share, or "full"');
  }
  return { current, candidate: { serial, digest, share: asked } };
}
