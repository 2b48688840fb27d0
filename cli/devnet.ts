/**
 * `veilgate devnet`: an embedded TON network on loopback until Ctrl-C, for development and tests. `TonClient` of @ton/ton
 * takes its endpoint as it is. Spec: ton-settlement §6.
 * @module
 */

import { InvalidArgumentError, type Command } from 'commander';
import { untilSignal } from '../core/node/lifecycle.ts';
import { errorLine, outputLine } from '../core/node/terminal.ts';
import { openDevnet, type Devnet } from '../settlement/ton/devnet/devnet.ts';

const PORT_DEFAULT = 8081;
const PORT_MAX = 65_535;
const BLOCK_TIME_MAX_MS = 60_000;

interface DevnetCommandOptions {
  readonly port: number;
  readonly blockTime: number;
  readonly state?: string;
  readonly json?: true;
}

export function registerDevnetCommand(program: Command): void {
  program
    .command('devnet')
    .description('run a TON network for development, on this machine alone, until Ctrl-C')
    .option('--port <number>', 'where to listen, 0 for a free one', port, PORT_DEFAULT)
    .option('--block-time <ms>', 'a block every so often; 0: one for every message', blockTime, 0)
    .option('--state <file>', 'keep accounts and time in this file between runs')
    .option('--json', 'one JSON object when ready')
    .action(run);
}

function port(text: string): number {
  return wholeNumber(text, PORT_MAX);
}

function blockTime(text: string): number {
  return wholeNumber(text, BLOCK_TIME_MAX_MS);
}

function wholeNumber(text: string, max: number): number {
  if (/^\d{1,6}$/.test(text) && Number(text) <= max) return Number(text);
  throw new InvalidArgumentError(`want a whole number from 0 to ${max}`);
}

async function run(options: DevnetCommandOptions): Promise<void> {
  const asked = untilSignal();
  const devnet = await openDevnet({
    port: options.port,
    blockTimeMs: options.blockTime,
    ...(options.state === undefined ? {} : { statePath: options.state }),
  });
  if (options.json === true) outputLine(JSON.stringify(factsOf(devnet)));
  else explain(devnet, options);
  await asked;
  await devnet.close();
}

function factsOf({ endpoint, network, port }: Devnet) {
  return {
    endpoint,
    control: endpoint.replace('/api/v2/jsonRPC', '/devnet'),
    port,
    network: network.name,
    globalId: network.globalId,
  };
}

function explain(devnet: Devnet, { blockTime, state }: DevnetCommandOptions): void {
  const { endpoint, control, globalId } = factsOf(devnet);
  outputLine(`TON devnet   ${endpoint}   (toncenter v2, global id ${globalId})`);
  outputLine(`blocks       ${blockTime === 0 ? 'one for every message' : `every ${blockTime} ms`}`);
  outputLine(`state        ${state ?? 'in memory; gone when it ends (--state FILE keeps it)'}`);
  outputLine(`
Ten TON from nowhere (for an address of yours):
  curl ${control}/faucet --json '{"address":"0:${'0'.repeat(63)}1","nanoton":"10000000000"}'
An hour passes:
  curl ${control}/time --json '{"forwardS":3600}'
Try your error handling:
  curl ${control}/faults --json '{"kind":"rate_limit","retryAfterS":1,"times":3}'
  curl -X DELETE ${control}/faults`);
  errorLine('\nIts coins are worth nothing. Ctrl-C ends it.');
}
