/**
 * `veilgate policy init --from EVIDENCE`: a draft policy that admits exactly that worker. It is compiled, linted and tried on
 * the evidence before anything is written; what does not admit it is not written, and the reason is said. Exit status: 0
 * written, 1 the evidence cannot be admitted, 2 wrong usage, 3 something cannot be read or written. Spec: gpu-and-policy §5.5.
 * @module
 */

import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { compilePolicyFiles, type CompiledPolicy } from '../../attestation/policy/compile.ts';
import { NAME } from '../../attestation/policy/fields.ts';
import { lintPolicy } from '../../attestation/policy/lint.ts';
import type { PolicyFile } from '../../attestation/policy/sources.ts';
import type { Check } from '../../attestation/verdict.ts';
import { workerIdOf } from '../../attestation/card.ts';
import { toHex, utf8 } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { paint } from '../../core/node/terminal.ts';
import type { AttestIo } from '../attest/gather.ts';
import type { Judgement } from '../attest/judge.ts';
import { instantOption } from '../attest/request.ts';
import { labelled, paragraph, printable, type Page } from '../attest/text.ts';
import { cliError } from '../errors.ts';
import { checkHost } from '../host/host-entry.ts';
import {
  EXIT,
  jsonAnswer,
  respond,
  textAnswer,
  type PolicyAnswer,
  type PolicyQuestion,
} from './answer.ts';
import { checkLines } from './check-text.ts';
import { policyName } from './compile.ts';
import { draftOf, type Draft } from './draft.ts';
import { COMMAND_IO, judgeEvidence, rulingOf } from './evidence.ts';
import { policyJson } from './explain.ts';
import { factsOf } from './machine-facts.ts';
import { saveFile } from './save.ts';

export interface InitOptions {
  readonly from: string;
  readonly out?: string;
  readonly name: string;
  readonly owner?: string;
  readonly host?: string;
  readonly location?: string;
  readonly by?: readonly string[];
  readonly at?: number;
  readonly root?: string;
  readonly offline?: string | true;
  readonly model?: string;
  readonly worker?: string;
  readonly json?: true;
}

export function registerInitCommand(parent: Command): void {
  parent
    .command('init')
    .description('draft a policy from captured evidence')
    .requiredOption('--from <evidence>', 'a bundle, - for standard input, or the URL of a gateway')
    .option('--out <path>', 'a file, or a directory for several files; else standard output')
    .option('--name <name>', 'of the policy', 'draft')
    .option('--owner <contact>', 'whom to ask about it')
    .option('--host <name>', 'enter the machine as this host (with --location and --by)')
    .option('--location <text>', 'where the host stands')
    .option('--by <person...>', 'who enters the host: two people')
    .option(
      '--at <instant>',
      'judge as of this instant (RFC 3339, UTC) instead of now',
      instantOption,
    )
    .option('--root <file>', 'the development root of a simulated machine')
    .option('--offline [bundle]', 'fetch no collateral; take it from this bundle, if one is named')
    .option('--model <name>', 'gateway: the worker of this model')
    .option('--worker <id>', 'of several: the one whose id begins so')
    .option('--json', 'one line of JSON')
    .action((options: InitOptions) => {
      const question = { command: 'init', json: options.json === true };
      return respond(question, (page) => initAnswer(question, { options, io: COMMAND_IO, page }));
    });
}

export interface InitRequest {
  readonly options: InitOptions;
  readonly io: AttestIo;
  readonly page: Page;
}

export async function initAnswer(
  question: PolicyQuestion,
  { options, io, page }: InitRequest,
): Promise<PolicyAnswer> {
  const host = hostOf(options);
  if (!NAME.safeParse(options.name).success) {
    throw cliError('cli.option', '--name wants lower-case letters, digits and . _ -');
  }
  const { from, at, root, offline, model } = options;
  const judged = await judgeEvidence(
    {
      inputs: [from],
      options: {
        ...(at === undefined ? {} : { at }),
        ...(root === undefined ? {} : { root }),
        ...(offline === undefined ? {} : { offline }),
        ...(model === undefined ? {} : { model }),
      },
    },
    io,
  );
  const judgement = oneOf(judged.judgements, options.worker);
  const facts = factsOf(judgement.machine);
  const { statement, card, nowMs } = judgement;
  const reject = (checks: readonly Check[], why: string): PolicyAnswer =>
    refused(question, { judgement, checks, why, page });
  if (judgement.subject.statements === undefined) {
    throw cliError('cli.option', '--from wants a bundle: a quote alone names no image or model');
  }
  if (facts === undefined || statement === undefined || card === undefined) {
    return reject(
      judgement.checks,
      'The evidence is not genuine, not complete, or not of this time',
    );
  }
  const draft = draftOf({
    facts,
    statement,
    card,
    nowMs,
    source: judgement.subject.name,
    name: options.name,
    owner: options.owner,
    simulatedRoot: judgement.machine.result.simulated ? judged.question.root?.sha256 : undefined,
    host,
  });
  const isSplit = options.out !== undefined && isDirectory(options.out);
  const files = filesOf(draft, isSplit);
  const policy = compilePolicyFiles(files);
  // A draft names the development roots itself.
  const { root: _root, ...asked } = judged.question;
  const ruling = rulingOf(judgement, asked, policy);
  if (!ruling.isAdmitted) {
    const checks = [...ruling.common, ...(ruling.rules[0]?.checks ?? [])];
    return reject(checks, 'No policy should admit this worker as it is');
  }
  return written(question, { options, files, policy, isSplit, nowMs, page });
}

