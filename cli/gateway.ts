/**
 * `veilgate gateway --config FILE`: a gateway with everything that gateway/main.ts cannot have: the convenience mode, which
 * seals with the client's own code, and the machine it runs in, so that it can prove itself. Prints once who it is and where
 * it listens, as JSON. Spec: docs/attested-gateway.md "Configuration".
 * @module
 */

import { join } from 'node:path';
import type { Command } from 'commander';
import { openConfiguredStore, type ConfiguredStore } from '../attestation/collateral/compose.ts';
import { systemClock } from '../core/clock.ts';
import { decodeConfig, redactedConfig } from '../core/node/config.ts';
import { untilSignal } from '../core/node/lifecycle.ts';
import { STORE_PARTS } from '../core/node/store-parts.ts';
import { errorLine, jsonLine, outputLine, printable } from '../core/node/terminal.ts';
import { thisGuest } from '../enclave-worker/evidence/guest.ts';
import { openProvider } from '../enclave-worker/evidence/open-provider.ts';
import { EVIDENCE_CONFIG } from '../enclave-worker/evidence/providers.ts';
import { createGateway } from '../gateway/app.ts';
import type { QuoteSource } from '../gateway/attested/quote-source.ts';
import { loadGatewayConfig, type GatewayConfig } from '../gateway/config.ts';
import { quoteSource } from './attested/quotes.ts';
import { plainModeSealer } from './plain-mode.ts';

interface Options {
  readonly config: string;
  readonly checkConfig?: true;
}

export function registerGatewayCommand(program: Command): void {
  program
    .command('gateway')
    .description('run a gateway that may also seal for apps, and prove itself where it is in a TEE')
    .requiredOption('--config <file>', 'YAML or JSON; variables VEILGATE_GATEWAY_<KEY> come on top')
    .option('--check-config', 'print what would run, without secrets, and end')
    .action(run);
}

async function run({ config: filePath, checkConfig }: Options): Promise<void> {
  const asked = untilSignal();
  const config = loadGatewayConfig({ filePath });
  if (checkConfig === true) {
    outputLine(redactedConfig(config));
    return;
  }
  const stop = new AbortController();
  void asked.then(() => stop.abort());
  await using opened = new AsyncDisposableStack();
  const quotes = await quotesOf(config, opened, stop.signal);
  const gateway = await createGateway({
    config,
    sealer: plainModeSealer,
    ...(quotes === undefined ? {} : { quotes }),
  });
  opened.defer(async () => void (await gateway.close()));
  const ports = await gateway.listen();
  outputLine(jsonLine({ aud: gateway.aud, ...definedOf(ports) }));
  await asked;
}

function definedOf(ports: object): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(ports).filter(([, port]) => port !== undefined));
}

async function quotesOf(
  { attested, collateral, dataDir }: GatewayConfig,
  opened: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<QuoteSource | undefined> {
  if (attested === null) return undefined;
  const provider = await openProvider(decodeConfig(EVIDENCE_CONFIG, attested.evidence), {
    guest: thisGuest,
    signal,
    onFinding: ({ name, reason }) => errorLine(printable(`evidence by ${name}: ${reason}`)),
  });
  if (provider.simulated) return quoteSource(provider);
  const directory = join(collateral.directory ?? dataDir, 'own-collateral');
  const { store, close } = await openStore({ ...collateral, directory });
  const running = store.run(signal).catch(() => undefined);
  opened.defer(async () => {
    await close();
    // It ends with the signal; without it collateral is got when it is needed.
    await running;
  });
  return quoteSource(provider, store);
}

function openStore(collateral: GatewayConfig['collateral']): Promise<ConfiguredStore> {
  return openConfiguredStore(collateral, {
    ...STORE_PARTS,
    now: systemClock,
    onEvent: () => undefined,
  });
}
