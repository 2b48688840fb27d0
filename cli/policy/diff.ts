/**
 * `veilgate policy diff OLD NEW`: what a new version admits that the old one did not, and the other way round, for whoever
 * approves it; with `--evidence`, which captured workers it changes. Exit status: 0 nothing changes, 1 something does, 2
 * wrong usage, 3 an input cannot be read.
 * @module
 */

import type { Command } from 'commander';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { diffPolicies, widthOf, type Change, type Width } from '../../attestation/policy/diff.ts';
import { rehearse, type Rehearsal } from '../../attestation/policy/rehearse.ts';
import { wantText, type Check } from '../../attestation/verdict.ts';
import { toHex } from '../../core/bytes.ts';
import { formatInstant, systemClock } from '../../core/clock.ts';
import { paint, type Colour } from '../../core/node/terminal.ts';
import { instantOption } from '../attest/request.ts';
import { printable, wrapped, type Page } from '../attest/text.ts';
import {
  EXIT,
  jsonAnswer,
  respond,
  textAnswer,
  type PolicyAnswer,
  type PolicyQuestion,
} from './answer.ts';
import { policyName } from './compile.ts';
import { readEvidenceFolder, type Captured } from './evidence-folder.ts';
import { readPolicy } from './read-policy.ts';

interface DiffOptions {
  readonly evidence?: string;
  readonly at?: number;
  readonly json?: true;
}

const EVIDENCE_HELP = `
Captured evidence is judged as of the moment it was made, the policies as of now
(or --at). limits.evidence_age and revocations are not rehearsed. A policy that
is issued ahead of that instant admits nobody: give --at for a draft.

Exit status: 0 nothing changes, 1 something does, 2 wrong usage, 3 an input
cannot be read.`;

export function registerDiffCommand(parent: Command): void {
  parent
    .command('diff')
    .description('say what a new version of a policy admits more, and less')
    .argument('<old>', 'a policy file, or a directory with policy.yaml')
    .argument('<new>', 'the version to compare with it')
    .option('--evidence <dir>', 'say which of these captured workers it changes')
    .option(
      '--at <instant>',
      'judge as of this instant (RFC 3339, UTC) instead of now',
      instantOption,
    )
    .option('--json', 'one line of JSON')
    .addHelpText('after', EVIDENCE_HELP)
    .action((was: string, now: string, { evidence, at = systemClock(), json }: DiffOptions) => {
      const question = { command: 'diff', json: json === true };
      const request = { was, now, nowMs: at, ...(evidence === undefined ? {} : { evidence }) };
      return respond(question, (page) => diffAnswer(question, request, page));
    });
}

export interface DiffRequest {
  readonly was: string;
  readonly now: string;
  readonly nowMs: number;
  /** A folder. */
  readonly evidence?: string;
}

interface Versions {
  readonly was: CompiledPolicy;
  readonly now: CompiledPolicy;
}

export function diffAnswer(
  question: PolicyQuestion,
  { was, now, nowMs, evidence }: DiffRequest,
  page: Page,
): PolicyAnswer {
  const versions = { was: readPolicy(was), now: readPolicy(now) };
  const changes = diffPolicies(versions.was, versions.now);
  const captured = evidence === undefined ? undefined : readEvidenceFolder(evidence);
  const workers = captured === undefined ? undefined : compared(captured, versions, nowMs);
  const moved = workers?.some(({ change }) => change !== 'unchanged' && change !== 'unjudged');
  const status = changes.length > 0 || moved === true ? EXIT.findings : EXIT.ok;
  if (question.json) {
    return jsonAnswer(question, status, diffJson(versions, changes, { captured, workers, nowMs }));
  }
  return textAnswer(status, [
    ...changeLines(versions, changes, page),
    ...(captured === undefined || workers === undefined
      ? []
      : ['', ...workerLines(captured, workers, page)]),
  ]);
}

type WorkerChange = 'admitted' | 'denied' | 'other-rule' | 'unchanged' | 'unjudged';

interface ComparedWorker {
  readonly name: string;
  readonly change: WorkerChange;
  readonly was: Rehearsal;
  readonly now: Rehearsal;
}

function compared(
  { workers, caches }: Captured,
  { was, now }: Versions,
  nowMs: number,
): readonly ComparedWorker[] {
  return workers.map(({ name, evidence }) => {
    const [before, after] = [
      rehearse({ evidence, policy: was, nowMs, caches }),
      rehearse({ evidence, policy: now, nowMs, caches }),
    ];
    return { name, was: before, now: after, change: workerChange(before, after) };
  });
}

function workerChange(was: Rehearsal, now: Rehearsal): WorkerChange {
  if (was.outcome === 'unjudged' || now.outcome === 'unjudged') return 'unjudged';
  if (was.outcome !== now.outcome) return now.outcome;
  return now.outcome === 'admitted' && was.rule !== now.rule ? 'other-rule' : 'unchanged';
}

const SECTIONS: readonly (readonly [width: Width, heading: string, colour: Colour])[] = [
  ['widens', 'WIDENS  admits what was denied before, or may', 'red'],
  ['narrows', 'NARROWS', 'green'],
  ['neutral', 'DECIDES NOTHING', 'dim'],
];
const REST = '    ';
const WIDTH_COLUMN = 9;

