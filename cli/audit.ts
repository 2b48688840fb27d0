/**
 * `veilgate audit verify|show|compare`: was the audit log of a gateway changed, what stands in it, and was everybody
 * given the same policy. Exit status: 0 nothing wrong, 1 something is, 2 wrong usage, 3 it could not be read.
 * @module
 */

import { InvalidArgumentError, type Command } from 'commander';
import { VeilError } from '../core/errors.ts';
import { parseInstant, systemClock } from '../core/clock.ts';
import type { ChainHead } from '../core/node/chained-line.ts';
import { untilSignal } from '../core/node/lifecycle.ts';
import {
  errorLine,
  isTerminal,
  jsonLine,
  outputLine,
  printable,
  progress,
  terminalColumns,
} from '../core/node/terminal.ts';
import { AUDIT_KINDS } from '../gateway/audit-entries.ts';
import { runCompare, type CompareOptions } from './audit/compare.ts';
import type { PolicyFilter } from './audit/filter.ts';
import { AUDIT_FORMAT, EXIT, type AuditIo } from './audit/io.ts';
import { runShow } from './audit/show.ts';
import { runVerify, type VerifyOptions } from './audit/verify.ts';

const EXIT_HELP = `
A log is one file, a folder with all its files, or the data directory of a
gateway. It can be read while the gateway writes it.

Exit status: 0 nothing wrong; 1 something is; 2 wrong usage; 3 it could not be
read.`;

const COMPARE_HELP = `
Records are audit logs of gateways and files in which clients keep what they
accepted (veilgate.policy-memory/1).
${EXIT_HELP}`;

export function registerAuditCommand(program: Command): void {
  const audit = program
    .command('audit')
    .description('check, read and compare the audit logs of gateways');
  audit
    .command('verify')
    .description('say whether a log is what was written, and which line is not')
    .argument('<log>', 'a file or a folder')
    .option(
      '--head <seq:hash>',
      'an entry that was in the log; shows whether its end was cut',
      head,
    )
    .option(
      '--from <seq:hash>',
      'the entry before the first one, for a log whose beginning is elsewhere',
      head,
    )
    .option('--json', 'one line of JSON')
    .addHelpText('after', EXIT_HELP)
    .action((path: string, options: VerifyOptions) =>
      run('verify', options, (io) => runVerify(path, options, io)),
    );
  audit
    .command('show')
    .description('show the entries of a log, oldest first')
    .argument('<log>', 'a file or a folder')
    .option('--kind <kind...>', 'of these kinds only, such as worker or worker.denied', kinds)
    .option(
      '--since <time>',
      'an instant, a day, or how long ago: 2026-06-15T12:00:00Z, 2h',
      instant,
    )
    .option('--until <time>', 'the same', instant)
    .option('--worker <id>', 'of this worker only; the beginning of its id is enough', worker)
    .option(
      '--policy <serial|digest>',
      'of this policy only; sha256: and 8 digits are enough',
      policy,
    )
    .option('--limit <number>', 'the last so many', limit)
    .option('--follow', 'go on with what is written from now on, until Ctrl-C')
    .option('--full', 'whole ids and digests, also in a terminal')
    .option('--json', 'one line of JSON for each entry')
    .addHelpText('after', EXIT_HELP)
    .action(show);
  audit
    .command('compare')
    .description('find documents of which two contents were accepted under one number')
    .argument('<records...>', 'logs, and what clients keep')
    .option('--json', 'one line of JSON')
    .addHelpText('after', COMPARE_HELP)
    .action((paths: readonly string[], options: CompareOptions) =>
      run('compare', options, (io) => runCompare(paths, options, io)),
    );
}

interface ShowWords {
  readonly kind?: readonly string[];
  readonly since?: number;
  readonly until?: number;
  readonly worker?: string;
  readonly policy?: PolicyFilter;
  readonly limit?: number;
  readonly follow?: true;
  readonly full?: true;
  readonly json?: true;
}

async function show(path: string, words: ShowWords): Promise<void> {
  await run('show', words, (io) =>
    runShow(
      path,
      {
        kinds: words.kind,
        sinceMs: words.since,
        untilMs: words.until,
        worker: words.worker,
        policy: words.policy,
        limit: words.limit,
        follow: words.follow === true,
        ids: words.full === true || !isTerminal() ? 'whole' : 'short',
        format: words.json === true ? 'json' : 'text',
      },
      io,
    ),
  );
}

async function run(
  command: string,
  { json }: { readonly json?: true },
  work: (io: AuditIo) => number | Promise<number>,
): Promise<void> {
  try {
    process.exitCode = await work({
      page: { columns: terminalColumns(), rows: isTerminal() ? 'wrapped' : 'whole' },
      output: outputLine,
      error: errorLine,
      progress,
      enough: untilCtrlC,
    });
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    const { code, message } = error;
    progress('');
    if (json === true) {
      outputLine(jsonLine({ format: AUDIT_FORMAT, command, exit: EXIT.unreadable, code, message }));
    }
    errorLine(printable(`veilgate: ${message}`));
    process.exitCode = EXIT.unreadable;
  }
}

function untilCtrlC(): AbortSignal {
  const enough = new AbortController();
  void untilSignal().then(() => enough.abort());
  return enough.signal;
}

function head(text: string): ChainHead {
  const match = /^([1-9]\d{0,14}):([0-9a-f]{64})$/.exec(text);
  if (match === null) throw new InvalidArgumentError('want a number, a colon and 64 hex digits');
  return { seq: Number(match[1]), hash: match[2] ?? '' };
}

function kinds(text: string, before: readonly string[] = []): readonly string[] {
  if (AUDIT_KINDS.some((kind) => kind === text || kind.startsWith(`${text}.`))) {
    return [...before, text];
  }
  throw new InvalidArgumentError(
    `want some of ${AUDIT_KINDS.join(', ')}, or the part before the dot`,
  );
}

const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

function instant(text: string): number {
  const ms = parseInstant(text) ?? parseInstant(`${text}T00:00:00Z`);
  if (ms !== undefined) return ms;
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  const unit = unitMs(match?.[2]);
  if (match !== null && unit !== undefined) return systemClock() - Number(match[1]) * unit;
  throw new InvalidArgumentError(
    'want an instant such as 2026-06-15T12:00:00Z, a day, or 30m, 2h, 7d',
  );
}

function unitMs(letter: string | undefined): number | undefined {
  return Object.entries(UNIT_MS).find(([unit]) => unit === letter)?.[1];
}

const PREFIX_MIN = 8;

function worker(text: string): string {
  const id = text.replace(/…$/, '').toLowerCase();
  if (/^[0-9a-f]{1,64}$/.test(id) && id.length >= PREFIX_MIN) return id;
  throw new InvalidArgumentError(`want the id of a worker, or its first ${PREFIX_MIN} hex digits`);
}

function policy(text: string): PolicyFilter {
  if (/^[1-9]\d{0,14}$/.test(text)) return { by: 'serial', serial: Number(text) };
  const prefix = text.replace(/…$/, '');
  if (/^sha256:[0-9a-f]{8,64}$/.test(prefix)) return { by: 'digest', prefix };
  throw new InvalidArgumentError(
    'want the serial of a policy, or sha256: and its first hex digits',
  );
}

function limit(text: string): number {
  const value = Number(text);
  if (/^[1-9]\d{0,6}$/.test(text)) return value;
  throw new InvalidArgumentError('want a whole number from 1 to 9999999');
}
