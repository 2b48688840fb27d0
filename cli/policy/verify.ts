/**
 * `veilgate policy verify FILE… --root ROOT`: who signed, and whether that is enough. Exit status: 0 all hold, 1 one does not,
 * 2 wrong usage, 3 a file cannot be read. Spec: docs/publication.md §1, §2.
 * @module
 */

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { BUNDLE } from '../../attestation/publication/bundle.ts';
import { RELEASE } from '../../attestation/publication/release.ts';
import { REVOCATIONS } from '../../attestation/publication/revocations.ts';
import { openPinnedRoot, verifyNextRoot, type Root } from '../../attestation/publication/root.ts';
import { attempt } from '../../attestation/publication/step.ts';
import { TIMESTAMP } from '../../attestation/publication/timestamp.ts';
import { verifyDocument, type Verified } from '../../attestation/publication/verified.ts';
import { equalPublic } from '../../core/bytes.ts';
import { formatInstant, systemClock } from '../../core/clock.ts';
import { paint } from '../../core/node/terminal.ts';
import type { Page } from '../attest/text.ts';
import { cliError } from '../errors.ts';
import { adviceFor } from '../publication/advice.ts';
import { collect } from '../publication/collect.ts';
import {
  documentDigest,
  documentName,
  openDocument,
  type OpenedDocument,
} from '../publication/documents.ts';
import { fromNow } from '../publication/lifetime.ts';
import { facts } from '../publication/rows.ts';
import {
  ROLE_OF,
  standing,
  standingText,
  strangers,
  type Standing,
} from '../publication/standing.ts';
import {
  EXIT,
  jsonAnswer,
  respond,
  textAnswer,
  type PolicyAnswer,
  type PolicyQuestion,
} from './answer.ts';
import { openRoot } from '../publication/root-report.ts';

interface VerifyOptions {
  readonly root: readonly string[];
  readonly json?: true;
}

export function registerVerifyCommand(parent: Command): void {
  parent
    .command('verify')
    .description('say of signed files who signed them, and whether that is enough')
    .argument('<file...>', 'signed documents of any kind')
    .requiredOption(
      '--root <file|dir>',
      'the root you trust; further ones, or a folder of them, are climbed from it',
      collect,
    )
    .option('--json', 'one line of JSON')
    .action((paths: readonly string[], options: VerifyOptions) => {
      const question = { command: 'verify', json: options.json === true };
      return respond(question, (page) => verifyAnswer(question, { paths, ...options }, page));
    });
}

interface Verdict {
  readonly document: OpenedDocument;
  readonly standing: Standing;
  readonly strangers: number;
  /** Undefined when it holds. */
  readonly problem: { readonly code: string; readonly detail: string } | undefined;
  readonly expiresMs: number | undefined;
}

function verifyAnswer(
  question: PolicyQuestion,
  { paths, root: rootPaths }: VerifyOptions & { readonly paths: readonly string[] },
  page: Page,
): PolicyAnswer {
  const nowMs = systemClock();
  const chain = chainFrom(rootPaths.flatMap(filesOf));
  const root = chain.at(-1);
  if (root === undefined) throw cliError('cli.option', '--root names no root');
  const verdicts = paths.map((path) => verdictOn(openDocument(path), chain, nowMs));
  const status = verdicts.every(({ problem }) => problem === undefined) ? EXIT.ok : EXIT.findings;
  if (question.json) {
    return jsonAnswer(question, status, {
      root: { policy: root.payload.policy, version: root.payload.version },
      documents: verdicts.map(jsonOf),
    });
  }
  const { policy, version } = root.payload;
  return textAnswer(status, [
    `under root ${version} of ${policy}`,
    ...verdicts.flatMap((verdict) => ['', ...linesOf(verdict, nowMs, page)]),
  ]);
}

function filesOf(path: string): readonly string[] {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [path];
  const names = readdirSync(path).filter((name) => /^[1-9]\d*\.json$/.test(name));
  return names.map((name) => join(path, name));
}

