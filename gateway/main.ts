/**
 * `node gateway/main.ts --config FILE [--check-config]`: one gateway that relays sealed requests and reads none. The
 * convenience mode is wired by `veilgate up`.
 * @module
 */

import { parseArgs } from 'node:util';
import { VeilError } from '../core/errors.ts';
import { redactedConfig } from '../core/node/config.ts';
import { untilSignal } from '../core/node/lifecycle.ts';
import { errorLine, outputLine, printable } from '../core/node/terminal.ts';
import { createGateway } from './app.ts';
import { loadGatewayConfig } from './config.ts';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { config: { type: 'string' }, 'check-config': { type: 'boolean', default: false } },
  });
  const config = loadGatewayConfig(values.config === undefined ? {} : { filePath: values.config });
  if (values['check-config']) {
    outputLine(redactedConfig(config));
    return;
  }
  const gateway = await createGateway({ config });
  const ports = await gateway.listen();
  outputLine(JSON.stringify({ aud: gateway.aud, ...ports }));
  await untilSignal();
  await gateway.close();
}

try {
  await main();
} catch (error) {
  errorLine(error instanceof VeilError ? printable(error.message) : 'the gateway could not start');
  process.exitCode = 1;
}
