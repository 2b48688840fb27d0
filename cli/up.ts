/**
 * `veilgate up`: gateway, simulated workers, demo model and TON network with one command; what `npm start` runs. Ends cleanly on
 * Ctrl-C: no new requests, running ones finish, workers stop, state stays.
 * @module
 */

import { Option, type Command } from 'commander';
import { untilSignal } from '../core/node/lifecycle.ts';
import { errorLine, outputLine } from '../core/node/terminal.ts';
import { cliError } from './errors.ts';
import { openDataDirectory } from './up/data-directory.ts';
import { reportJson, reportLines } from './up/report.ts';
import { startStack, UP_TEES, type UpTee } from './up/stack.ts';

const PORT_DEFAULT = 8787;
const PORT_MAX = 65_535;
const WORKERS_DEFAULT = 2;
const WORKERS_MAX = 8;

interface UpOptions {
  readonly json?: true;
  readonly port: number;
  readonly httpsPort?: number;
  readonly adminPort?: number;
  readonly devnetPort?: number;
  readonly data: string;
  readonly workers: number;
  readonly tee: UpTee;
}

function wholeNumber(name: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw cliError('cli.option', `${name} takes a whole number from ${min} to ${max}`);
  };
}

export function registerUpCommand(program: Command): void {
  program
    .command('up')
    .description(
      'start a gateway, simulated workers, the demo model and a TON network on this machine',
    )
    .option(
      '--port <number>',
      'HTTP port, 0 for any',
      wholeNumber('--port', 0, PORT_MAX),
      PORT_DEFAULT,
    )
    .option(
      '--https-port <number>',
      'HTTPS port, 0 for any (default: the next after --port)',
      wholeNumber('--https-port', 0, PORT_MAX),
    )
    .option(
      '--admin-port <number>',
      'port of metrics and policy state, 0 for any (default: the second after --port)',
      wholeNumber('--admin-port', 0, PORT_MAX),
    )
    .option(
      '--devnet-port <number>',
      'port of the TON network, 0 for any (default: the third after --port)',
      wholeNumber('--devnet-port', 0, PORT_MAX),
    )
    .option('--data <directory>', 'where all state is kept', '.data')
    .option(
      '--workers <number>',
      'how many workers',
      wholeNumber('--workers', 1, WORKERS_MAX),
      WORKERS_DEFAULT,
    )
    .addOption(
      new Option(
        '--tee <kind>',
        'which machines to simulate: Intel TDX, AMD SEV-SNP, or both in turn',
      )
        .choices(Object.keys(UP_TEES))
        .default('tdx'),
    )
    .option('--json', 'print one line of JSON when ready, for programs')
    .action((options: UpOptions) => up(options));
}

/** 0 stays 0: any free port. */
function portBehind(port: number, by: number): number {
  return port === 0 ? 0 : Math.min(port + by, PORT_MAX);
}

async function up(options: UpOptions): Promise<void> {
  const asked = untilSignal();
  const isJson = options.json === true;
  const say = isJson ? () => undefined : errorLine;
  const data = openDataDirectory(options.data);
  try {
    const stack = await startStack({
      data,
      port: options.port,
      httpsPort: options.httpsPort ?? portBehind(options.port, 1),
      adminPort: options.adminPort ?? portBehind(options.port, 2),
      devnetPort: options.devnetPort ?? portBehind(options.port, 3),
      workers: options.workers,
      tee: options.tee,
      onProgress: (line) => say(`  ${line}`),
    });
    const report = stack.report();
    for (const line of isJson ? [reportJson(report)] : reportLines(report)) outputLine(line);
    await asked;
    say('\nStopping: running requests may finish.');
    await stack.close();
    say('Stopped.');
  } finally {
    data.release();
  }
}
