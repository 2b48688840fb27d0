/**
 * One engine, and the three paths to it: a server over the engine itself, and a whole gateway with a worker that was admitted
 * the long way, reached in clear and sealed. All in this process, so that a test can set the pace of the engine and of time.
 * @module
 */

import { globSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { z } from 'zod';
import { ed25519PublicKey, randomBytes } from '#primitives';
import { fixed, fromUtf8, toHex, utf8, type Bytes } from '../../../core/bytes.ts';
import { systemClock } from '../../../core/clock.ts';
import { parseJson } from '../../../core/json.ts';
import { encodeCard, type Card } from '../../../attestation/card.ts';
import { fillDevelopmentPolicy } from '../../../attestation/policy/development.ts';
import type { PriceList } from '../../../attestation/verdict.ts';
import { plainModeSealer } from '../../../cli/plain-mode.ts';
import { sealedFetch } from '../../../client/index.ts';
import { DEMO_MODEL } from '../../../enclave-worker/demo-model/demo-model.ts';
import { createSimulator } from '../../../enclave-worker/evidence/simulator/simulator.ts';
import { createApiKey, keyHashOf } from '../../../gateway/accounts.ts';
import { createGateway, type Gateway } from '../../../gateway/app.ts';
import { GATEWAY_CONFIG, type GatewayConfigInput } from '../../../gateway/config.ts';
import { creditBalance } from '../../../gateway/payments/balances.ts';
import { amount } from '../../../settlement/money.ts';
import type { Trace } from '../canaries.ts';
import { startEngineServer, type EngineServer } from './engine-server.ts';
import type { LabEngine } from './engines.ts';
import { startLabWorker, type WorkerSeat } from './lab-worker.ts';
import type { Ended, PathName, Way } from './way.ts';

/** With a slash, as the models of most hubs have. */
export const LAB_MODEL = 'test-org/lab-model';
const CREDIT = 10n ** 15n;
const CLOSE_GRACE_MS = 5000;

export const LAB_PRICES: PriceList = {
  asset: 'TON',
  base: 1000n,
  prompt: 2_000_000n,
  cached: 500_000n,
  completion: 8_000_000n,
  reasoning: 8_000_000n,
};

export interface LabOptions {
  readonly engine: () => Promise<LabEngine>;
  readonly limits?: Partial<Card['limits']>;
  readonly gateway?: Partial<GatewayConfigInput>;
  /** `none`: the test starts it, by its seat. */
  readonly worker?: 'none';
}

export interface Lab {
  readonly ways: Readonly<Record<PathName, Way>>;
  readonly gateway: Gateway;
  readonly gatewayUrl: string;
  /** Of the gateway under TLS, where its configuration has it. */
  readonly secureOrigin: string;
  readonly adminUrl: string;
  readonly policyPath: string;
  readonly dataDir: string;
  /** What a worker of this lab has to be told. */
  readonly seat: WorkerSeat;
  readonly labEngine: LabEngine;
  /** A key of the gateway, with or without a balance. */
  newKey(credit?: bigint): Promise<string>;
  /** What any part has written or logged. */
  traces(): readonly Trace[];
  close(): Promise<void>;
}

type Closer = () => Promise<unknown> | void;

export async function openConformanceLab(options: LabOptions): Promise<Lab> {
  const closers: Closer[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    return { ...(await assemble(options, closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** For a file of rows: opened before its tests, closed after them. */
export function labOf(options: LabOptions): () => Lab {
  let lab: Lab | undefined;
  before(async () => {
    lab = await openConformanceLab(options);
  });
  after(() => lab?.close());
  return () => {
    if (lab === undefined) throw new Error('the lab is open only while tests run');
    return lab;
  };
}

/** What a row needs of a lab. */
export function waysOf(lab: () => Lab): (path: PathName) => Way {
  return (path) => lab().ways[path];
}

async function assemble(options: LabOptions, closers: Closer[]): Promise<Omit<Lab, 'close'>> {
  const dataDir = mkdtempSync(join(tmpdir(), 'veilgate-conformance-'));
  closers.push(() => rmSync(dataDir, { recursive: true, force: true }));
  const labEngine = await options.engine();
  closers.push(async () => {
    await labEngine.engine.close();
    await labEngine.cleanUp();
  });
  const limits = limitsOf(options, labEngine);
  const simulator = await createSimulator({ pkiDir: join(dataDir, 'pki') });
  const policyPath = writeLabPolicy(dataDir, simulator.rootSha256(), labEngine.weights);
  const gatewayLog: string[] = [];
  const gateway = await createGateway({
    config: GATEWAY_CONFIG.parse({
      dataDir: join(dataDir, 'gateway'),
      policyFile: policyPath,
      listen: { httpPort: 0, httpsPort: null },
      admin: { port: 0 },
      workers: { allowPrivateEndpoints: true },
      plaintext: 'operator-can-read',
      settlement: { custodial: 'operator-holds-balances' },
      logLevel: 'debug',
      closeGraceMs: CLOSE_GRACE_MS,
      ...options.gateway,
    }),
    logDestination: { write: (line) => void gatewayLog.push(line) },
    sealer: plainModeSealer,
  });
  closers.push(() => gateway.close());
  const { httpPort, httpsPort, adminPort } = await gateway.listen();
  const gatewayUrl = `http://127.0.0.1:${httpPort}`;
  const workerLog: string[] = [];
  const seat = seatOf({ labEngine, limits, gateway, gatewayUrl, dataDir });
  if (options.worker !== 'none') {
    const { engine } = labEngine;
    const log = (line: string): void => void workerLog.push(line);
    const worker = await startLabWorker(seat, { engine, provider: simulator, log });
    closers.push(() => worker.close());
  }
  const server = await startEngineServer({
    engine: labEngine.engine,
    modelId: LAB_MODEL,
    limits,
    prices: LAB_PRICES,
  });
  closers.push(() => server.close());
  const newKey = (credit = 0n) => keyWith(gateway, credit);
  const apiKey = await newKey(CREDIT);
  const ways = waysBetween({ gateway, gatewayUrl, apiKey, policyPath, workerLog, server });
  return {
    ways,
    gateway,
    gatewayUrl,
    secureOrigin: `https://127.0.0.1:${httpsPort}`,
    adminUrl: `http://127.0.0.1:${adminPort}`,
    policyPath,
    dataDir,
    seat,
    labEngine,
    newKey,
    traces: () => [
      { name: 'gateway log', bytes: utf8(gatewayLog.join('')) },
      { name: 'worker log', bytes: utf8(workerLog.join('')) },
      { name: 'engine log', bytes: utf8(server.logLines.join('')) },
      ...filesIn(dataDir),
    ],
  };
}

function limitsOf({ limits }: LabOptions, { engine }: LabEngine): Card['limits'] {
  const { contextTokens, slots } = engine;
  return {
    maxPromptTokens: contextTokens - 1,
    maxOutputTokens: contextTokens,
    maxConcurrent: slots,
    ...limits,
  };
}

/** The shipped template, with the model of this lab in place of the demo model. */
function writeLabPolicy(dataDir: string, root: Bytes<32>, weights: Bytes<32>): string {
  const template = readFileSync('policies/development.yaml', 'utf8');
  const filled = fillDevelopmentPolicy(template, { rootsSha256: [root], nowMs: systemClock() })
    .replaceAll('models: [veilgate-demo]', `models: ['${LAB_MODEL}']`)
    .replace(/^ {2}- id: veilgate-demo$/m, `  - id: '${LAB_MODEL}'`)
    .replace(toHex(DEMO_MODEL.sha256), toHex(weights));
  const path = join(dataDir, 'policy.yaml');
  writeFileSync(path, filled);
  return path;
}

interface SeatInput {
  readonly labEngine: LabEngine;
  readonly limits: Card['limits'];
  readonly gateway: Gateway;
  readonly gatewayUrl: string;
  readonly dataDir: string;
}

function seatOf({ labEngine, limits, gateway, gatewayUrl, dataDir }: SeatInput): WorkerSeat {
  const { engine, weights } = labEngine;
  const ownerKey = randomBytes(32);
  const card = encodeCard({
    owner: ed25519PublicKey(ownerKey),
    model: {
      id: LAB_MODEL,
      contextLength: engine.contextTokens,
      capabilities: engine.capabilities,
      weights,
    },
    limits,
    prices: LAB_PRICES,
    payout: null,
  });
  return {
    gatewayUrl,
    aud: gateway.aud,
    pkiDir: join(dataDir, 'pki'),
    card: fromUtf8(card),
    ownerKeyHex: toHex(ownerKey),
  };
}

async function keyWith(gateway: Gateway, credit: bigint): Promise<string> {
  const { apiKey } = createApiKey(gateway.store, 'conformance', systemClock());
  if (credit === 0n) return apiKey;
  await creditBalance(gateway.ledger, {
    account: keyHashOf(apiKey),
    asset: 'TON',
    amount: amount(credit),
    reference: 'a test',
    nowMs: systemClock(),
  });
  return apiKey;
}

interface WaysInput {
  readonly gateway: Gateway;
  readonly gatewayUrl: string;
  readonly apiKey: string;
  readonly policyPath: string;
  readonly workerLog: readonly string[];
  readonly server: EngineServer;
}

function waysBetween(input: WaysInput): Lab['ways'] {
  const { gateway, gatewayUrl, apiKey, policyPath, workerLog, server } = input;
  const model = LAB_MODEL;
  const account = fixed(keyHashOf(apiKey), 32);
  const charged = async (): Promise<bigint> =>
    (await gateway.ledger.findAccount(account))?.charged ?? 0n;
  const throughGateway = {
    baseURL: `${gatewayUrl}/v1`,
    apiKey,
    model,
    charged,
    get ended() {
      return endedIn(workerLog);
    },
  };
  return {
    engine: {
      path: 'engine',
      baseURL: server.baseURL,
      apiKey: 'none',
      model,
      fetch: globalThis.fetch,
      charged: () => Promise.resolve(undefined),
      get ended() {
        return endedIn(server.logLines);
      },
    },
    plain: withLive(throughGateway, { path: 'plain', fetch: globalThis.fetch }),
    sealed: withLive(throughGateway, {
      path: 'sealed',
      fetch: sealedFetch({ policy: policyPath }),
    }),
  };
}

/** A spread would read `ended` once and for all. */
function withLive(base: Omit<Way, 'path' | 'fetch'>, own: Pick<Way, 'path' | 'fetch'>): Way {
  const { baseURL, apiKey, model, charged } = base;
  return {
    ...own,
    baseURL,
    apiKey,
    model,
    charged,
    get ended() {
      return base.ended;
    },
  };
}

const LINE_MAX_BYTES = 65_536;
const DONE_LINE = z.looseObject({
  outcome: z.string(),
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
});

function endedIn(lines: readonly string[]): readonly Ended[] {
  return lines
    .filter((line) => line.includes('"exchange.done"'))
    .map((line) => DONE_LINE.parse(parseJson(utf8(line.trim()), LINE_MAX_BYTES)))
    .map(({ outcome, prompt_tokens: prompt, completion_tokens: completion }) => ({
      outcome,
      prompt,
      completion,
    }));
}

function filesIn(dataDir: string): readonly Trace[] {
  return globSync('**/*', { cwd: dataDir })
    .map((name) => join(dataDir, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => ({ name: path, bytes: new Uint8Array(readFileSync(path)) }));
}
