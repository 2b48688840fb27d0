/**
 * What the long-running programs have in common towards whoever starts them: their command line, their exit status, and
 * one line that says why one could not start. Exit status: 0 asked to end, or told what was asked; 1 could not start, or
 * failed; 2 wrong usage; 130 asked twice.
 * @module
 */

import { parseArgs } from 'node:util';
import { VeilError } from '../errors.ts';
import { errorLine, outputLine, printable } from './terminal.ts';

export const SERVICE_STATUS = { ended: 0, failed: 1, wrongUsage: 2 } as const;

export interface ServiceArguments {
  readonly config?: string;
  readonly 'check-config': boolean;
}

export interface ServiceHelp {
  /** `node gateway/main.ts`. */
  readonly command: string;
  readonly about: string;
  /** What has to be said beyond the options; each a line. */
  readonly notes: readonly string[];
}

/** Ends the process for `--help` and for what is no such command line. */
export function readServiceArguments(help: ServiceHelp): ServiceArguments {
  const usage = usageOf(help);
  try {
    const { help: asked, ...rest } = parseArgs({
      options: {
        config: { type: 'string' },
        'check-config': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
      strict: true,
    }).values;
    if (!asked) return rest;
    for (const line of [usage, '', help.about, '', ...OPTIONS, ...help.notes]) outputLine(line);
    return process.exit(SERVICE_STATUS.ended);
  } catch {
    return wrongUsage(help);
  }
}

/** Ends the process. */
export function wrongUsage(help: ServiceHelp): never {
  errorLine(usageOf(help));
  return process.exit(SERVICE_STATUS.wrongUsage);
}

function usageOf({ command }: ServiceHelp): string {
  return `usage: ${command} --config FILE [--check-config]`;
}

const OPTIONS = [
  '  --config FILE    YAML or JSON; variables of the environment come on top',
  '  --check-config   print what would run, without secrets, and end',
  '  --help           print this, and end',
  '',
  'SIGTERM or Ctrl-C: takes nothing new, lets what runs finish, ends. A second one ends at once.',
  'Exit status: 0 asked to end; 1 could not start, or failed; 2 wrong usage; 130 asked twice.',
];

/** For whoever wrote the configuration: our own words, or what the system said and about what; never a foreign message. */
export function whyNotStarted(error: unknown): string {
  const refused = error instanceof VeilError ? error.message : 'could not start';
  const system = systemWords(error);
  return printable(system === undefined ? refused : `${refused} (${system})`);
}

const CAUSES_MAX = 8;

function systemWords(error: unknown): string | undefined {
  let cause = error;
  for (let depth = 0; depth < CAUSES_MAX && cause instanceof Error; depth++) {
    if ('syscall' in cause && 'code' in cause) return wordsOf(cause);
    ({ cause } = cause);
  }
  return undefined;
}

/** Members of Node's SystemError, all of them about a file or an address that a configuration named. */
function wordsOf(error: object): string {
  const { code, syscall, path, address, port } = Object.fromEntries(Object.entries(error));
  const where = typeof path === 'string' ? path : addressOf(address, port);
  return [code, syscall, where].filter((word) => typeof word === 'string').join(' ');
}

function addressOf(address: unknown, port: unknown): string | undefined {
  if (typeof address !== 'string') return undefined;
  return typeof port === 'number' ? `${address}:${port}` : address;
}
