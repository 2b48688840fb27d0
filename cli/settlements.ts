/**
 * `veilgate settlements tail`: what a gateway settles, a line for each request as it happens. Ctrl-C ends it. Exit status:
 * 0 asked to end, 1 a problem, 2 wrong usage.
 * @module
 */

import { InvalidArgumentError, type Command } from 'commander';
import type { VeilError } from '../core/errors.ts';
import { untilSignal } from '../core/node/lifecycle.ts';
import {
  errorLine,
  isTerminal,
  jsonLine,
  outputLine,
  paint,
  terminalColumns,
} from '../core/node/terminal.ts';
import { headLine, settlementLine } from './settlements/line.ts';
import { followSettlements, settlementJson } from './settlements/follow.ts';

const ADMIN_DEFAULT = 'http://127.0.0.1:8789';

interface TailOptions {
  readonly url: string;
  readonly after: bigint | 'tail';
  readonly json?: true;
}

export function registerSettlementsCommand(program: Command): void {
  program
    .command('settlements')
    .description('what a gateway settles')
    .command('tail')
    .description('follow the settlements, oldest first, until Ctrl-C')
    .option('--url <admin>', 'admin address of the gateway, on this machine', ADMIN_DEFAULT)
    .option('--after <seq>', 'begin behind this entry, 0 for all (default: now)', sequence, 'tail')
    .option('--json', 'one line of JSON for each')
    .action(tail);
}

function sequence(text: string): bigint | 'tail' {
  if (text === 'tail') return text;
  if (/^\d{1,19}$/.test(text)) return BigInt(text);
  throw new InvalidArgumentError('want the number of an entry');
}

async function tail({ url, after, json }: TailOptions): Promise<void> {
  const ended = new AbortController();
  void untilSignal().then(() => ended.abort());
  const columns = terminalColumns();
  if (json !== true && isTerminal()) outputLine(paint('dim', headLine(columns)));
  await followSettlements({
    url,
    after,
    signal: ended.signal,
    onEntry: (entry) =>
      outputLine(json === true ? jsonLine(settlementJson(entry)) : settlementLine(entry, columns)),
    onTrouble: (error) => errorLine(troubleText(error)),
  });
}

function troubleText(error: VeilError | undefined): string {
  if (error === undefined) return 'veilgate: the gateway answers again';
  return `veilgate: ${error.code}; asking again until it answers (Ctrl-C ends)`;
}
