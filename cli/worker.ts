/**
 * `veilgate worker earnings|claim`: what a worker has earned, and the money on its way to its owner. Reads the directory in
 * which a worker keeps its earnings, also while it runs. Exit status: 0 done, 1 there is something that could not be
 * claimed, 2 wrong usage, 3 the directory or the chain cannot be read.
 * @module
 */

import { InvalidArgumentError, type Command } from 'commander';
import { VeilError } from '../core/errors.ts';
import { untilSignal } from '../core/node/lifecycle.ts';
import { errorLine, jsonLine, outputLine, printable } from '../core/node/terminal.ts';
import { runClaim } from './worker/claim.ts';
import { runEarnings } from './worker/earnings.ts';
import { EARNINGS_FORMAT, EXIT, type WorkerIo } from './worker/io.ts';

const DIR_DEFAULT = 'earnings';
const PROVIDERS_MAX = 8;

const EXIT_HELP = `
Providers speak toncenter's v2 API, such as
https://toncenter.com/api/v2/jsonRPC; of several, most must agree.

Exit status: 0 done; 1 something could not be claimed; 2 wrong usage; 3 the
directory or the chain cannot be read.`;

interface Words {
  readonly dir: string;
  readonly provider?: readonly string[];
  readonly json?: true;
}

export function registerWorkerCommand(program: Command): void {
  const worker = program.command('worker').description('what a worker has earned');
  worker
    .command('earnings')
    .description('show what was earned, acknowledged, vouchered and paid, by day and by model')
    .option('--dir <directory>', 'earnings.dir of the worker', DIR_DEFAULT)
    .option('--provider <url>', 'ask the chain what was claimed; may stand again', providers)
    .option('--json', 'one line of JSON')
    .addHelpText('after', EXIT_HELP)
    .action((words: Words) =>
      run('earnings', words, (io, signal) => runEarnings(optionsOf(words), io, signal)),
    );
  worker
    .command('claim')
    .description('send the best voucher of each channel to the chain, and wait for the money')
    .option('--dir <directory>', 'earnings.dir of the worker', DIR_DEFAULT)
    .requiredOption('--provider <url>', 'through whom; may stand again', providers)
    .option('--json', 'one line of JSON')
    .addHelpText('after', EXIT_HELP)
    .action((words: Words) =>
      run('claim', words, (io, signal) => runClaim(optionsOf(words), io, signal)),
    );
}

function optionsOf({ dir, provider = [], json }: Words) {
  return { dir, providers: provider, format: json === true ? 'json' : 'text' } as const;
}

function providers(text: string, before: readonly string[] = []): readonly string[] {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '') {
    throw new InvalidArgumentError('want https://…/api/v2/jsonRPC');
  }
  if (before.length === PROVIDERS_MAX) throw new InvalidArgumentError(`at most ${PROVIDERS_MAX}`);
  return [...before, text];
}

async function run(
  command: string,
  { json }: Words,
  work: (io: WorkerIo, signal: AbortSignal) => Promise<number>,
): Promise<void> {
  const stop = new AbortController();
  void untilSignal().then(() => stop.abort());
  try {
    process.exitCode = await work({ output: outputLine, error: errorLine }, stop.signal);
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    const { code, message } = error;
    if (json === true) {
      outputLine(
        jsonLine({ format: EARNINGS_FORMAT, command, exit: EXIT.unreadable, code, message }),
      );
    }
    errorLine(printable(`veilgate: ${message}`));
    process.exitCode = EXIT.unreadable;
  }
}
