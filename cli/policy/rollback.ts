/**
 * `veilgate policy rollback`: serials only rise, so an old policy comes back under a new one, with its dates renewed and
 * everything else as it was. As many have to sign it as signed the old one. Exit status: 0 prepared, 1 refused, 2 wrong
 * usage, 3 a file cannot be read or written. Spec: gpu-and-policy §5.5.
 * @module
 */

import { existsSync } from 'node:fs';
import { InvalidArgumentError, type Command } from 'commander';
import { restorePolicy, type CompiledPolicy } from '../../attestation/policy/compile.ts';
import { diffPolicies } from '../../attestation/policy/diff.ts';
import { lintPolicy } from '../../attestation/policy/lint.ts';
import { encodeBundle } from '../../attestation/publication/bundle.ts';
import { addSignatures, signEnvelope } from '../../attestation/publication/envelope.ts';
import { BUNDLE_MAX_BYTES } from '../../attestation/publication/limits.ts';
import { readJson } from '../../attestation/publication/payload.ts';
import { utf8 } from '../../core/bytes.ts';
import { formatInstant, systemClock } from '../../core/clock.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Page } from '../attest/text.ts';
import { readPinnedRepository, ROOT_OPTION } from '../publication/pinned-root.ts';
import { highestSerial, supportedBundle } from '../publication/bundle-checks.ts';
import { collect } from '../publication/collect.ts';
import { documentDigest, documentName, openBytes, policyNameOf } from '../publication/documents.ts';
import { refused } from '../publication/errors.ts';
import { readSigningKey } from '../publication/keys.ts';
import { parseExpiry, wholeSecond } from '../publication/lifetime.ts';
import { ownState } from '../publication/own-state.ts';
import { readBundleFile } from '../publication/repository.ts';
import { facts, indented, nextSteps } from '../publication/rows.ts';
import { shownDocument } from '../publication/show-document.ts';
import { assertMaySign, standing, standingText } from '../publication/standing.ts';
import {
  EXIT,
  jsonAnswer,
  respond,
  textAnswer,
  type PolicyAnswer,
  type PolicyQuestion,
} from './answer.ts';
import { assertSigned } from './publish.ts';
import { readPolicy } from './read-policy.ts';
import { saveFile } from './save.ts';

interface RollbackOptions {
  readonly repo: string;
  readonly to: number;
  readonly source?: string;
  readonly expires?: string;
  readonly as?: readonly string[];
  readonly out: string;
  readonly root?: string;
  readonly json?: true;
}

export function registerRollbackCommand(parent: Command): void {
  parent
    .command('rollback')
    .description('prepare an old policy under a new serial, to be signed')
    .requiredOption('--repo <dir>', 'the repository')
    .requiredOption('--to <serial>', 'the serial whose content comes back', serial)
    .requiredOption('--out <file>', 'where the bundle goes')
    .option('--source <path>', 'a checkout of that policy: has to say the same')
    .option('--expires <when>', 'default: as long a life as it had')
    .option('--as <keyfile>', 'sign it at once; several times for several people', collect)
    .option(...ROOT_OPTION)
    .option('--json', 'one line of JSON')
    .action((options: RollbackOptions) => {
      const question = { command: 'rollback', json: options.json === true };
      return respond(question, (page) => rollbackAnswer(question, options, page));
    });
}

function serial(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('want the serial of a bundle, such as 42');
}

