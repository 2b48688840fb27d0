#!/usr/bin/env node
/**
 * The `veilgate` command: one sub-command per file, loaded when asked for. Exit status: 0 done, 1 the command found
 * or met a problem, 2 wrong usage.
 * @module
 */

import { Command, CommanderError } from 'commander';
import { VeilError } from '../core/errors.ts';
import { systemCodeOf } from '../core/node/private-files.ts';
import { endWhenPipeCloses, errorLine, outputLine, printable } from '../core/node/terminal.ts';
import { VERSION } from './version.ts';

/** Every sub-command: the word, and where it lives. */
const COMMANDS = [
  { name: 'attest', load: async () => (await import('./attest.ts')).registerAttestCommand },
  { name: 'measure', load: async () => (await import('./measure.ts')).registerMeasureCommand },
  { name: 'policy', load: async () => (await import('./policy.ts')).registerPolicyCommand },
  { name: 'up', load: async () => (await import('./up.ts')).registerUpCommand },
  { name: 'gateway', load: async () => (await import('./gateway.ts')).registerGatewayCommand },
  { name: 'trial', load: async () => (await import('./trial.ts')).registerTrialCommand },
  { name: 'doctor', load: async () => (await import('./doctor.ts')).registerDoctorCommand },
  { name: 'owner', load: async () => (await import('./owner.ts')).registerOwnerCommand },
  { name: 'audit', load: async () => (await import('./audit.ts')).registerAuditCommand },
  { name: 'host', load: async () => (await import('./host.ts')).registerHostCommand },
  { name: 'revoke', load: async () => (await import('./revoke.ts')).registerRevokeCommand },
  { name: 'receipt', load: async () => (await import('./receipt.ts')).registerReceiptCommand },
  {
    name: 'verify-response',
    load: async () => (await import('./verify-response.ts')).registerVerifyResponseCommand,
  },
  { name: 'devnet', load: async () => (await import('./devnet.ts')).registerDevnetCommand },
  { name: 'worker', load: async () => (await import('./worker.ts')).registerWorkerCommand },
  { name: 'wallet', load: async () => (await import('./wallet.ts')).registerWalletCommand },
  { name: 'channel', load: async () => (await import('./channel.ts')).registerChannelCommand },
  {
    name: 'settlements',
    load: async () => (await import('./settlements.ts')).registerSettlementsCommand,
  },
  { name: 'key', load: async () => (await import('./key.ts')).registerKeyCommand },
  { name: 'proxy', load: async () => (await import('./proxy.ts')).registerProxyCommand },
  { name: 'vectors', load: async () => (await import('./vectors.ts')).registerVectorsCommand },
] as const;

async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('veilgate')
    .description('Private, provable, metered answers from language models on somebody else’s GPU.')
    .version(VERSION)
    .showHelpAfterError('(veilgate --help shows what there is)')
    .configureOutput({
      writeOut: (text) => outputLine(text.trimEnd()),
      // It repeats what was written, which a script may have from somebody else.
      writeErr: (text) => errorLine(text.trimEnd().split('\n').map(printable).join('\n')),
    })
    .exitOverride();
  // The first word only: further on, the same word may be the value of an option.
  const word = argv.find((argument) => !argument.startsWith('-'));
  const asked = COMMANDS.find(({ name }) => name === word);
  for (const command of asked === undefined ? COMMANDS : [asked]) {
    const register = await command.load();
    await register(program, argv);
  }
  await program.parseAsync(argv, { from: 'user' });
}

function exitStatus(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof VeilError) {
    errorLine(printable(`veilgate: ${error.message}`));
    return 1;
  }
  errorLine(printable(`veilgate: ${messageOf(error)}`));
  return 1;
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown failure';
  if (systemCodeOf(error) !== 'EADDRINUSE') return error.message;
  const { address, port } = Object(error);
  return `${address}:${port} is used by another program; choose another port (--help names the options)`;
}

endWhenPipeCloses();
try {
  await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = exitStatus(error);
}
