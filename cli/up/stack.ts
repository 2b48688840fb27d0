/**
 * The embedded stack of `veilgate up`: a gateway in this process, workers in processes of their own, all state in one
 * data directory, a simulated TEE under a root that is made there.
 * @module
 */

import { createWriteStream, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ed25519PublicKey } from '#primitives';
import { toHex, type Bytes } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { assert } from '../../core/errors.ts';
import { encodeCard } from '../../attestation/card.ts';
import { fillDevelopmentPolicy } from '../../attestation/policy/development.ts';
import { DEMO_MODEL, DEMO_WORKLOAD } from '../../enclave-worker/demo-model/demo-model.ts';
import { createSimulator } from '../../enclave-worker/evidence/simulator/simulator.ts';
import { createSnpSimulator } from '../../enclave-worker/evidence/simulator/snp/simulator.ts';
import { createApiKey, keyHashOf } from '../../gateway/accounts.ts';
import { createGateway, type Gateway } from '../../gateway/app.ts';
import { GATEWAY_CONFIG } from '../../gateway/config.ts';
import { plainModeSealer } from '../plain-mode.ts';
import type { DataDirectory } from './data-directory.ts';
import { keepTimestamp, publishDevelopment, type DevelopmentPublication } from './publication.ts';
import { sdkSnippet, type UpReport, type WorkerReport } from './report.ts';
import { startWorkerProcess, type WorkerProcess } from './worker-process.ts';

export interface StackOptions {
  readonly data: DataDirectory;
  /** 0: any free port. */
  readonly port: number;
  readonly httpsPort: number;
  /** Metrics, and the state of the policies. */
  readonly adminPort: number;
  readonly workers: number;
  readonly tee: UpTee;
  readonly onProgress: (line: string) => void;
}

export interface Stack {
  readonly report: () => UpReport;
  close(): Promise<void>;
}

const PACKAGE_ROOT = fileURLToPath(new URL('../../', import.meta.url));
const POLICY_TEMPLATE = new URL('../../policies/development.yaml', import.meta.url);
const HOST = '127.0.0.1';
const WORKER_GRACE_MS = 8000;
const GATEWAY_GRACE_MS = 10_000;
const WORKER_DRAIN_MS = 5000;
/** Per worker; the demo model answers from one thread. */
const CONCURRENT_MAX = 4;
const OUTPUT_TOKENS_MAX = 160;
const FREE = { base: 0n, prompt: 0n, cached: 0n, completion: 0n, reasoning: 0n };

/** Resolves when every worker has been admitted. Whatever was started is stopped again when something fails. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { data, onProgress } = options;
  const pkiDir = data.path('dev-pki');
  const roots = await simulatedRoots(options, pkiDir);
  const publication = await publishDevelopment(data, (serial) => policyText(data, roots, serial));
  const ended = new AbortController();
  const timestamps = keepTimestamp(data, ended.signal);
  const stopTimestamps = async (): Promise<void> => {
    ended.abort();
    await timestamps;
  };
  const gateway = await startGateway(options, publication).catch(async (error: unknown) => {
    await stopTimestamps();
    throw error;
  });
  const workers: WorkerProcess[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(workers.map((worker) => worker.close(WORKER_GRACE_MS)));
    await gateway.gateway.close();
    await stopTimestamps();
  };
  try {
    onProgress(`gateway listens on ${gateway.baseUrl}; starting ${options.workers} workers`);
    const names = Array.from({ length: options.workers }, (_, i) => `worker-${i + 1}`);
    const started = await Promise.allSettled(
      names.map(async (name, index) => {
        const kinds = UP_TEES[options.tee];
        const provider = kinds[index % kinds.length] ?? kinds[0];
        workers.push(await startWorker(name, { options, gateway, pkiDir, provider }));
      }),
    );
    for (const result of started) if (result.status === 'rejected') throw result.reason;
  } catch (error) {
    await close();
    throw error;
  }
  const { rootFile: rootPath } = publication;
  const scriptPath = writeScript(data, { ...gateway, rootPath });
  return {
    close,
    report: () => ({
      baseUrl: gateway.baseUrl,
      httpsUrl: gateway.httpsUrl,
      adminUrl: gateway.adminUrl,
      certificatePath: data.path('gateway', 'gateway-tls.crt'),
      aud: gateway.gateway.aud,
      apiKey: gateway.apiKey,
      model: DEMO_MODEL.id,
      dataRoot: data.root,
      policyPath: data.path('policy.yaml'),
      publicationPath: publication.directory,
      rootPath,
      revocationKeyPath: publication.revocationKey,
      scriptPath,
      workers: workers
        .map((worker) => workerReport(worker, gateway.gateway))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    }),
  };
}

/** The kinds of machine that are simulated, worker by worker. */
export const UP_TEES = {
  tdx: ['simulator'],
  snp: ['simulator-snp'],
  mixed: ['simulator', 'simulator-snp'],
} as const;
export type UpTee = keyof typeof UP_TEES;

