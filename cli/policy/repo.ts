/**
 * `veilgate policy repo init`: a repository of a signed root, with an empty list of revocations; or with `--trial` everything
 * of one person's, keys included, to see it work in ten minutes. Exit status: 0 made, 1 refused, 2 wrong usage, 3 a file
 * cannot be read or written.
 * @module
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { signEnvelope } from '../../attestation/publication/envelope.ts';
import { openPublication } from '../../attestation/publication/open.ts';
import { encodeRevocations } from '../../attestation/publication/revocations.ts';
import { encodeRoot } from '../../attestation/publication/root.ts';
import { equalPublic } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { makePrivateFolder } from '../../core/node/private-files.ts';
import type { Page } from '../attest/text.ts';
import { cliError } from '../errors.ts';
import { refused } from '../publication/errors.ts';
import { makeKey, readSigningKey, type SigningKey } from '../publication/keys.ts';
import { parseExpiry, wholeSecond } from '../publication/lifetime.ts';
import { ownState } from '../publication/own-state.ts';
import { publish } from '../publication/publishing.ts';
import { commit, readRepository, ROOT_FOLDER, rootFile } from '../publication/repository.ts';
import { rootWarnings, TRIAL } from '../publication/root-options.ts';
import { facts, nextSteps } from '../publication/rows.ts';
import { assertMaySign, standing, standingText } from '../publication/standing.ts';
import {
  EXIT,
  jsonAnswer,
  respond,
  textAnswer,
  type PolicyAnswer,
  type PolicyQuestion,
} from './answer.ts';
import { openRoot } from '../publication/root-report.ts';

const TRIAL_LIFETIME = '30d';

interface InitOptions {
  readonly repo: string;
  readonly root?: string;
  readonly as?: string;
  readonly trial?: string;
  readonly keys?: string;
  readonly json?: true;
}

const EXAMPLES = `
  veilgate policy repo init --repo repo --root 1.json --as carol.key
      a root that enough people have signed; carol may revoke
  veilgate policy repo init --repo repo --trial production --keys keys
      for trying it out alone: makes all keys in one place, for 30 days`;

export function registerRepoCommand(parent: Command): void {
  const repo = parent.command('repo').description('the directory that gateways and clients read');
  repo
    .command('init')
    .description('make one: the root, and an empty list of revocations')
    .requiredOption('--repo <dir>', 'the repository')
    .option('--root <file>', 'the first root, signed')
    .option('--as <keyfile>', 'a secret key of the role revocation: signs the empty list')
    .option('--trial <name>', 'for a trial: the name of the policy; makes keys and root as well')
    .option('--keys <dir>', 'where the keys of a trial go')
    .option('--json', 'one line of JSON')
    .addHelpText('after', EXAMPLES)
    .action((options: InitOptions) => {
      const question = { command: 'repo init', json: options.json === true };
      return respond(question, (page) => initAnswer(question, options, page));
    });
}

async function initAnswer(
  question: PolicyQuestion,
  options: InitOptions,
  page: Page,
): Promise<PolicyAnswer> {
  const { repo, root, trial, keys } = options;
  const nowMs = systemClock();
  if (trial !== undefined) {
    if (keys === undefined || root !== undefined || options.as !== undefined) {
      throw cliError('cli.option', '--trial goes with --keys DIR, and without --root and --as');
    }
    return await trialAnswer(question, { repo, trial, keys }, { nowMs, page });
  }
  if (root !== undefined) await placeRoot(repo, root, nowMs);
  else if (!existsSync(join(repo, ROOT_FOLDER))) {
    throw cliError(
      'cli.option',
      'name the signed root with --root, or --trial NAME with --keys DIR',
    );
  }
  const as = options.as === undefined ? undefined : readSigningKey(options.as);
  if (as !== undefined) await startList(repo, as, nowMs);
  return answer(
    question,
    { repo, keys: [], hasList: readRepository(repo).revocations !== undefined },
    page,
  );
}

/** Throws `repository.refused` for one that no reader could pin. */
async function placeRoot(repo: string, path: string, nowMs: number): Promise<void> {
  const { bytes, envelope, root } = openRoot(path);
  const there = standing(envelope, root, 'root');
  if (there.missing > 0) {
    throw refused(
      `not enough have signed ${path}. ${standingText(there)}`,
      `veilgate policy root sign ${path} --as your.key`,
    );
  }
  openPublication({ pinnedRoot: bytes, nowMs });
  if (existsSync(join(repo, ROOT_FOLDER))) {
    const [first] = readRepository(repo).roots;
    if (first !== undefined && equalPublic(first, bytes)) return;
    throw refused(
      `${repo} has a root already`,
      `a further one goes there with "veilgate policy publish --repo ${repo} ${path}"`,
    );
  }
  const name = rootFile(root.version);
  await commit(repo, [{ name, bytes }], [{ name, bytes: undefined }]);
}