function changeLines(
  { was, now }: Versions,
  changes: readonly Change[],
  page: Page,
): readonly string[] {
  const names = `${policyName(was)} → ${policyName(now)}`;
  if (changes.length === 0) return [`${names}: nothing changes`];
  const count = (width: Width): number => changes.filter((one) => widthOf(one) === width).length;
  const counts = [
    `${count('widens')} wider`,
    `${count('narrows')} narrower`,
    `${count('neutral')} without effect`,
  ];
  return [
    `${names}: ${counts.join(', ')}`,
    ...(isSuccessor(was, now)
      ? []
      : [
          paint(
            'yellow',
            'No successor (same name, higher serial): gateways will keep what they have.',
          ),
        ]),
    ...SECTIONS.flatMap(([width, heading, colour]) => {
      const own = changes.filter((one) => widthOf(one) === width);
      if (own.length === 0) return [];
      return ['', paint(colour, heading), ...own.flatMap((one) => oneChange(one, page))];
    }),
  ];
}

/** Gateways take a policy of the same name with a higher serial, and nothing else. */
function isSuccessor(
  { document: was }: CompiledPolicy,
  { document: now }: CompiledPolicy,
): boolean {
  return was.name === now.name && now.serial > was.serial;
}

/** `~ rule tdx-cpu  cpu.tcb_date.min: …`, and the lines of both versions; in a pipe the width too, for grep. */
function oneChange(change: Change, page: Page): readonly string[] {
  const { mark, what, text, effect, was, now } = change;
  const doubt = effect === 'unsure' ? ' (unsure: counts as wider)' : '';
  const places = placesText(was, now);
  const row = printable(`${what}  ${text}${doubt}`);
  if (page.rows === 'whole') {
    const width = widthOf(change).padEnd(WIDTH_COLUMN);
    return [`${mark} ${width}${row}  [${printable(places)}]`];
  }
  return [
    ...wrapped(row, page.columns, { first: `${mark} `, rest: REST }),
    paint('dim', `${REST}${printable(places)}`),
  ];
}

function placesText(was: string | undefined, now: string | undefined): string {
  if (was === undefined || now === undefined)
    return was === undefined ? `new ${now ?? ''}` : `old ${was}`;
  return was === now ? `${was} in both` : `old ${was}, new ${now}`;
}

const WORKERS: readonly (readonly [change: WorkerChange, heading: string, colour: Colour])[] = [
  ['admitted', 'NEWLY ADMITTED', 'red'],
  ['denied', 'NEWLY DENIED', 'yellow'],
  ['other-rule', 'ADMITTED BY ANOTHER RULE', 'dim'],
  ['unjudged', 'NOT JUDGED', 'dim'],
];

function workerLines(
  { unreadable }: Captured,
  workers: readonly ComparedWorker[],
  page: Page,
): readonly string[] {
  const unchanged = workers.filter(({ change }) => change === 'unchanged');
  const still = (outcome: Rehearsal['outcome']): number =>
    unchanged.filter(({ now }) => now.outcome === outcome).length;
  const columns = page.rows === 'whole' ? Number.POSITIVE_INFINITY : page.columns;
  const entry = (text: string): readonly string[] =>
    wrapped(printable(text), columns, { first: '  ', rest: REST });
  return [
    `${workers.length} captured workers: ${still('admitted')} still admitted, ${still('denied')} still denied`,
    ...WORKERS.flatMap(([change, heading, colour]) => {
      const own = workers.filter((one) => one.change === change);
      if (own.length === 0) return [];
      return ['', paint(colour, heading), ...own.flatMap((one) => entry(workerText(one)))];
    }),
    ...(unreadable.length === 0 ? [] : ['', paint('yellow', 'COULD NOT BE READ')]),
    ...unreadable.flatMap(({ name, reason }) => entry(`${name}  ${reason}`)),
  ];
}

function workerText({ name, change, was, now }: ComparedWorker): string {
  if (now.outcome === 'unjudged') return `${name}  ${now.because}`;
  if (was.outcome === 'unjudged') return `${name}  ${was.because}`;
  const rule = now.rule ?? 'no rule';
  if (change === 'admitted') return `${name}  by rule ${rule}; before: ${failureText(was.failing)}`;
  if (change === 'denied') return `${name}  nearest rule ${rule}: ${failureText(now.failing)}`;
  return `${name}  ${was.rule ?? 'no rule'} → ${rule}`;
}

/** The first that fails; others follow from it or stand in `attest explain`. */
function failureText(failing: readonly Check[]): string {
  const first = failing.find(({ outcome }) => outcome === 'fail') ?? failing[0];
  if (first?.outcome !== 'fail') return first?.id ?? 'nothing';
  return `${first.id}: want ${wantText(first)}, got ${first.got}`;
}

interface JsonParts {
  readonly captured: Captured | undefined;
  readonly workers: readonly ComparedWorker[] | undefined;
  readonly nowMs: number;
}

function diffJson(
  { was, now }: Versions,
  changes: readonly Change[],
  { captured, workers, nowMs }: JsonParts,
): object {
  return {
    at: formatInstant(nowMs),
    old: refJson(was),
    new: refJson(now),
    successor: isSuccessor(was, now),
    changes: changes.map((change) => ({
      width: widthOf(change),
      unsure: change.effect === 'unsure',
      mark: change.mark,
      what: change.what,
      text: change.text,
      old: change.was ?? null,
      new: change.now ?? null,
    })),
    evidence:
      workers?.map((one) => ({
        name: one.name,
        change: one.change,
        old: rehearsalJson(one.was),
        new: rehearsalJson(one.now),
      })) ?? null,
    unreadable: captured?.unreadable ?? [],
  };
}

function refJson(policy: CompiledPolicy): object {
  const { name, serial } = policy.document;
  return { name, serial, digest: `sha256:${toHex(policy.digest)}` };
}

function rehearsalJson(rehearsal: Rehearsal): object {
  if (rehearsal.outcome === 'unjudged') return rehearsal;
  const { outcome, rule, image, failing } = rehearsal;
  const ids = failing.filter((check) => check.outcome === 'fail').map(({ id }) => id);
  return { outcome, rule: rule ?? null, image: image ?? null, failing: ids };
}
