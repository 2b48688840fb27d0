/**
 * `veilgate measure tdx`: replays a TDX event log and explains each register, for whoever writes a policy or wants to
 * know why a machine is refused. With a quote it says which registers agree; the quote is read, not verified. Exit
 * status: 0 every register agrees or there was no quote, 1 they do not or something cannot be read, 2 wrong usage.
 * @module
 */

import { basename } from 'node:path';
import type { Command } from 'commander';
import type { Registers } from '../../attestation/tdx/event-log/event.ts';
import { EVENT_LOG_MAX_BYTES } from '../../attestation/tdx/event-log/limits.ts';
import {
  appraiseEventLog,
  replayEventLog,
  type EventLogSource,
} from '../../attestation/tdx/event-log/replay.ts';
import { QUOTE_MAX_BYTES } from '../../attestation/tdx/limits.ts';
import { parseTdxQuote } from '../../attestation/tdx/quote.ts';
import { jsonLine, outputLine } from '../../core/node/terminal.ts';
import { readBoundedFile } from './files.ts';
import { reportJson, reportLines, type TdxMeasurement } from './tdx-report.ts';

interface MeasureTdxOptions {
  readonly ccel?: string;
  readonly dstack?: string;
  readonly quote?: string;
  readonly json?: true;
}

export function registerMeasureTdxCommand(parent: Command): void {
  const command: Command = parent.command('tdx');
  command
    .description('replay a TDX event log and explain RTMR0 to RTMR3')
    .option(
      '--ccel <file>',
      'log of the firmware: /sys/firmware/acpi/tables/data/CCEL in the guest',
    )
    .option('--dstack <file>', 'event log of a dstack guest agent (JSON)')
    .option('--quote <file>', 'TDX quote to compare with; it is read, not verified')
    .option('--json', 'one line of JSON')
    .action((options: MeasureTdxOptions) => {
      const source = sourceOf(options);
      if (source === undefined) {
        command.error('error: name one log: --ccel FILE or --dstack FILE', { exitCode: 2 });
      }
      const measurement = measureTdx(source, options.quote);
      for (const line of options.json === true
        ? [jsonLine(reportJson(measurement))]
        : reportLines(measurement)) {
        outputLine(line);
      }
      if (!isGood(measurement)) process.exitCode = 1;
    });
}

interface NamedLog {
  readonly kind: EventLogSource['kind'];
  readonly path: string;
}

function sourceOf({ ccel, dstack }: MeasureTdxOptions): NamedLog | undefined {
  if (ccel !== undefined) return dstack === undefined ? { kind: 'ccel', path: ccel } : undefined;
  return dstack === undefined ? undefined : { kind: 'dstack', path: dstack };
}

/** Throws `cli.file`, `tdx.quote`. */
function measureTdx({ kind, path }: NamedLog, quotePath: string | undefined): TdxMeasurement {
  const source: EventLogSource = {
    kind,
    bytes: readBoundedFile('event log', path, EVENT_LOG_MAX_BYTES),
  };
  const named = { name: basename(path), kind };
  if (quotePath === undefined) return { ...named, replay: replayEventLog(source) };
  const quote = readBoundedFile('quote', quotePath, QUOTE_MAX_BYTES);
  const quoted: Registers = parseTdxQuote(quote).td.rtmr;
  const result = appraiseEventLog(source, quoted);
  return { ...named, replay: replayEventLog(source), compared: { quoted, result } };
}

function isGood({ replay, compared }: TdxMeasurement): boolean {
  if (compared !== undefined) return compared.result.verdict === 'match';
  return replay.outcome === 'replayed' && replay.contradictions.length === 0;
}