/** Without a list readers are not fresh: an empty one says that nothing is revoked. */
async function startList(repo: string, key: SigningKey, nowMs: number): Promise<void> {
  const files = readRepository(repo);
  if (files.revocations !== undefined) {
    throw refused(
      `${repo} has a list of revocations already`,
      `veilgate revoke list --repo ${repo}`,
    );
  }
  const root = ownState(files, nowMs).state.root.payload;
  assertMaySign(key, [root], ['revocation']);
  const list = { policy: root.policy, number: 1, issuedMs: wholeSecond(nowMs), entries: [] };
  const bytes = signEnvelope('revocations', encodeRevocations(list), [key.secretKey]);
  await publish(files, { revocations: bytes }, { nowMs });
}

const TRIAL_ROLES = ['root', 'policy', 'release', 'revocation', 'timestamp'] as const;

async function trialAnswer(
  question: PolicyQuestion,
  { repo, trial, keys: folder }: Pick<InitOptions, 'repo'> & { trial: string; keys: string },
  { nowMs, page }: { readonly nowMs: number; readonly page: Page },
): Promise<PolicyAnswer> {
  if (existsSync(join(repo, ROOT_FOLDER))) {
    throw refused(`${repo} is a repository already`, 'take another --repo');
  }
  makePrivateFolder(folder);
  const keys = TRIAL_ROLES.map((role) => makeKey(`${TRIAL}${role}`, join(folder, `${role}.key`)));
  const roleOf = (at: number) => ({ threshold: 1, keys: [keys[at]?.name ?? ''] });
  const payload = encodeRoot({
    policy: trial,
    version: 1,
    issuedMs: wholeSecond(nowMs),
    expiresMs: parseExpiry(TRIAL_LIFETIME, nowMs),
    keys: keys.map(({ name, publicKey }) => ({ name, publicKey })),
    roles: {
      root: roleOf(0),
      policy: roleOf(1),
      release: roleOf(2),
      revocation: roleOf(3),
      timestamp: roleOf(4),
    },
  });
  const [rootKey, , , revocationKey] = keys;
  if (rootKey === undefined || revocationKey === undefined) throw cliError('cli.file', 'no keys');
  const bytes = signEnvelope('root', payload, [rootKey.secretKey]);
  const name = rootFile(1);
  await commit(repo, [{ name, bytes }], [{ name, bytes: undefined }]);
  await startList(repo, revocationKey, nowMs);
  return answer(question, { repo, keys: keys.map(({ path }) => path), hasList: true }, page);
}

interface Made {
  readonly repo: string;
  readonly keys: readonly string[];
  readonly hasList: boolean;
}

function answer(question: PolicyQuestion, { repo, keys, hasList }: Made, page: Page): PolicyAnswer {
  const { root } = openRoot(join(repo, rootFile(readRepository(repo).firstRoot)));
  const isTrial = keys.length > 0;
  const warnings = rootWarnings(root, systemClock());
  if (question.json) {
    return jsonAnswer(question, EXIT.ok, {
      policy: root.policy,
      repo,
      keys,
      trial: isTrial,
      list: hasList,
      warnings,
    });
  }
  const key = (role: string): string =>
    keys.find((path) => path.endsWith(`${role}.key`)) ?? `${role}.key`;
  return textAnswer(EXIT.ok, [
    `${repo} is a repository of the policy ${root.policy}`,
    ...facts(
      warnings.map((text) => ['warning', text] as const),
      page,
    ),
    ...nextSteps([
      ...(hasList ? [] : [`veilgate policy repo init --repo ${repo} --as ${key('revocation')}`]),
      `veilgate policy sign POLICY --as ${key('policy')} --repo ${repo} --out bundle.json`,
      `veilgate policy publish --repo ${repo} --bundle bundle.json --as ${key('release')}`,
      `veilgate revoke timestamp --repo ${repo} --as ${key('timestamp')}`,
    ]),
  ]);
}
