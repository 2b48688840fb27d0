/**
 * `veilgate policy root init|sign|rotate|show`: who may sign what. Exit status: 0 done, 1 not enough have signed, or refused,
 * 2 wrong usage, 3 a file cannot be read or written. Spec: docs/publication.md §2 "Root".
 * @module
 */

import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { addSignatures, signEnvelope } from '../../attestation/publication/envelope.ts';
import type { Role } from '../../attestation/publication/kinds.ts';
import { encodeRoot, type RootFields } from '../../attestation/publication/root.ts';
import { systemClock } from '../../core/clock.ts';
import type { Page } from '../attest/text.ts';
import { cliError } from '../errors.ts';
import { collect } from '../publication/collect.ts';
import { consented } from '../publication/confirm.ts';
import { openBytes, type OpenedRoot } from '../publication/documents.ts';
import { refused } from '../publication/errors.ts';
import { readSigningKey } from '../publication/keys.ts';
import { parseExpiry, wholeSecond } from '../publication/lifetime.ts';
import { RELEASE_FILE, ROOT_FOLDER } from '../publication/repository.ts';
import { parseKeyOption, parseRoleOption, rolesFrom } from '../publication/root-options.ts';
import { openRoot, previousOf, reportOn } from '../publication/root-report.ts';
import { nextSteps } from '../publication/rows.ts';
import { assertMaySign, standingText } from '../publication/standing.ts';
import {
  EXIT,
  jsonAnswer,
  respond,
  textAnswer,
  type PolicyAnswer,
  type PolicyQuestion,
} from './answer.ts';
import { saveFile } from './save.ts';

interface InitOptions {
  readonly policy: string;
  readonly key: readonly string[];
  readonly role: readonly string[];
  readonly expires: string;
  readonly out: string;
  readonly json?: true;
}

interface RotateOptions {
  readonly key?: readonly string[];
  readonly removeKey?: readonly string[];
  readonly role?: readonly string[];
  readonly expires?: string;
  readonly out: string;
  readonly json?: true;
}

interface SignOptions {
  readonly as: string;
  readonly previous?: string;
  readonly yes?: true;
  readonly json?: true;
}

const EXAMPLE = `
Example, two of three for what gives, one for what takes away:
  veilgate policy root init --policy production --expires 1y --out 1.json
    --key alice=alice.pub --key bob=bob.pub --key carol=carol.pub
    --key server=server.pub --role root=2:alice,bob,carol
    --role policy=2:alice,bob,carol --role release=1:alice,bob,carol
    --role revocation=1:alice,bob,carol --role timestamp=1:server`;

export function registerRootCommand(parent: Command): void {
  const root = parent.command('root').description('say who may sign what');
  root
    .command('init')
    .description('write the first root, to be signed')
    .requiredOption('--policy <name>', 'the name of the policy')
    .requiredOption(
      '--key <name=key>',
      'a public key: the file of "key new", or base64url',
      collect,
    )
    .requiredOption('--role <role=n:names>', 'how many of whom: policy=2:alice,bob,carol', collect)
    .option('--expires <when>', '90d, 1y or an instant', '1y')
    .requiredOption('--out <file>', 'where to write it')
    .option('--json', 'one line of JSON')
    .addHelpText('after', EXAMPLE)
    .action((options: InitOptions) => {
      const question = { command: 'root init', json: options.json === true };
      return respond(question, (page) => initAnswer(question, options, page));
    });
  root
    .command('rotate')
    .description('write the next root, with changes of keys or roles, to be signed')
    .argument('<file>', 'the newest root')
    .option(
      '--key <name=key>',
      'a key that is new, or takes the place of the one of this name',
      collect,
    )
    .option('--remove-key <name>', 'a key that goes, from every role', collect)
    .option('--role <role=n:names>', 'a role as it shall be', collect)
    .option('--expires <when>', 'as of root init (default: 1y)')
    .requiredOption('--out <file>', 'where to write it')
    .option('--json', 'one line of JSON')
    .action((path: string, options: RotateOptions) => {
      const question = { command: 'root rotate', json: options.json === true };
      return respond(question, (page) => rotateAnswer(question, { path, ...options }, page));
    });
  root
    .command('sign')
    .description('add your signature to a root')
    .argument('<file>', 'the root')
    .requiredOption('--as <keyfile>', 'your secret key')
    .option('--previous <file>', 'the root before (default: beside it, by its number)')
    .option('--yes', 'do not ask')
    .option('--json', 'one line of JSON')
    .action((path: string, options: SignOptions) => {
      const question = { command: 'root sign', json: options.json === true };
      return respond(question, (page) => signAnswer(question, { path, ...options }, page));
    });
  root
    .command('show')
    .description('say who may sign what, who has signed, and what is missing')
    .argument('<file>', 'a root')
    .option('--previous <file>', 'the root before (default: beside it, by its number)')
    .option('--json', 'one line of JSON')
    .action((path: string, options: Pick<SignOptions, 'previous' | 'json'>) => {
      const question = { command: 'root show', json: options.json === true };
      return respond(question, (page) => showAnswer(question, path, options.previous, page));
    });
}

function initAnswer(question: PolicyQuestion, options: InitOptions, page: Page): PolicyAnswer {
  const nowMs = systemClock();
  const fields: RootFields = {
    policy: options.policy,
    version: 1,
    issuedMs: wholeSecond(nowMs),
    expiresMs: parseExpiry(options.expires, nowMs),
    keys: options.key.map(parseKeyOption),
    roles: rolesFrom(options.role),
  };
  return written(question, { fields, out: options.out, before: undefined }, page);
}

