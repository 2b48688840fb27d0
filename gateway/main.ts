/**
 * `node gateway/main.ts --config FILE [--check-config]`: one gateway that relays sealed requests and reads none. The
 * convenience mode is wired by `veilgate up`. Says on standard output once who it is and where it listens, as JSON.
 * @module
 */

import { redactedConfig } from '../core/node/config.ts';
import { untilSignal } from '../core/node/lifecycle.ts';
import { codeOf } from '../core/node/log.ts';
import {
  readServiceArguments,
  SERVICE_STATUS,
  whyNotStarted,
  type ServiceHelp,
} from '../core/node/service.ts';
import { errorLine, outputLine } from '../core/node/terminal.ts';
import { createGateway, type Gateway, type ListeningPorts } from './app.ts';
import { loadGatewayConfig, type GatewayConfig } from './config.ts';
import { gatewayError } from './errors.ts';

const HELP: ServiceHelp = {
  command: 'node gateway/main.ts',
  about: 'A gateway: admits attested workers, relays sealed requests, reads none of them.',
  notes: ['', 'Variables: VEILGATE_GATEWAY_<KEY>. Everything else is in docs/deploy.md.'],
};

interface Listening {
  readonly gateway: Gateway;
  readonly ports: ListeningPorts;
}

/** A gateway that cannot listen is closed again: what it had opened would keep the process. */
async function start(config: GatewayConfig): Promise<Listening> {
  // This process has nothing to seal with, and an operator who wrote that it can read must not believe that it does.
  if (config.plaintext !== 'refuse') {
    throw gatewayError(
      'gateway.config',
      'plaintext: only "veilgate up" serves apps that do not seal',
    );
  }
  const gateway = await createGateway({ config });
  try {
    return { gateway, ports: await gateway.listen() };
  } catch (error) {
    await gateway.close();
    throw error;
  }
}

async function main(): Promise<void> {
  const values = readServiceArguments(HELP);
  const asked = untilSignal();
  const config = loadGatewayConfig(values.config === undefined ? {} : { filePath: values.config });
  if (values['check-config']) {
    outputLine(redactedConfig(config));
    return;
  }
  const started = await Promise.race([start(config), asked]);
  // Asked to end before anything was served: there is nothing to drain.
  if (typeof started === 'string') return;
  const { gateway, ports } = started;
  outputLine(JSON.stringify({ aud: gateway.aud, ...ports }));
  await asked;
  await gateway.close();
}

// Node would print the error with all its words, which may not be ours.
process.once('uncaughtException', (error) => {
  errorLine(`the gateway failed: ${codeOf(error) ?? 'internal.invariant'}`);
  process.exit(SERVICE_STATUS.failed);
});

try {
  await main();
  process.exit(SERVICE_STATUS.ended);
} catch (error) {
  errorLine(whyNotStarted(error));
  process.exit(SERVICE_STATUS.failed);
}
