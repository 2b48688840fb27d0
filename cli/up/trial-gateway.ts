/**
 * The gateway of `veilgate up`: every listener on this machine, development policies allowed, one API key that stays, and
 * payment from channels on the devnet beside it.
 * @module
 */

import { createWriteStream, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { systemClock } from '../../core/clock.ts';
import { toHex } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { DEMO_MODEL } from '../../enclave-worker/demo-model/demo-model.ts';
import { DEMO_GATEWAY_WORKLOAD } from '../../enclave-worker/evidence/simulator/demo-image.ts';
import { createApiKey, keyHashOf } from '../../gateway/accounts.ts';
import { createGateway, type Gateway } from '../../gateway/app.ts';
import type { QuoteSource } from '../../gateway/attested/quote-source.ts';
import { GATEWAY_CONFIG, type GatewayConfigInput } from '../../gateway/config.ts';
import { creditBalance } from '../../gateway/payments/balances.ts';
import { amount } from '../../settlement/money.ts';
import { plainModeSealer } from '../plain-mode.ts';
import type { DataDirectory } from './data-directory.ts';
import type { DevMoney } from './money.ts';
import type { DevelopmentPublication } from './publication.ts';

const HOST = '127.0.0.1';
const GATEWAY_GRACE_MS = 10_000;
/** A twentieth of what workers ask. */
const FEE_BPS = 500;
/** nanoTON on the API key, for requests that no channel pays. */
const BALANCE = 1_000_000_000n;

export interface TrialGatewayOptions {
  readonly data: DataDirectory;
  /** 0: any free port. */
  readonly port: number;
  readonly httpsPort: number;
  readonly adminPort: number;
  readonly money: DevMoney;
  /** Of the machine that this process is said to run in. */
  readonly quotes: QuoteSource;
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
    attested: {
      workload: {
        image: toHex(DEMO_GATEWAY_WORKLOAD.image),
        config: toHex(DEMO_GATEWAY_WORKLOAD.config),
      },
      evidence: {},
    },
    settlement: settlementOf(options.money),
    closeGraceMs: GATEWAY_GRACE_MS,
  });
  const gateway = await createGateway({
    config,
    logDestination: { write: (line) => void logFile.write(line) },
    sealer: plainModeSealer,
    quotes: options.quotes,
  });
  try {
    const { httpPort, httpsPort, adminPort } = await gateway.listen();
    assert(httpPort !== undefined && httpsPort !== undefined, 'both listeners are configured');
    return {
      gateway,
      baseUrl: `http://${HOST}:${httpPort}/v1`,
      httpsUrl: `https://${HOST}:${httpsPort}/v1`,
      adminUrl: `http://${HOST}:${adminPort ?? 0}`,
      apiKey: await apiKeyOf(data, gateway),
      model: DEMO_MODEL.id,
    };
  } catch (error) {
    await gateway.close();
    throw error;
  }
}

function settlementOf(money: DevMoney): GatewayConfigInput['settlement'] {
  return {
    feeBps: FEE_BPS,
    custodial: 'operator-holds-balances',
    ton: {
      network: 'devnet',
      providers: [{ name: 'devnet', url: money.providerUrl }],
      settlementKeyFile: money.keys.settlement.path,
      treasuryKeyFile: money.keys.treasury.path,
      withdrawDelayMinS: money.withdrawDelayMinS,
    },
  };
}

/** The same key at every start, for as long as the store knows it. It begins with a balance. */
async function apiKeyOf(data: DataDirectory, gateway: Gateway): Promise<string> {
  const apiKey = knownKey(data, gateway) ?? newKey(data, gateway);
  await creditBalance(gateway.ledger, {
    account: keyHashOf(apiKey),
    asset: 'TON',
    amount: amount(BALANCE),
    reference: 'the first balance of a trial',
    nowMs: systemClock(),
  });
  return apiKey;
}

function knownKey(data: DataDirectory, { store }: Gateway): string | undefined {
  const path = data.path('api-key');
  if (!existsSync(path)) return undefined;
  const known = readFileSync(path, 'utf8').trim();
  const record = store.findApiKey(keyHashOf(known));
  return record !== undefined && record.revokedMs === undefined ? known : undefined;
}

function newKey(data: DataDirectory, { store }: Gateway): string {
  const { apiKey } = createApiKey(store, 'veilgate up', systemClock());
  data.write('api-key', `${apiKey}\n`);
  return apiKey;
}

export function originOf({ baseUrl }: RunningGateway): string {
  return new URL(baseUrl).origin;
}
