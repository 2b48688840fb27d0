/**
 * `veilgate doctor`: on a worker's machine, before it registers: can this machine prove what it is, would this policy admit
 * it, and is everything around it in order. Exit status: 0 nothing stands in the way, 1 something does, 2 wrong usage.
 * @module
 */

import type { Command } from 'commander';
import { systemClock } from '../core/clock.ts';
import { jsonLine, outputLine, paint, printable, type Colour } from '../core/node/terminal.ts';
import { thisGuest } from '../enclave-worker/evidence/guest.ts';
import { examine } from './doctor/examine.ts';
import type { DoctorFinding } from './doctor/finding.ts';

const TIMEOUT_MS = 5 * 60_000;

interface DoctorOptions {
  readonly config?: string;
  readonly policy?: string;
  readonly offline?: string;
  readonly json?: true;
}

const EXAMPLES = `
Examples:
  veilgate doctor                                  what this machine can prove
  veilgate doctor --config worker.yaml --policy production.yaml
                                                   whether you would be admitted

Exit status: 0 nothing stands in the way, 1 something does, 2 wrong usage.`;

export function registerDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description("say what stands in the way of this machine's worker, before it registers")
    .option('--config <file>', "the worker's configuration")
    .option('--policy <path>', 'the policy that would judge it: a file or a directory')
    .option('--offline <bundle>', 'take collateral from this bundle and fetch nothing')
    .option('--json', 'one JSON object')
    .addHelpText('after', EXAMPLES)
    .action(doctor);
}

async function doctor({ config, policy, offline, json }: DoctorOptions): Promise<void> {
  const isJson = json === true;
  const report = await examine({
    ...(config === undefined ? {} : { configPath: config }),
    ...(policy === undefined ? {} : { policyPath: policy }),
    ...(offline === undefined ? {} : { bundlePath: offline }),
    guest: thisGuest,
    clock: systemClock,
    signal: AbortSignal.timeout(TIMEOUT_MS),
    onFinding: (finding) => {
      if (!isJson) for (const line of linesOf(finding)) outputLine(line);
    },
  });
  const problems = report.findings.filter(({ outcome }) => outcome === 'problem').length;
  if (isJson) outputLine(jsonLine({ ok: problems === 0, findings: report.findings }));
  else outputLine(summary(problems, report.findings));
  if (problems > 0) process.exitCode = 1;
}

const MARKS: Readonly<Record<DoctorFinding['outcome'], readonly [mark: string, colour: Colour]>> = {
  ok: ['ok     ', 'green'],
  warning: ['warning', 'yellow'],
  problem: ['PROBLEM', 'red'],
  skipped: ['-      ', 'dim'],
};
const ID_COLUMN = 22;
const INDENT = ' '.repeat(ID_COLUMN + 11);
const DETAIL_LINES_MAX = 8;

/** Parts of what the machine said stand in these lines. */
export function linesOf({ id, outcome, detail, remedy }: DoctorFinding): readonly string[] {
  const [mark, colour] = MARKS[outcome];
  const [first = '', ...more] = detail.trim().split('\n').slice(0, DETAIL_LINES_MAX);
  const rows = [
    ` ${paint(colour, mark)}  ${id.padEnd(ID_COLUMN)} ${printable(first)}`,
    ...more.map((line) => `${INDENT}${printable(line)}`),
  ];
  if (remedy === undefined || outcome === 'ok') return rows;
  return [...rows, `${INDENT}${paint('dim', '→')} ${printable(remedy)}`];
}

function summary(problems: number, findings: readonly DoctorFinding[]): string {
  const skipped = findings.filter(({ outcome }) => outcome === 'skipped').length;
  const looked = skipped === 0 ? '' : ` (${skipped} not looked at)`;
  if (problems === 0) return `\nNothing stands in the way${looked}.`;
  return `\n${problems} ${problems === 1 ? 'thing stands' : 'things stand'} in the way${looked}.`;
}
