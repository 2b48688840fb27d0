/**
 * A whole Veilgate on this machine: the gateway in this process, each worker in its own with the simulator and the demo
 * model, everything it writes in one temporary directory. What any part prints or stores can be read back.
 * @module
 */

import {
  closeSync,
  globSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { ed25519PublicKey, randomBytes } from '#primitives';
import { toHex } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { encodeCard } from '../../attestation/card.ts';
import { compilePolicy } from '../../attestation/policy/compile.ts';
import { fillDevelopmentPolicy } from '../../attestation/policy/development.ts';
import type { RevocationKind } from '../../attestation/policy/revocations.ts';
import type { PriceList } from '../../attestation/verdict.ts';
import { plainModeSealer } from '../../cli/plain-mode.ts';
import { readSigningKey } from '../../cli/publication/keys.ts';
import { publishList } from '../../cli/publication/next-list.ts';
import { openDataDirectory } from '../../cli/up/data-directory.ts';
import { keepTimestamp, publishDevelopment } from '../../cli/up/publication.ts';
import { startWorkerProcess, type WorkerProcess } from '../../cli/up/worker-process.ts';
import { sealedFetch } from '../../client/index.ts';
import type { ClientOptions } from '../../client/open-session.ts';
import type { WorkerConfigInput } from '../../enclave-worker/config.ts';
import { DEMO_MODEL } from '../../enclave-worker/demo-model/demo-model.ts';
import { createSimulator } from '../../enclave-worker/evidence/simulator/simulator.ts';
import { createSnpSimulator } from '../../enclave-worker/evidence/simulator/snp/simulator.ts';
import { createApiKey, keyHashOf } from '../../gateway/accounts.ts';
import { createGateway, type Gateway } from '../../gateway/app.ts';
import type { QuoteSource } from '../../gateway/attested/quote-source.ts';
import { GATEWAY_CONFIG, type GatewayConfigInput } from '../../gateway/config.ts';
import { creditBalance } from '../../gateway/payments/balances.ts';
import type { Capability } from '../../protocol/openai/endpoints.ts';
import { amount } from '../../settlement/money.ts';
import type { SettlerPolicy } from '../../settlement/settler/policy.ts';

export const STACK_MODEL = DEMO_MODEL.id;

/** A thousand TON. */
const CREDIT = 10n ** 12n;

const PRICES: PriceList = {
  asset: 'TON',
  base: 1000n,
  prompt: 2_000_000n,
  cached: 500_000n,
  completion: 8_000_000n,
  reasoning: 8_000_000n,
};

export interface StackOptions {
  readonly workers?: number;
  /** Absent: TDX. */
  readonly tee?: 'tdx' | 'snp';
  readonly gateway?: Partial<GatewayConfigInput>;
  readonly maxConcurrent?: number;
  /** Absent: all there are. */
  readonly capabilities?: readonly Capability[];
  /** TON address on every worker's card. */
  readonly payout?: string;
  readonly prices?: PriceList;
  /** Over the configuration of the worker of this number. */
  readonly workerConfig?: (index: number) => Partial<Omit<WorkerConfigInput, 'card'>>;
  readonly settlerPolicy?: Partial<SettlerPolicy>;
  /** Of the machine that the gateway is said to run in, under the roots of this folder. */
  readonly quotes?: (pkiDir: string) => Promise<QuoteSource>;
}

export interface Stack {
  readonly gateway: Gateway;
  readonly baseUrl: string;
  readonly adminUrl: string;
  readonly httpsPort: number;
  readonly apiKey: string;
  /** Of what was signed, for an app with an unsigned policy of its own. */
  readonly policyPath: string;
  readonly rootFile: string;
  readonly dataDir: string;
  readonly workers: readonly WorkerProcess[];
  /** OpenAI's client through `sealedFetch`. */
  sealed(options?: Partial<ClientOptions>): OpenAI;
  /** OpenAI's client alone: the gateway reads and seals. */
  plain(): OpenAI;
  /** Published at once; what is revoked already stays so. */
  revoke(kind: RevocationKind, value: string): Promise<void>;
  /** Every file that any part wrote, and what the gateway logged. */
  traces(): readonly { readonly name: string; readonly bytes: Uint8Array }[];
  /** Ends every process; what they wrote stays until `close`. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

type Closer = () => Promise<unknown> | void;

const CLOSE_GRACE_MS = 5000;

export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const dataDir = mkdtempSync(join(tmpdir(), 'veilgate-test-'));
  const closers: Closer[] = [];
  const stop = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  const close = async (): Promise<void> => {
    await stop();
    rmSync(dataDir, { recursive: true, force: true });
  };
  try {
    return { ...(await assemble(dataDir, options, closers)), stop, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function assemble(
  dataDir: string,
  options: StackOptions,
  closers: Closer[],
): Promise<Omit<Stack, 'stop' | 'close'>> {
  const pkiDir = join(dataDir, 'pki');
  const provider = options.tee === 'snp' ? 'simulator-snp' : 'simulator';
  const simulator =
    options.tee === 'snp'
      ? await createSnpSimulator({ pkiDir })
      : await createSimulator({ pkiDir });
  const template = readFileSync(
    new URL('../../policies/development.yaml', import.meta.url),
    'utf8',
  );
  const policyPath = join(dataDir, 'policy.yaml');
  const team = openDataDirectory(join(dataDir, 'team'));
  closers.push(() => team.release());
  const publication = await publishDevelopment(team, (serial) => {
    const rootsSha256 = [simulator.rootSha256()];
    const text = fillDevelopmentPolicy(template, { rootsSha256, nowMs: systemClock(), serial });
    writeFileSync(policyPath, text);
    return text;
  });
  const { directory, rootFile } = publication;
  const ended = new AbortController();
  const timestamps = keepTimestamp(team, ended.signal);
  closers.push(async () => {
    ended.abort();
    await timestamps;
  });
  let log = '';
  const gateway = await createGateway({
    config: GATEWAY_CONFIG.parse({
      dataDir: join(dataDir, 'gateway'),
      publication: { directory, rootFile, allowDevelopment: true },
      listen: { httpPort: 0, httpsPort: null },
      admin: { port: 0 },
      workers: { allowPrivateEndpoints: true },
      plaintext: 'operator-can-read',
      settlement: { feeBps: 500, custodial: 'operator-holds-balances' },
      logLevel: 'debug',
      closeGraceMs: CLOSE_GRACE_MS,
      ...options.gateway,
    }),
    logDestination: { write: (line) => void (log += line) },
    sealer: plainModeSealer,
    ...(options.settlerPolicy === undefined ? {} : { settlerPolicy: options.settlerPolicy }),
    ...(options.quotes === undefined ? {} : { quotes: await options.quotes(pkiDir) }),
  });
  closers.push(() => gateway.close());
  const { httpPort, httpsPort = 0, adminPort } = await gateway.listen();
  const gatewayUrl = `http://127.0.0.1:${httpPort}`;
  const { apiKey } = createApiKey(gateway.store, 'test', systemClock());
  await creditBalance(gateway.ledger, {
    account: keyHashOf(apiKey),
    asset: 'TON',
    amount: amount(CREDIT),
    reference: 'a test',
    nowMs: systemClock(),
  });
  const parts = { ...options, gatewayUrl, gateway, pkiDir, provider } as const;
  const workers = await startWorkers(dataDir, parts, closers);
  const baseURL = `${gatewayUrl}/v1`;
  const common = { baseURL, apiKey, maxRetries: 0 };
  return {
    gateway,
    baseUrl: baseURL,
    adminUrl: `http://127.0.0.1:${adminPort}`,
    httpsPort,
    apiKey,
    policyPath,
    rootFile,
    dataDir,
    workers,
    sealed: (more = {}) =>
      new OpenAI({ ...common, fetch: sealedFetch({ policy: { root: rootFile }, ...more }) }),
    plain: () => new OpenAI(common),
    revoke: async (kind, value) => {
      await publishList({
        directory,
        keys: [readSigningKey(publication.revocationKey)],
        roles: ['revocation'],
        now: systemClock,
        out: undefined,
        change: (entries, { atMs }) => [
          ...entries,
          { kind, value, reason: 'for a test', by: 'test', atMs },
        ],
      });
    },
    traces: () => [
      { name: 'gateway log', bytes: Buffer.from(log) },
      ...globSync('**/*', { cwd: dataDir })
        .map((name) => join(dataDir, name))
        .filter((path) => statSync(path).isFile())
        .map((path) => ({ name: path, bytes: readFileSync(path) })),
    ],
  };
}