/** The first is believed because it was named; each further one because the one before says so. */
function chainFrom(paths: readonly string[]): readonly Verified<Root>[] {
  const opened = paths.map(openRoot).sort((a, b) => a.root.version - b.root.version);
  const chain: Verified<Root>[] = [];
  for (const { bytes } of opened) {
    const previous = chain.at(-1);
    chain.push(previous === undefined ? openPinnedRoot(bytes) : verifyNextRoot(bytes, previous));
  }
  return chain;
}

function verdictOn(
  document: OpenedDocument,
  chain: readonly Verified<Root>[],
  nowMs: number,
): Verdict {
  const root = chain.at(-1);
  if (root === undefined) throw cliError('cli.option', '--root names no root');
  const { envelope, kind } = document;
  const done = attempt(kind, () => verifyUnder(document, chain, root));
  const expiresMs = expiryOf(document);
  const end = expiresMs === undefined || nowMs < expiresMs ? undefined : expired(expiresMs);
  const rootEnd = nowMs < root.payload.expiresMs ? undefined : expiredRoot(root.payload);
  return {
    document,
    standing: standing(envelope, root.payload, ROLE_OF[kind]),
    strangers: strangers(envelope, kind === 'root' ? document.root : root.payload).length,
    problem:
      done.outcome === 'refused' ? done.refusal : (end ?? (kind === 'root' ? undefined : rootEnd)),
    expiresMs,
  };
}

function expired(atMs: number) {
  return { code: 'publication.expired', detail: formatInstant(atMs) };
}

function expiredRoot({ version, expiresMs }: Root) {
  return {
    code: 'publication.root_expired',
    detail: `version ${version}, ${formatInstant(expiresMs)}`,
  };
}

function expiryOf(document: OpenedDocument): number | undefined {
  if (document.kind === 'root') return document.root.expiresMs;
  return document.kind === 'bundle' ? document.policy.document.expires : undefined;
}

function verifyUnder(
  { kind, envelope, bytes }: OpenedDocument,
  chain: readonly Verified<Root>[],
  root: Verified<Root>,
): void {
  switch (kind) {
    case 'root':
      if (chain.some(({ digest }) => equalPublic(digest, envelope.digest))) return;
      verifyNextRoot(bytes, root);
      return;
    case 'bundle':
      verifyDocument(envelope, root, BUNDLE);
      return;
    case 'release':
      verifyDocument(envelope, root, RELEASE);
      return;
    case 'revocations':
      verifyDocument(envelope, root, REVOCATIONS);
      return;
    case 'timestamp':
      verifyDocument(envelope, root, TIMESTAMP);
  }
}

function jsonOf({
  document,
  standing: signatures,
  strangers: unknown,
  problem,
  expiresMs,
}: Verdict) {
  return {
    file: document.path,
    kind: document.kind,
    name: documentName(document),
    digest: documentDigest(document),
    holds: problem === undefined,
    problem: problem === undefined ? null : { code: problem.code, detail: problem.detail },
    signatures,
    unknownKeys: unknown,
    expires: expiresMs === undefined ? null : formatInstant(expiresMs),
  };
}

function linesOf(verdict: Verdict, nowMs: number, page: Page): readonly string[] {
  const { document, standing: signatures, strangers: unknown, problem, expiresMs } = verdict;
  const mark = problem === undefined ? paint('green', 'holds') : paint('red', 'REFUSED');
  return [
    `${mark}  ${documentName(document)}`,
    ...facts(
      [
        ['  file', document.path],
        ['  digest', documentDigest(document)],
        ['  signed', standingText(signatures)],
        [
          '  unknown',
          unknown === 0
            ? undefined
            : `${unknown} signature(s) of keys that this root does not know`,
        ],
        [
          '  expires',
          expiresMs === undefined
            ? undefined
            : `${formatInstant(expiresMs)} (${fromNow(expiresMs, nowMs)})`,
        ],
        ['  because', problem && `${problem.code}: ${problem.detail}`],
        ['  next', problem && adviceFor(problem, 'DIR')],
      ],
      page,
    ),
  ];
}