function rotateAnswer(
  question: PolicyQuestion,
  { path, ...options }: RotateOptions & { readonly path: string },
  page: Page,
): PolicyAnswer {
  const nowMs = systemClock();
  const { root: before } = openRoot(path);
  const set = (options.key ?? []).map(parseKeyOption);
  const gone = new Set(options.removeKey ?? []);
  const unknown = [...gone].find((name) => !before.keys.some((key) => key.name === name));
  if (unknown !== undefined) {
    throw cliError('cli.option', `--remove-key ${unknown}: this root has no such key`);
  }
  const kept = before.keys.filter(
    ({ name }) => !gone.has(name) && !set.some((key) => key.name === name),
  );
  const named = new Map((options.role ?? []).map(parseRoleOption));
  const roleOf = (role: Role): RootFields['roles'][Role] => {
    const { threshold, keys } = before.roles[role];
    return named.get(role) ?? { threshold, keys: keys.filter((name) => !gone.has(name)) };
  };
  const fields: RootFields = {
    policy: before.policy,
    version: before.version + 1,
    issuedMs: Math.max(wholeSecond(nowMs), before.issuedMs),
    expiresMs: parseExpiry(options.expires ?? '1y', nowMs),
    keys: [...kept, ...set],
    roles: {
      root: roleOf('root'),
      policy: roleOf('policy'),
      release: roleOf('release'),
      revocation: roleOf('revocation'),
      timestamp: roleOf('timestamp'),
    },
  };
  return written(question, { fields, out: options.out, before }, page);
}

interface Written {
  readonly fields: RootFields;
  readonly out: string;
  readonly before: RootFields | undefined;
}

function written(
  question: PolicyQuestion,
  { fields, out, before }: Written,
  page: Page,
): PolicyAnswer {
  assertNew(out);
  const bytes = signEnvelope('root', encodeRoot(fields), []);
  saveFile('root', out, bytes);
  const opened = openBytes(out, bytes);
  if (opened.kind !== 'root') throw cliError('cli.file', `${out} is no root`);
  const report = reportOn(opened, before);
  if (question.json) return jsonAnswer(question, EXIT.ok, report.json);
  return textAnswer(EXIT.ok, [
    ...report.lines(page),
    ...nextSteps([
      `each of them: veilgate policy root sign ${out} --as your.key`,
      `then:         veilgate policy root show ${out}`,
    ]),
  ]);
}

/** Where people have signed, nothing is written over; and what nobody has signed does not go where readers look. */
function assertNew(out: string): void {
  if (existsSync(out)) {
    throw refused(
      `${out} is there already, perhaps with signatures`,
      'take another --out, or remove it',
    );
  }
  const folder = dirname(resolve(out));
  if (basename(folder) === ROOT_FOLDER && existsSync(join(dirname(folder), RELEASE_FILE))) {
    throw refused(
      `${folder} is where readers look, and nobody has signed this root yet`,
      'write it elsewhere, have it signed, then "veilgate policy publish --repo DIR FILE"',
    );
  }
}

async function signAnswer(
  question: PolicyQuestion,
  options: SignOptions & { readonly path: string },
  page: Page,
): Promise<PolicyAnswer> {
  const { path } = options;
  const key = readSigningKey(options.as);
  const opened = openRoot(path);
  const before = previousOf(opened, options.previous);
  assertMaySign(key, before === undefined ? [opened.root] : [opened.root, before], ['root']);
  const shown = reportOn(opened, before);
  const consent = { json: question.json, yes: options.yes === true };
  const ask = `Sign root ${opened.root.version} of ${opened.root.policy} as ${key.name}?`;
  const rest = await consented(shown.lines(page), ask, consent);
  const bytes = addSignatures(opened.bytes, [key.secretKey]);
  saveFile('root', path, bytes);
  const signed = openBytes(path, bytes);
  if (signed.kind !== 'root') throw cliError('cli.file', `${path} is no root`);
  const report = reportOn(signed, before);
  if (question.json) return jsonAnswer(question, EXIT.ok, { ...report.json, as: key.name });
  const enough = report.standings.every(({ missing }) => missing === 0);
  return textAnswer(EXIT.ok, [
    ...rest,
    '',
    `signed as ${key.name}: ${path}`,
    ...report.standings.map(standingText),
    ...nextSteps([
      enough ? publishStep(signed) : `the others: veilgate policy root sign ${path} --as your.key`,
    ]),
  ]);
}

function publishStep({ root, path }: OpenedRoot): string {
  return root.version === 1
    ? `veilgate policy repo init --repo DIR --root ${path} --as revocation.key`
    : `veilgate policy publish --repo DIR ${path}`;
}

function showAnswer(
  question: PolicyQuestion,
  path: string,
  previous: string | undefined,
  page: Page,
): PolicyAnswer {
  const opened = openRoot(path);
  const report = reportOn(opened, previousOf(opened, previous));
  const isEnough = report.standings.every(({ missing }) => missing === 0);
  const isWell = isEnough && report.broken.length === 0 && systemClock() < opened.root.expiresMs;
  const status = isWell ? EXIT.ok : EXIT.findings;
  if (question.json) return jsonAnswer(question, status, report.json);
  return textAnswer(status, report.lines(page));
}