interface WorkersInput extends Omit<StackOptions, 'gateway' | 'settlerPolicy' | 'quotes'> {
  readonly gatewayUrl: string;
  readonly gateway: Gateway;
  readonly pkiDir: string;
  readonly provider: 'simulator' | 'simulator-snp';
}

async function startWorkers(
  dataDir: string,
  input: WorkersInput,
  closers: Closer[],
): Promise<readonly WorkerProcess[]> {
  const { gateway, gatewayUrl, pkiDir, maxConcurrent = 2 } = input;
  const [image] = compilePolicy(readFileSync(join(dataDir, 'policy.yaml'))).document.images;
  if (image === undefined) throw new Error('the development policy lists an image');
  const starts = Array.from({ length: input.workers ?? 1 }, async (_, index) => {
    const ownerKey = randomBytes(32);
    const card = encodeCard({
      owner: ed25519PublicKey(ownerKey),
      model: {
        id: DEMO_MODEL.id,
        contextLength: DEMO_MODEL.contextLength,
        capabilities: input.capabilities ?? ['chat', 'completions', 'embeddings'],
        weights: DEMO_MODEL.sha256,
      },
      limits: { maxPromptTokens: 160, maxOutputTokens: 128, maxConcurrent },
      prices: input.prices ?? PRICES,
      payout: input.payout ?? null,
    });
    const log = openSync(join(dataDir, `worker-${index}.log`), 'a');
    const worker = await startWorkerProcess({
      name: `worker-${index}`,
      card,
      ownerKey,
      log,
      config: {
        gateway: { url: gatewayUrl, aud: gateway.aud },
        workload: {
          image: toHex(image.workload.image),
          config: toHex(image.workload.config),
        },
        engine: { name: 'llama-cpp', modelPath: DEMO_MODEL.path, copyRoot: dataDir },
        evidence: { provider: input.provider, pkiDir },
        drainMs: 1000,
        ...input.workerConfig?.(index),
      },
      onEnded: () => undefined,
    });
    return { worker, log };
  });
  const started = await Promise.all(starts);
  closers.push(async () => {
    await Promise.all(started.map(({ worker }) => worker.close(CLOSE_GRACE_MS)));
    for (const { log } of started) closeSync(log);
  });
  return started.map(({ worker }) => worker);
}
