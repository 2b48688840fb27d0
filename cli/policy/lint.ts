/**
 * `veilgate policy lint PATH`: what a reviewer should see before a policy is signed. Exit status: 0 nothing is wrong (notes
 * and warnings may stand), 1 an error, or with `--strict` a warning; 2 wrong usage, 3 the policy cannot be read.
 * @module
 */

import type { Command } from 'commander';
import { lintPolicyFiles, type LintResult } from '../../attestation/policy/lint.ts';
import type { LintFinding, LintLevel } from '../../attestation/policy/lint/finding.ts';
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
import { readPolicyFiles } from './read-policy.ts';

interface LintOptions {
  readonly at?: number;
  readonly strict?: true;
  readonly json?: true;
}

export function registerLintCommand(parent: Command): void {
  parent
    .command('lint')
    .description('find what is wrong with a policy, or probably wrong')
    .argument('<path>', 'a policy file, or a directory with policy.yaml')
    .option(
      '--at <instant>',
      'judge as of this instant (RFC 3339, UTC) instead of now',
      instantOption,
    )
    .option('--strict', 'warnings count as errors')
    .option('--json', 'one line of JSON')
    .action((path: string, { at = systemClock(), strict, json }: LintOptions) => {
      const question = { command: 'lint', json: json === true };
      const level = strict === true ? 'warning' : 'error';
      return respond(question, (page) => lintAnswer(question, { path, nowMs: at, level }, page));
    });
}

export interface LintRequest {
  readonly path: string;
  readonly nowMs: number;
  /** What counts as a finding. */
  readonly level: 'error' | 'warning';
}

export function lintAnswer(
  question: PolicyQuestion,
  { path, nowMs, level }: LintRequest,
  page: Page,
): PolicyAnswer {
  const result = lintPolicyFiles(readPolicyFiles(path), nowMs);
  const counting: readonly LintLevel[] = level === 'error' ? ['error'] : ['error', 'warning'];
  const isBad = result.findings.some((one) => counting.includes(one.level));
  const status = isBad ? EXIT.findings : EXIT.ok;
  if (question.json) return jsonAnswer(question, status, lintJson(result, nowMs));
  return textAnswer(status, [...findingLines(result.findings, page), summaryLine(path, result)]);
}

function lintJson({ findings, policy }: LintResult, nowMs: number): object {
  return {
    at: formatInstant(nowMs),
    policy:
      policy === undefined
        ? null
        : {
            name: policy.document.name,
            serial: policy.document.serial,
            digest: `sha256:${toHex(policy.digest)}`,
          },
    counts: countsOf(findings),
    findings: findings.map((one) => ({ ...one, hint: one.hint ?? null })),
  };
}

const SECTIONS: readonly (readonly [level: LintLevel, heading: string, colour: Colour])[] = [
  ['error', 'Errors', 'red'],
  ['warning', 'Warnings', 'yellow'],
  ['note', 'Notes', 'blue'],
];
const LEVEL_COLUMN = 9;
const PLACE_COLUMN_MAX = 32;

function findingLines(findings: readonly LintFinding[], page: Page): readonly string[] {
  if (page.rows === 'whole') return findings.flatMap(greppable);
  const longest = Math.max(0, ...findings.map(({ at }) => printable(at).length));
  const width = Math.min(PLACE_COLUMN_MAX, longest) + 4;
  return SECTIONS.flatMap(([level, heading, colour]) => {
    const own = findings.filter((one) => one.level === level);
    if (own.length === 0) return [];
    const rows = own.flatMap((one) => findingRows(one, page, width));
    return [paint(colour, heading), ...rows, ''];
  });
}

/** The line, and beside it what is to be said. The id is for programs. */
function findingRows({ at, message, hint }: LintFinding, page: Page, width: number) {
  const place = `  ${printable(at)}`.padEnd(width);
  const rest = ' '.repeat(width);
  const rows = wrapped(printable(message), page.columns, { first: place, rest });
  if (hint === undefined) return rows;
  const arrow = { first: `${rest}→ `, rest: `${rest}  ` };
  const hints = wrapped(printable(hint), page.columns, arrow);
  return [...rows, ...hints.map((row) => paint('dim', row))];
}

/** Everything about one finding on one line. */
function greppable({ level, id, at, message, hint }: LintFinding): readonly string[] {
  const advice = hint === undefined ? '' : ` (${hint})`;
  return [printable(`${level.padEnd(LEVEL_COLUMN)}${at}  ${message}${advice} [${id}]`)];
}

function countsOf(findings: readonly LintFinding[]): Readonly<Record<LintLevel, number>> {
  const count = (level: LintLevel): number => findings.filter((one) => one.level === level).length;
  return { error: count('error'), warning: count('warning'), note: count('note') };
}

function summaryLine(path: string, { findings, policy }: LintResult): string {
  const counts = countsOf(findings);
  const words = (['error', 'warning', 'note'] as const)
    .filter((level) => counts[level] > 0)
    .map((level) => `${counts[level]} ${level}${counts[level] === 1 ? '' : 's'}`);
  const name = policy === undefined ? `${path} does not load` : policyName(policy);
  return printable(`${name}: ${words.length === 0 ? 'nothing to say' : words.join(', ')}`);
}