/** Made here, before any worker starts: the policy has to name them. */
async function simulatedRoots(
  { tee, onProgress }: StackOptions,
  pkiDir: string,
): Promise<readonly Bytes<32>[]> {
  const roots: Bytes<32>[] = [];
  for (const name of UP_TEES[tee]) {
    if (name === 'simulator') {
      roots.push((await createSimulator({ pkiDir })).rootSha256());
      continue;
    }
    onProgress('making AMD-like keys for the simulated machine; the first time takes some seconds');
    roots.push((await createSnpSimulator({ pkiDir })).rootSha256());
  }
  return roots;
}

/** Kept beside what was signed, to be read and changed. */
function policyText(
  data: DataDirectory,
  rootsSha256: readonly Bytes<32>[],
  serial: number,
): string {
  const template = readFileSync(POLICY_TEMPLATE, 'utf8');
  const text = fillDevelopmentPolicy(template, { rootsSha256, nowMs: systemClock(), serial });
  data.write('policy.yaml', text);
  return text;
}

interface RunningGateway {
  readonly gateway: Gateway;
  readonly baseUrl: string;
  readonly httpsUrl: string;
  readonly adminUrl: string;
  readonly apiKey: string;
  readonly model: string;
}

async function startGateway(
  options: StackOptions,
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

interface WorkerParts {
  readonly options: StackOptions;
  readonly gateway: RunningGateway;
  readonly pkiDir: string;
  readonly provider: 'simulator' | 'simulator-snp';
}

async function startWorker(
  name: string,
  { options, gateway, pkiDir, provider }: WorkerParts,
): Promise<WorkerProcess> {
  const { data, onProgress } = options;
  const ownerKey = data.seed(`${name}-owner`);
  const worker = await startWorkerProcess({
    name,
    card: encodeCard({
      owner: ed25519PublicKey(ownerKey),
      model: {
        id: DEMO_MODEL.id,
        contextLength: DEMO_MODEL.contextLength,
        capabilities: ['chat'],
        weights: DEMO_MODEL.sha256,
      },
      limits: {
        maxPromptTokens: DEMO_MODEL.contextLength,
        maxOutputTokens: OUTPUT_TOKENS_MAX,
        maxConcurrent: CONCURRENT_MAX,
      },
      prices: { asset: 'TON', ...FREE },
      payout: null,
    }),
    ownerKey,
    log: data.openLog(`${name}.log`),
    onEnded: (which, next) => onProgress(`${which} ended unexpectedly; ${next} (see its log)`),
    config: {
      gateway: { url: new URL(gateway.baseUrl).origin, aud: gateway.gateway.aud },
      workload: { image: toHex(DEMO_WORKLOAD.image), config: toHex(DEMO_WORKLOAD.config) },
      engine: { modelPath: DEMO_MODEL.path },
      evidence: { provider, pkiDir },
      drainMs: WORKER_DRAIN_MS,
    },
  });
  onProgress(`${name} was verified and admitted`);
  return worker;
}

function workerReport(worker: WorkerProcess, { registry }: Gateway): WorkerReport {
  const { name, workerId, pid, endpoint } = worker.ready();
  const [live] = registry.byWorkerId(workerId);
  assert(live !== undefined, 'a worker that is ready is registered');
  return { name, workerId, pid, endpoint, verdict: live.verdict };
}

/** Saves the snippet where `import 'veilgate'` resolves: inside the package. */
function writeScript(
  data: DataDirectory,
  report: Pick<UpReport, 'baseUrl' | 'apiKey' | 'model' | 'rootPath'>,
): string | undefined {
  const path = data.path('hello.mjs');
  if (relative(PACKAGE_ROOT, dirname(path)).startsWith('..')) return undefined;
  return data.write('hello.mjs', sdkSnippet(report));
}
