/**
 * `veilgate host enrol|check`: the registry of machines that a policy counts on (`platforms: {registry: hosts}`), from
 * evidence that was verified. Exit status: 0 done, 1 there are findings, 2 wrong usage, 3 an input cannot be read.
 * @module
 */

import type { Command } from 'commander';

const COMMANDS = [
  { name: 'enrol', load: async () => (await import('./host/enrol.ts')).registerEnrolCommand },
  { name: 'check', load: async () => (await import('./host/check.ts')).registerCheckCommand },
] as const;

/** `argv`: all words of the command line. Another command's needs nothing of this one. */
export async function registerHostCommand(
  program: Command,
  argv: readonly string[],
): Promise<void> {
  const host = program.command('host').description('keep the registry of machines of a policy');
  const [first] = argv.filter((argument) => !argument.startsWith('-'));
  if (first !== 'host') return;
  for (const { load } of COMMANDS) {
    const register = await load();
    register(host);
  }
}
