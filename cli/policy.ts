/**
 * `veilgate policy …`: everything a team does with its policy before workers feel it. One sub-command per file, loaded when
 * asked for. Exit status: 0 nothing to report, 1 there are findings, 2 wrong usage, 3 an input cannot be read.
 * @module
 */

import type { Command } from 'commander';

const EXIT_HELP = `
Exit status: 0 nothing to report, 1 there are findings, 2 wrong usage, 3 an input
cannot be read. All take --json.`;

/** Every sub-command: the word, and where it lives. */
const COMMANDS = [
  { name: 'init', load: async () => (await import('./policy/init.ts')).registerInitCommand },
  { name: 'schema', load: async () => (await import('./policy/schema.ts')).registerSchemaCommand },
  { name: 'lint', load: async () => (await import('./policy/lint.ts')).registerLintCommand },
  { name: 'test', load: async () => (await import('./policy/test.ts')).registerTestCommand },
  {
    name: 'explain',
    load: async () => (await import('./policy/explain.ts')).registerExplainCommand,
  },
  { name: 'diff', load: async () => (await import('./policy/diff.ts')).registerDiffCommand },
  {
    name: 'simulate',
    load: async () => (await import('./policy/simulate.ts')).registerSimulateCommand,
  },
  {
    name: 'compile',
    load: async () => (await import('./policy/compile.ts')).registerCompileCommand,
  },
  { name: 'key', load: async () => (await import('./policy/key.ts')).registerKeyCommand },
  { name: 'root', load: async () => (await import('./policy/root.ts')).registerRootCommand },
  { name: 'sign', load: async () => (await import('./policy/sign.ts')).registerSignCommand },
  { name: 'verify', load: async () => (await import('./policy/verify.ts')).registerVerifyCommand },
  {
    name: 'publish',
    load: async () => (await import('./policy/publish.ts')).registerPublishCommand,
  },
  {
    name: 'promote',
    load: async () => (await import('./policy/promote.ts')).registerPromoteCommand,
  },
  {
    name: 'rollback',
    load: async () => (await import('./policy/rollback.ts')).registerRollbackCommand,
  },
  { name: 'status', load: async () => (await import('./policy/status.ts')).registerStatusCommand },
  { name: 'repo', load: async () => (await import('./policy/repo.ts')).registerRepoCommand },
  {
    name: 'advisories',
    load: async () => (await import('./policy/advisories.ts')).registerAdvisoriesCommand,
  },
] as const;

/** `argv`: all words of the command line. Another command's needs nothing of this one. */
export async function registerPolicyCommand(
  program: Command,
  argv: readonly string[],
): Promise<void> {
  const policy = program
    .command('policy')
    .description('write, check and compare policies')
    .addHelpText('after', EXIT_HELP);
  const [first, word] = argv.filter((argument) => !argument.startsWith('-'));
  if (first !== 'policy') return;
  const asked = COMMANDS.find(({ name }) => name === word);
  for (const command of asked === undefined ? COMMANDS : [asked]) {
    const register = await command.load();
    register(policy);
  }
}
