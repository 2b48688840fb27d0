/**
 * `veilgate policy publish`: what is signed goes out, if every reader would take it. Exit status: 0 published, 1 refused or
 * more have to sign, 2 wrong usage, 3 a file cannot be read or written. Spec: docs/publication.md §2.
 * @module
 */

import { InvalidArgumentError, type Command } from 'commander';
import type { PublicationState } from '../../attestation/publication/memory.ts';
import type { Release } from '../../attestation/publication/release.ts';
import { systemClock } from '../../core/clock.ts';
import type { Page } from '../attest/text.ts';
import { cliError } from '../errors.ts';
import { readPinnedRepository, ROOT_OPTION } from '../publication/pinned-root.ts';
import { assertInTime, assertNextSerial, assertSameName } from '../publication/bundle-checks.ts';
import { collect } from '../publication/collect.ts';
import { openDocument, type OpenedBundle, type OpenedDocument } from '../publication/documents.ts';
import { refused } from '../publication/errors.ts';
import { releaseAfter, signRelease } from '../publication/next-release.ts';
import { ownState } from '../publication/own-state.ts';
import { draftAnswer, publishedAnswer } from '../publication/publish-answer.ts';
import { publish, type Publication } from '../publication/publishing.ts';
import { type RepositoryFiles } from '../publication/repository.ts';
import { standing, standingText } from '../publication/standing.ts';
import { respond, type PolicyAnswer, type PolicyQuestion } from './answer.ts';

const SHARE_MAX = 99;

interface PublishOptions {
  readonly repo: string;
  readonly bundle?: string;
  readonly as?: readonly string[];
  readonly candidate?: number | true;
  readonly out?: string;
  readonly retire?: true;
  readonly root?: string;
  readonly json?: true;
}

const EXAMPLES = `
  veilgate policy publish --repo repo --bundle 43.json --as dora.key --candidate
      the policy is judged beside the one in force; then "policy promote"
  veilgate policy publish --repo repo --bundle 43.json --as dora.key
      the policy comes into force at once, for all workers
  veilgate policy publish --repo repo 2.json
      a root, release or list that enough people have signed

Exit status: 0 published, 1 refused or more have to sign, 2 wrong usage, 3 a
file cannot be read.`;

export function registerPublishCommand(parent: Command): void {
  parent
    .command('publish')
    .description('put a signed policy, or other signed files, where readers look')
    .argument('[file...]', 'signed roots, releases, lists, or bundles with more signatures')
    .requiredOption('--repo <dir>', 'the repository')
    .option('--bundle <file>', 'a policy that enough people have signed: makes the next release')
    .option(
      '--as <keyfile>',
      'a secret key of the role release; several times if more are needed',
      collect,
    )
    .option(
      '--candidate [share]',
      'beside the one in force: for 0 (shadow) to 99 % of workers',
      share,
    )
    .option('--out <file>', 'where the release goes if others have to sign it too')
    .option('--retire', 'a root that puts out of force what is published: its keys were stolen')
    .option(...ROOT_OPTION)
    .option('--json', 'one line of JSON')
    .addHelpText('after', EXAMPLES)
    .action((paths: readonly string[], options: PublishOptions) => {
      const question = { command: 'publish', json: options.json === true };
      return respond(question, (page) => publishAnswer(question, { paths, ...options }, page));
    });
}

export function share(text: string): number {
  if (/^\d{1,2}$/.test(text) && Number(text) <= SHARE_MAX) return Number(text);
  throw new InvalidArgumentError(`want a percentage from 0 to ${SHARE_MAX}`);
}

async function publishAnswer(
  question: PolicyQuestion,
  options: PublishOptions & { readonly paths: readonly string[] },
  page: Page,
): Promise<PolicyAnswer> {
  const { paths, bundle } = options;
  if ((bundle === undefined) === (paths.length === 0)) {
    throw cliError(
      'cli.option',
      'name either signed files, or --bundle with the policy to release',
    );
  }
  const nowMs = systemClock();
  const files = readPinnedRepository(options.repo, options.root);
  const { state } = ownState(files, nowMs);
  if (bundle !== undefined)
    return releaseBundle(question, { ...options, bundle }, { files, state, nowMs, page });
  const publication = signedFiles(paths.map(openDocument), options);
  const done = await publish(files, publication, { nowMs, mayRetire: options.retire === true });
  return publishedAnswer(question, done, { page, before: state });
}