function rollbackAnswer(
  question: PolicyQuestion,
  options: RollbackOptions,
  page: Page,
): PolicyAnswer {
  const nowMs = systemClock();
  const files = readPinnedRepository(options.repo, options.root);
  const { state } = ownState(files, nowMs);
  const bytes = readBundleFile(options.repo, options.to);
  if (bytes === undefined) {
    const there = files.serials.length === 0 ? 'none' : files.serials.join(', ');
    throw refused(`the repository has no bundle ${options.to}`, `name one of ${there}`);
  }
  const opened = openBytes(`bundle ${options.to}`, bytes);
  if (opened.kind !== 'bundle') {
    throw refused(`bundle ${options.to} is a ${opened.kind}`, 'name another');
  }
  // What enough people stood behind once; a bundle that merely lies there is not brought back.
  assertSigned(opened, state, options.repo);
  const old = supportedBundle(files, state, options.to);
  if (old === undefined) throw refused(`bundle ${options.to} is gone`, 'run this again');
  if (options.source !== undefined)
    assertSameGrants(old, readPolicy(options.source), options.source);
  if (existsSync(options.out)) {
    throw refused(`${options.out} is there already`, 'take another --out, or remove it');
  }
  const next = renewed(old, {
    serial: highestSerial(files, state) + 1,
    nowMs,
    expires: options.expires,
  });
  const keys = (options.as ?? []).map(readSigningKey);
  for (const key of keys) assertMaySign(key, [state.root.payload], ['policy']);
  const unsigned = signEnvelope('bundle', encodeBundle(next), []);
  const signed = addSignatures(
    unsigned,
    keys.map(({ secretKey }) => secretKey),
  );
  saveFile('bundle', options.out, signed);
  const document = openBytes(options.out, signed);
  const there = standing(document.envelope, state.root.payload, 'policy');
  const shown = shownDocument(document, state, nowMs);
  const problems = lintPolicy(next, nowMs).filter(({ level }) => level === 'error');
  if (question.json) {
    return jsonAnswer(question, EXIT.ok, {
      document: documentName(document),
      digest: documentDigest(document),
      contentOf: options.to,
      out: options.out,
      changes: shown.changes,
      problems,
      signatures: [there],
    });
  }
  const step =
    there.missing > 0
      ? `veilgate policy sign ${options.out} --as your.key --repo ${options.repo}`
      : `veilgate policy publish --repo ${options.repo} --bundle ${options.out} --as release.key`;
  return textAnswer(EXIT.ok, [
    ...facts(
      [
        ...shown.facts,
        ['content', `that of ${policyNameOf(old)}, dates renewed`],
        ['file', options.out],
        ['signed', standingText(there)],
        ...problems.map(({ at, message }) => ['warning', `${at}: ${message}`] as const),
      ],
      page,
    ),
    ...(shown.against === undefined ? [] : ['', `changes against ${shown.against}`]),
    ...indented(shown.changes, page),
    ...nextSteps([step]),
  ]);
}

interface Renewal {
  readonly serial: number;
  readonly nowMs: number;
  readonly expires: string | undefined;
}

function renewed(
  { canonical, lines, document }: CompiledPolicy,
  { serial: next, nowMs, expires }: Renewal,
): CompiledPolicy {
  const old = readJson(utf8(canonical), { maxBytes: BUNDLE_MAX_BYTES, numbers: 'integers' });
  if (!isObject(old)) throw refused('the old bundle holds no policy', 'name another serial');
  const issuedMs = wholeSecond(nowMs);
  const untilMs =
    expires === undefined
      ? issuedMs + (document.expires - document.issued)
      : parseExpiry(expires, nowMs);
  const value = {
    ...old,
    serial: next,
    issued: formatInstant(issuedMs),
    expires: formatInstant(untilMs),
  };
  return restorePolicy(value, lines);
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Serial and dates may differ: they are renewed anyhow. */
function assertSameGrants(old: CompiledPolicy, source: CompiledPolicy, path: string): void {
  const renewable = /^(?:serial|issued|expires): /;
  const [change] = diffPolicies(old, source).filter(
    ({ what, text }) => what !== 'policy' || !renewable.test(text),
  );
  if (change === undefined) return;
  throw refused(
    `${path} is not the content of ${policyNameOf(old)}: ${change.what}: ${change.text}`,
    'check out the commit of that serial, or leave --source out',
  );
}