const ID_SHOWN_CHARS = 16;

/** Throws `cli.option` where it is not clear which one is meant. */
function oneOf(judgements: readonly Judgement[], worker: string | undefined): Judgement {
  const idOf = ({ card }: Judgement): string =>
    card === undefined ? '' : toHex(workerIdOf(card.owner));
  const meant = judgements.filter((one) => worker === undefined || idOf(one).startsWith(worker));
  const [first, ...others] = meant;
  if (first !== undefined && others.length === 0) return first;
  const ids = judgements.map((one) => idOf(one).slice(0, ID_SHOWN_CHARS));
  const which = worker === undefined ? '' : ` that begins with ${worker}`;
  throw cliError(
    'cli.option',
    `--from wants one worker${which}; choose with --worker: ${ids.join(', ')}`,
  );
}

function hostOf({ host, location, by }: InitOptions) {
  if (host === undefined && location === undefined && by === undefined) return undefined;
  const facts = { name: host ?? '', location: location ?? '', by: by ?? [] };
  checkHost(facts);
  return facts;
}

/** A directory that is there, or a name that ends like one. */
function isDirectory(path: string): boolean {
  return path.endsWith('/') || statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function filesOf({ whole, split }: Draft, isSplit: boolean): readonly PolicyFile[] {
  if (!isSplit) return [{ name: 'policy.yaml', bytes: utf8(whole) }];
  return split.map(({ name, text }) => ({ name, bytes: utf8(text) }));
}

interface Refusal {
  readonly judgement: Judgement;
  readonly checks: readonly Check[];
  readonly why: string;
  readonly page: Page;
}

function refused(
  question: PolicyQuestion,
  { judgement, checks, why, page }: Refusal,
): PolicyAnswer {
  const failed = checks.filter(({ outcome }) => outcome === 'fail');
  const { statement, nowMs, subject } = judgement;
  const isOver = statement !== undefined && nowMs >= statement.exp * 1000;
  const made = statement === undefined ? '' : formatInstant(statement.iat * 1000);
  const isForeign = failed.some(({ id }) => /^(pck|chain)\.root$/.test(id));
  const hint = [
    ...(isOver ? [`It was made at ${made}: for a draft as of then, add --at ${made}.`] : []),
    ...(isForeign ? ['A simulated machine needs the root that it ends in: --root FILE.'] : []),
  ];
  if (question.json) {
    return jsonAnswer(question, EXIT.findings, { written: [], why, failing: failed, hint });
  }
  return textAnswer(EXIT.findings, [
    `${paint('red', 'nothing written')}  ${printable(subject.name)}`,
    ...paragraph(`${why}, as of ${formatInstant(nowMs)}:`, page, '  '),
    ...failed.flatMap((check) => checkLines(check, page)),
    ...hint.flatMap((line) => paragraph(line, page, '  ')),
  ]);
}

interface Writing {
  readonly options: InitOptions;
  readonly files: readonly PolicyFile[];
  readonly policy: CompiledPolicy;
  readonly isSplit: boolean;
  readonly nowMs: number;
  readonly page: Page;
}

function written(
  question: PolicyQuestion,
  { options: { out }, files, policy, isSplit, nowMs, page }: Writing,
): PolicyAnswer {
  const lint = lintPolicy(policy, nowMs);
  const broken = lint.filter(({ level }) => level === 'error');
  if (broken.length > 0) {
    const errors = broken.map(({ at, message }) => printable(`${at}: ${message}`));
    return { status: EXIT.findings, output: ['nothing written: the draft has errors'], errors };
  }
  if (out === undefined) {
    const text = files.map(({ bytes }) => new TextDecoder().decode(bytes).trimEnd());
    if (!question.json) return textAnswer(EXIT.ok, text);
    return jsonAnswer(question, EXIT.ok, {
      written: [],
      policy: policyJson(policy),
      text: text[0],
    });
  }
  const paths = files.map(({ name }) => (isSplit ? join(out, name) : out));
  for (const path of paths) {
    if (existsSync(path)) throw cliError('cli.file', `${path} is there already`);
  }
  for (const [index, { bytes }] of files.entries()) {
    const path = paths[index] ?? out;
    if (isSplit) mkdirSync(dirname(path), { recursive: true });
    saveFile('draft', path, bytes);
  }
  if (question.json) {
    return jsonAnswer(question, EXIT.ok, { written: paths, policy: policyJson(policy), lint });
  }
  const warnings = lint.filter(({ level }) => level === 'warning');
  return textAnswer(EXIT.ok, [
    ...paths.map((path) => printable(`written ${path}`)),
    ...paragraph(
      `${policyName(policy)} admits this evidence as of ${formatInstant(nowMs)} (tried). Look at each line with "choose:".`,
      page,
    ),
    ...warnings.flatMap(({ at, message }) => labelled(' warn    ', `${at}: ${message}`, page, 9)),
  ]);
}