interface Context {
  readonly files: RepositoryFiles;
  readonly state: PublicationState;
  readonly nowMs: number;
  readonly page: Page;
}

async function releaseBundle(
  question: PolicyQuestion,
  options: PublishOptions & { readonly bundle: string },
  { files, state, nowMs, page }: Context,
): Promise<PolicyAnswer> {
  const document = openDocument(options.bundle);
  if (document.kind !== 'bundle') {
    throw refused(`${options.bundle} is a ${document.kind}`, `name it without --bundle`);
  }
  assertSameName(document.policy.document.name, state);
  assertSigned(document, state, options.repo);
  assertInTime(document.policy, nowMs);
  assertNextSerial(document.policy, files, state);
  if (options.as === undefined) {
    throw cliError(
      'cli.option',
      '--as is missing: a key of the role release signs that it is in force',
    );
  }
  const payload = releaseAfter(files, state, {
    nowMs,
    ...releasedBy(document, state, options.candidate),
  });
  const signed = signRelease(payload, state, { as: options.as, out: options.out });
  if (signed.outcome === 'draft') {
    const publishWith = { directory: options.repo, files: [options.bundle] };
    return draftAnswer(question, signed, { state, page, publishWith });
  }
  const bundles = new Map([[document.policy.document.serial, document.bytes]]);
  const done = await publish(files, { bundles, release: signed.document.bytes }, { nowMs });
  return publishedAnswer(question, done, {
    page,
    before: state,
    more: afterRelease(files, options),
  });
}

function afterRelease(
  files: RepositoryFiles,
  { repo, candidate }: PublishOptions,
): readonly string[] {
  return [
    ...(candidate === undefined
      ? []
      : [`veilgate policy promote --repo ${repo} --as release.key --share 5`]),
    ...(files.timestamp === undefined
      ? [`veilgate revoke timestamp --repo ${repo} --as timestamp.key`]
      : []),
  ];
}

/** Throws `repository.refused`. */
export function assertSigned(
  document: OpenedBundle,
  { root }: PublicationState,
  repo: string,
): void {
  const there = standing(document.envelope, root.payload, 'policy');
  if (there.missing === 0) return;
  throw refused(
    `not enough have signed ${document.path}. ${standingText(there)}`,
    `veilgate policy sign ${document.path} --as your.key --repo ${repo} --source CHECKOUT`,
  );
}

function releasedBy(
  { policy }: OpenedBundle,
  { release }: PublicationState,
  candidate: PublishOptions['candidate'],
): Pick<Release, 'current' | 'candidate'> {
  const named = { serial: policy.document.serial, digest: policy.digest };
  if (candidate === undefined) return { current: named, candidate: null };
  if (release === undefined) {
    throw refused(
      'there is no policy in force yet, so there is nothing this one could be a candidate beside',
      'leave --candidate out',
    );
  }
  const percent = candidate === true ? 0 : candidate;
  return { current: release.document.payload.current, candidate: { ...named, share: percent } };
}

function signedFiles(documents: readonly OpenedDocument[], { as }: PublishOptions): Publication {
  if (as !== undefined) {
    throw cliError(
      'cli.option',
      '--as goes with --bundle; signed files are signed with "policy sign"',
    );
  }
  const roots = documents
    .filter((it) => it.kind === 'root')
    .sort((a, b) => a.root.version - b.root.version);
  const bundles = documents.filter((it) => it.kind === 'bundle');
  const [release, ...otherReleases] = documents.filter((it) => it.kind === 'release');
  const [list, ...otherLists] = documents.filter((it) => it.kind === 'revocations');
  const timestamp = documents.find((it) => it.kind === 'timestamp');
  if (otherReleases.length > 0 || otherLists.length > 0) {
    throw cliError('cli.option', 'one release and one list of revocations at a time');
  }
  if (timestamp !== undefined) {
    throw refused(
      `${timestamp.path} is a timestamp`,
      'it is published by "veilgate revoke timestamp"',
    );
  }
  return {
    ...(roots.length === 0 ? {} : { roots: roots.map(({ bytes }) => bytes) }),
    ...(bundles.length === 0
      ? {}
      : { bundles: new Map(bundles.map(({ policy, bytes }) => [policy.document.serial, bytes])) }),
    ...(release === undefined ? {} : { release: release.bytes }),
    ...(list === undefined ? {} : { revocations: list.bytes }),
  };
}
