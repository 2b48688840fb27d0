/**
 * The gateway of `veilgate up`: every listener on this machine, development policies allowed, one API key that stays.
 * @module
 */

import { createWriteStream, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { systemClock } from '../../core/clock.ts';
import { assert } from '../../core/errors.ts';
import { DEMO_MODEL } from '../../enclave-worker/demo-model/demo-model.ts';
import { createApiKey, keyHashOf } from '../../gateway/accounts.ts';
import { createGateway, type Gateway } from '../../gateway/app.ts';
import { GATEWAY_CONFIG } from '../../gateway/config.ts';
import { plainModeSealer } from '../plain-mode.ts';
import type { DataDirectory } from './data-directory.ts';
import type { DevelopmentPublication } from './publication.ts';

const HOST = '127.0.0.1';
const GATEWAY_GRACE_MS = 10_000;

export interface TrialGatewayOptions {
  readonly data: DataDirectory;
  /** 0: any free port. */
  readonly port: number;
  readonly httpsPort: number;
  readonly adminPort: number;
}

export interface RunningGateway {
  readonly gateway: Gateway;
  readonly baseUrl: string;
  readonly httpsUrl: string;
  readonly adminUrl: string;
  readonly apiKey: string;
  readonly model: string;
}

export async function startTrialGateway(
  options: TrialGatewayOptions,
  { directory, rootFile }: DevelopmentPublication,
): Promise<RunningGateway> {
  const { data } = options;
  const dataDir = data.path('gateway');
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const logFile = createWriteStream('', { fd: data.openLog('gateway.log') });
  const config = GATEWAY_CONFIG.parse({
    dataDir,
    publication: { rootFile, directory, allowDevelopment: true },
    admin: { port: options.adminPort },
    listen: {
      host: HOST,
      httpPort: options.port,
      httpsPort: options.httpsPort,
      hostNames: ['localhost', HOST],
    },
    workers: { allowPrivateEndpoints: true },
    models: [DEMO_MODEL.id],
    plaintext: 'operator-can-read',
    closeGraceMs: GATEWAY_GRACE_MS,
  });
  const gateway = await createGateway({
    config,
    logDestination: { write: (line) => void logFile.write(line) },
    sealer: plainModeSealer,
  });
  try {
    const { httpPort, httpsPort, adminPort } = await gateway.listen();
    assert(httpPort !== undefined && httpsPort !== undefined, 'both listeners are configured');
    return {
      gateway,
      baseUrl: `http://${HOST}:${httpPort}/v1`,
      httpsUrl: `https://${HOST}:${httpsPort}/v1`,
      adminUrl: `http://${HOST}:${adminPort ?? 0}`,
      apiKey: apiKeyOf(data, gateway),
      model: DEMO_MODEL.id,
    };
  } catch (error) {
    await gateway.close();
    throw error;
  }
}

/** The same key at every start, for as long as the store knows it. */
function apiKeyOf(data: DataDirectory, { store }: Gateway): string {
  const path = data.path('api-key');
  if (existsSync(path)) {
    const known = readFileSync(path, 'utf8').trim();
    const record = store.findApiKey(keyHashOf(known));
    if (record !== undefined && record.revokedMs === undefined) return known;
  }
  const { apiKey } = createApiKey(store, 'veilgate up', systemClock());
  data.write('api-key', `${apiKey}\n`);
  return apiKey;
}
