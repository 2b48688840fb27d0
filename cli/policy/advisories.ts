/**
 * `veilgate policy advisories PATH`: the exceptions for machines that are not fully patched, who answers for each and how
 * long; with `--evidence`, which captured machines lean on them. Exit status: 0 all are in force, 1 one has expired, 2 wrong
 * usage, 3 an input cannot be read.
 * @module
 */

import type { Command } from 'commander';
import { exceptionsOf, type Exception } from '../../attestation/policy/diff/entries.ts';
import { daysText } from '../../attestation/policy/lint/times.ts';
import { rehearse } from '../../attestation/policy/rehearse.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { formatInstant, systemClock } from '../../core/clock.ts';
import { paint } from '../../core/node/terminal.ts';
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

const DAY_MS = 86_400_000;

interface AdvisoriesOptions {
  readonly evidence?: string;
  readonly at?: number;
  readonly json?: true;
}

export function registerAdvisoriesCommand(parent: Command): void {
  parent
    .command('advisories')
    .description('list the temporary exceptions of a policy, and who leans on them')
    .argument('<path>', 'a policy file, or a directory with policy.yaml')
    .option('--evidence <dir>', 'say which of these captured machines lean on each')
    .option('--at <instant>', 'as of this instant (RFC 3339, UTC) instead of now', instantOption)
    .option('--json', 'one line of JSON')
    .action((path: string, { evidence, at = systemClock(), json }: AdvisoriesOptions) => {
      const question = { command: 'advisories', json: json === true };
      const request = { path, nowMs: at, ...(evidence === undefined ? {} : { evidence }) };
      return respond(question, (page) => advisoriesAnswer(question, request, page));
    });
}

export interface AdvisoriesRequest {
  readonly path: string;
  readonly nowMs: number;
  /** A folder. */
  readonly evidence?: string;
}

interface Row extends Exception {
  readonly at: string;
  readonly daysLeft: number;
  /** Names of captured machines; absent when nobody asked. */
  readonly usedBy?: readonly string[];
}

export function advisoriesAnswer(
  question: PolicyQuestion,
  { path, nowMs, evidence }: AdvisoriesRequest,
  page: Page,
): PolicyAnswer {
  const policy = readPolicy(path);
  const captured = evidence === undefined ? undefined : readEvidenceFolder(evidence);
  const uses = captured === undefined ? undefined : usesOf(captured, policy, nowMs);
  const rows = exceptionsOf(policy.document.advisories)
    .toSorted((a, b) => a.expires - b.expires)
    .map((entry): Row => {
      const usedBy = uses?.filter(({ id, rule }) => id === entry.id && rule === entry.rule);
      return {
        ...entry,
        at: policy.at('advisories', entry.index),
        daysLeft: Math.floor((entry.expires - nowMs) / DAY_MS),
        ...(usedBy === undefined ? {} : { usedBy: usedBy.map(({ name }) => name) }),
      };
    });
  const status = rows.some(({ expires }) => expires <= nowMs) ? EXIT.findings : EXIT.ok;
  if (question.json) {
    const members = {
      at: formatInstant(nowMs),
      policy: policyName(policy),
      advisories: rows.map(rowJson),
    };
    return jsonAnswer(question, status, { ...members, unreadable: captured?.unreadable ?? [] });
  }
  const unreadable = (captured?.unreadable ?? []).map(({ name, reason }) =>
    printable(`could not be read: ${name}  ${reason}`),
  );
  if (rows.length === 0) {
    return textAnswer(status, [`${policyName(policy)}: no exceptions`, ...unreadable]);
  }
  return textAnswer(status, [
    `${policyName(policy)}: ${rows.length} ${rows.length === 1 ? 'exception' : 'exceptions'}`,
    ...rows.flatMap((row) => ['', ...rowLines(row, page)]),
    ...(unreadable.length === 0 ? [] : ['', ...unreadable]),
  ]);
}

interface Use {
  readonly name: string;
  readonly id: string;
  readonly rule: string;
}

/** Of machines that are admitted thanks to it. One that is denied leans on nothing. */
function usesOf(
  { workers, caches }: Captured,
  policy: CompiledPolicy,
  nowMs: number,
): readonly Use[] {
  return workers.flatMap(({ name, evidence }) => {
    const rehearsal = rehearse({ evidence, policy, nowMs, caches });
    if (rehearsal.outcome !== 'admitted') return [];
    const { rule = '', advisories, platform } = rehearsal;
    const ppid = platform?.ids['ppid'];
    const machine = ppid === undefined ? name : `${name} (ppid ${ppid})`;
    return advisories.map((id) => ({ name: machine, id, rule }));
  });
}

function rowLines(row: Row, page: Page): readonly string[] {
  const { id, rule, admits, reason, owner, expires, daysLeft, at, usedBy } = row;
  const isExpired = daysLeft < 0;
  const left = isExpired ? 'EXPIRED' : `ends ${daysText(daysLeft)}`;
  const indent = { first: '  ', rest: '    ' };
  const lines = [
    `for rule ${rule}, admits ${admits}, until ${formatInstant(expires)}`,
    `${owner}: ${reason}`,
    ...usedByLines(usedBy),
  ];
  return [
    `${paint('bold', printable(id))}  ${paint(isExpired ? 'red' : 'yellow', left)}  ${paint('dim', printable(at))}`,
    ...lines.flatMap((line) =>
      page.rows === 'whole'
        ? [`  ${printable(line)}`]
        : wrapped(printable(line), page.columns, indent),
    ),
  ];
}

function usedByLines(usedBy: readonly string[] | undefined): readonly string[] {
  if (usedBy === undefined) return [];
  if (usedBy.length === 0) return ['none of the captured machines leans on it'];
  return usedBy.map((name) => `leans on it: ${name}`);
}

function rowJson({ id, rule, admits, reason, owner, expires, daysLeft, at, usedBy }: Row): object {
  const ends = formatInstant(expires);
  return { id, rule, admits, reason, owner, expires: ends, daysLeft, at, usedBy: usedBy ?? null };
}
