/**
 * `veilgate policy sign PATH --as your.key`: the first signer compiles the policy and shows what is signed; each further one
 * adds a signature to the very same bytes, and proves with `--source` that they are what the own checkout says. Exit status:
 * 0 signed, 1 refused, 2 wrong usage, 3 a file cannot be read or written. Spec: docs/publication.md §1, §2.
 * @module
 */

import { existsSync, statSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { Command } from 'commander';
import { encodeBundle } from '../../attestation/publication/bundle.ts';
import { addSignatures, signEnvelope } from '../../attestation/publication/envelope.ts';
import { ENVELOPE_MAX_BYTES, type Role } from '../../attestation/publication/kinds.ts';
import type { Held, PublicationState } from '../../attestation/publication/memory.ts';
import { countWithdrawn } from '../../attestation/publication/revocations.ts';
import type { Root, RootFields } from '../../attestation/publication/root.ts';
import { equalPublic } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { VeilError } from '../../core/errors.ts';
import { parseStrictJson } from '../../core/json.ts';
import type { Page } from '../attest/text.ts';
import { cliError } from '../errors.ts';
import { readBoundedFile } from '../measure/files.ts';
import { readPinnedRepository, ROOT_OPTION } from '../publication/pinned-root.ts';
import {
  assertInTime,
  assertLintClean,
  assertNextSerial,
  assertSameContent,
  assertSameName,
} from '../publication/bundle-checks.ts';
import { consented } from '../publication/confirm.ts';
import {
  documentDigest,
  documentName,
  openBytes,
  openDocument,
  type OpenedDocument,
} from '../publication/documents.ts';
import { refused } from '../publication/errors.ts';
import { readSigningKey, type SigningKey } from '../publication/keys.ts';
import { ownState } from '../publication/own-state.ts';
import { type RepositoryFiles } from '../publication/repository.ts';
import { facts, indented, nextSteps } from '../publication/rows.ts';
import { shownDocument } from '../publication/show-document.ts';
import {
  assertMaySign,
  brokenSignatures,
  ROLE_OF,
  standing,
  standingText,
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
import { readPolicy } from './read-policy.ts';
import { openRoot } from '../publication/root-report.ts';
import { saveFile } from './save.ts';

interface SignOptions {
  readonly as: string;
  readonly repo: string;
  readonly out?: string;
  readonly source?: string;
  readonly nextRoot?: string;
  readonly yes?: true;
  readonly root?: string;
  readonly json?: true;
}

const EXAMPLES = `
The first signer:   veilgate policy sign policies/production --as alice.key
                      --repo repo --out 43.json
Each further one:   veilgate policy sign 43.json --as bob.key --repo repo
                      --source policies/production

Exit status: 0 signed, 1 refused, 2 wrong usage, 3 a file cannot be read.`;

export function registerSignCommand(parent: Command): void {
  parent
    .command('sign')
    .description('sign a policy, or add your signature to a bundle, release or list')
    .argument('<path>', 'a policy (file or directory), or a file that somebody signed before you')
    .requiredOption('--as <keyfile>', 'your secret key')
    .requiredOption('--repo <dir>', 'the repository it is for: whom it names, and what it changes')
    .option('--out <file>', 'where to write it (default: in place; needed for a policy)')
    .option('--source <path>', 'your own checkout of the policy: has to compile to the same digest')
    .option('--next-root <file>', 'a root to come whose keys may sign as well')
    .option('--yes', 'do not ask')
    .option(...ROOT_OPTION)
    .option('--json', 'one line of JSON')
    .addHelpText('after', EXAMPLES)
    .action((path: string, options: SignOptions) => {
      const question = { command: 'sign', json: options.json === true };
      return respond(question, (page) => signAnswer(question, { path, ...options }, page));
    });
}

async function signAnswer(
  question: PolicyQuestion,
  options: SignOptions & { readonly path: string },
  page: Page,
): Promise<PolicyAnswer> {
  const nowMs = systemClock();
  const key = readSigningKey(options.as);
  const files = readPinnedRepository(options.repo, options.root);
  const { state } = ownState(files, nowMs);
  const { document, isFirst } = documentToSign(options);
  const out = options.out ?? options.path;
  const roots = rootsFor(state, options.nextRoot);
  assertSigns({ document, key, state, roots }, files, nowMs);
  const compared = compareWithSource(document, options.source);
  const before = joined(document, out);
  const { lines, shown } = preview(before, {
    state,
    nowMs,
    compared,
    isFirst,
    page,
    root: roots[0],
  });
  const ask = `Sign ${documentName(document)} as ${key.name}?`;
  const rest = await consented(lines, ask, { json: question.json, yes: options.yes === true });
  const bytes = addSignatures(before.bytes, [key.secretKey]);
  saveFile('signed document', out, bytes);
  const standings = standingsOf(openBytes(out, bytes), state);
  if (question.json) {
    return jsonAnswer(question, EXIT.ok, {
      document: documentName(document),
      digest: documentDigest(document),
      out,
      as: key.name,
      comparedWithSource: compared !== 'none',
      changes: shown.changes,
      signatures: standings,
    });
  }
  const isFirstPolicy = state.release === undefined;
  return textAnswer(EXIT.ok, [
    ...rest,
    '',
    `signed as ${key.name}: ${out}`,
    ...standings.map(standingText),
    ...nextSteps([nextStep({ document, out, isFirstPolicy }, options.repo, standings)]),
  ]);
}

interface Signed {
  readonly document: OpenedDocument;
  readonly out: string;
  /** A candidate needs one in force beside it. */
  readonly isFirstPolicy: boolean;
}

function nextStep(
  { document, out, isFirstPolicy }: Signed,
  repo: string,
  standings: readonly Standing[],
): string {
  const candidate = isFirstPolicy ? '' : ' --candidate';
  if (standings.some(({ missing }) => missing > 0)) {
    const source = document.kind === 'bundle' ? ' --source CHECKOUT' : '';
    return `the others: veilgate policy sign ${out} --as your.key --repo ${repo}${source}`;
  }
  return document.kind === 'bundle'
    ? `veilgate policy publish --repo ${repo} --bundle ${out} --as release.key${candidate}`
    : `veilgate policy publish --repo ${repo} ${out}`;
}

/** An envelope as it is; a policy compiled, lint clean, and signed by nobody yet. */
function documentToSign({ path, out }: SignOptions & { readonly path: string }): {
  readonly document: OpenedDocument;
  readonly isFirst: boolean;
} {
  const opened = openIfSigned(path);
  if (opened !== undefined) return { document: opened, isFirst: false };
  if (out === undefined && existsSync(path)) {
    throw cliError('cli.option', '--out is missing: where the signed bundle of this policy goes');
  }
  const policy = readPolicy(path);
  assertLintClean(policy, path, systemClock());
  return {
    document: openBytes(path, signEnvelope('bundle', encodeBundle(policy), [])),
    isFirst: true,
  };
}

/** Undefined for what is no envelope: the text of a policy, then. */
function openIfSigned(path: string): OpenedDocument | undefined {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return undefined;
  return saysItIsSigned(path) ? openDocument(path) : undefined;
}

/** A policy may be written as JSON too. */
function saysItIsSigned(path: string): boolean {
  const bytes = readBoundedFile('document', path, ENVELOPE_MAX_BYTES.bundle);
  try {
    const { spans } = parseStrictJson(bytes, { maxBytes: bytes.length, numbers: 'any' });
    return spans.has('payloadType');
  } catch (error) {
    if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
    return false; // YAML, or whatever the reader of policies makes of it
  }
}

function rootsFor(
  state: PublicationState,
  nextRoot: string | undefined,
): readonly [Root, ...RootFields[]] {
  const newest = state.root.payload;
  if (nextRoot === undefined) return [newest];
  const { root } = openRoot(nextRoot);
  if (root.policy === newest.policy && root.version === newest.version + 1) return [newest, root];
  throw refused(
    `${nextRoot} is root ${root.version} of ${root.policy}, not the one after root ${newest.version} of ${newest.policy}`,
    'name the one that was made from the newest with "veilgate policy root rotate"',
  );
}

interface Signing {
  readonly document: OpenedDocument;
  readonly key: SigningKey;
  readonly state: PublicationState;
  readonly roots: readonly RootFields[];
}

function assertSigns(
  { document, key, state, roots }: Signing,
  files: RepositoryFiles,
  nowMs: number,
): void {
  const { kind, envelope, path } = document;
  if (kind === 'root') throw refused(`${path} is a root`, 'use "veilgate policy root sign"');
  if (kind === 'timestamp') {
    throw refused(`${path} is a timestamp`, 'it is signed by "veilgate revoke timestamp"');
  }
  assertMaySign(key, roots, rolesFor(document, state));
  const broken = roots.flatMap((root) => brokenSignatures(envelope, root));
  if (broken.length > 0) {
    throw refused(
      `the signature of ${broken.join(', ')} in ${path} is not of their key: somebody changed the file`,
      'get the file anew from who signed it',
    );
  }
  switch (kind) {
    case 'bundle':
      assertSameName(document.policy.document.name, state);
      assertInTime(document.policy, nowMs);
      assertNextSerial(document.policy, files, state);
      return;
    case 'release':
      assertSameName(document.release.policy, state);
      assertNewest(document, document.release.number, state.release);
      return;
    case 'revocations':
      assertSameName(document.list.policy, state);
      assertNewest(document, document.list.number, state.revocations);
  }
}

/** Whoever published meanwhile took the number: signing this one too would be two contents under one number. */
function assertNewest(
  document: OpenedDocument,
  number: number,
  held: Held<{ readonly number: number }> | undefined,
): void {
  if (held === undefined || number > held.document.payload.number) return;
  if (equalPublic(held.document.digest, document.envelope.digest)) return;
  throw refused(
    `${document.path} has number ${number}, and the repository has ${held.document.payload.number} already`,
    'somebody published meanwhile: make it anew from what is there now',
  );
}

/** Whose signatures count: a list that gives back needs those who grant as well. */
function rolesFor(document: OpenedDocument, { revocations }: PublicationState): readonly Role[] {
  const role = ROLE_OF[document.kind];
  if (document.kind !== 'revocations' || revocations === undefined) return [role];
  const withdrawn = countWithdrawn(revocations.document.payload, document.list);
  return withdrawn > 0 ? [role, 'policy'] : [role];
}

export function standingsOf(
  document: OpenedDocument,
  state: PublicationState,
): readonly Standing[] {
  return rolesFor(document, state).map((role) =>
    standing(document.envelope, state.root.payload, role),
  );
}

type Comparison = 'none' | 'same' | 'other-lines';

/** Lines decide nothing, and tell whoever reads a denial where to look. */
function compareWithSource(document: OpenedDocument, source: string | undefined): Comparison {
  if (source === undefined) return 'none';
  if (document.kind !== 'bundle') {
    throw cliError('cli.option', '--source goes with a bundle: nothing else is written in files');
  }
  const policy = readPolicy(source);
  assertSameContent(document.policy, policy, source);
  return isDeepStrictEqual(document.policy.lines, policy.lines) ? 'same' : 'other-lines';
}

/** Where the same document lies already, perhaps with somebody's signature, that one is added to. */
function joined(document: OpenedDocument, out: string): OpenedDocument {
  if (out === document.path || !existsSync(out)) return document;
  const there = openDocument(out);
  if (equalPublic(there.envelope.digest, document.envelope.digest)) return there;
  if (there.kind === document.kind && documentDigest(there) === documentDigest(document)) {
    // Signed is the whole payload, and what was shown is the other one.
    throw refused(
      `${out} holds the same policy with other line numbers`,
      'take another --out, or sign that file with --source',
    );
  }
  throw refused(
    `${out} holds ${documentName(there)} with another digest`,
    'take another --out, or remove that file if nobody needs it',
  );
}

interface Showing {
  readonly state: PublicationState;
  readonly nowMs: number;
  readonly compared: Comparison;
  readonly isFirst: boolean;
  readonly page: Page;
  readonly root: RootFields;
}

function preview(
  document: OpenedDocument,
  { state, nowMs, compared, isFirst, page, root }: Showing,
): { readonly lines: readonly string[]; readonly shown: ReturnType<typeof shownDocument> } {
  const shown = shownDocument(document, state, nowMs);
  const signed = standing(document.envelope, root, ROLE_OF[document.kind]).signed;
  const isUnseen = document.kind === 'bundle' && compared === 'none' && !isFirst;
  const lines = [
    ...facts(
      [
        ...shown.facts,
        ['signed by', signed.length === 0 ? 'nobody yet' : signed.join(', ')],
        ['source', compared === 'none' ? undefined : 'your checkout compiles to this digest'],
        [
          'warning',
          isUnseen ? 'not compared with any checkout of yours: --source PATH does that' : undefined,
        ],
        [
          'warning',
          compared === 'other-lines'
            ? 'its line numbers are not those of your checkout: messages would name other lines'
            : undefined,
        ],
      ],
      page,
    ),
    ...(shown.against === undefined ? [] : ['', `changes against ${shown.against}`]),
    ...indented(shown.changes, page),
  ];
  return { lines, shown };
}
