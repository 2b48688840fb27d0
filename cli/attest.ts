/**
 * `veilgate attest verify|inspect|explain INPUT`: is this evidence good, what stands in it, and why is it refused. `veilgate
 * attest gateway URL` asks the same of a gateway's own evidence.
 * Exit status: 0 accepted, 1 rejected, 2 wrong usage, 3 the input could not be read or something to judge it by is missing;
 * inspect decides nothing and ends with 0 when it could read the input.
 * @module
 */

import type { Command } from 'commander';
import { systemClock } from '../core/clock.ts';
import { errorLine, isTerminal, outputLine, terminalColumns } from '../core/node/terminal.ts';
import { openCollateralSource } from './attest/collateral-source.ts';
import { registerOwnEvidence } from './attest/own-evidence.ts';
import { addAttestOptions, type AttestCommand, type AttestOptions } from './attest/request.ts';
import { runAttest } from './attest/run.ts';

const COMMANDS: readonly (readonly [name: AttestCommand, description: string])[] = [
  ['verify', 'say whether evidence is accepted, and which checks failed'],
  ['inspect', 'show everything that can be read in evidence, verified or not'],
  ['explain', 'say what failed and why it matters, what is behind, and what to do'],
];

const EXIT_HELP = `
Input: an evidence bundle (JSON), a gateway's saved list of evidence, a TDX
quote, an SEV-SNP report with or without the host's certificate table, an Azure
attestation blob; binary, hex or base64. A URL (https, or http on this machine)
is a gateway: its workers are judged.

Exit status: 0 accepted; 1 rejected; 2 wrong usage; 3 the input could not be
read, or what is needed to judge it is missing. Of several, the worst counts.
inspect decides nothing: 0 when it could read the input, else 2 or 3.`;

export function registerAttestCommand(program: Command): void {
  const attest = program
    .command('attest')
    .description('verify, inspect and explain evidence of TDX and SEV-SNP machines');
  for (const [name, description] of COMMANDS) {
    addAttestOptions(attest.command(name).description(description))
      .addHelpText('after', EXIT_HELP)
      .action((input: string, options: AttestOptions) => run({ command: name, input, options }));
  }
  registerOwnEvidence(attest);
}

async function run(request: Parameters<typeof runAttest>[0]): Promise<void> {
  const page = { columns: terminalColumns(), rows: isTerminal() ? 'wrapped' : 'whole' } as const;
  const io = {
    clock: systemClock,
    fetch: globalThis.fetch,
    stdin: process.stdin,
    openSource: openCollateralSource,
  };
  const { status, output, errors } = await runAttest(request, io, page);
  for (const line of output) outputLine(line);
  for (const line of errors) errorLine(line);
  process.exitCode = status;
}
