/**
 * The embedded stack of `veilgate up`: a gateway in this process, workers in processes of their own, all state in one
 * data directory, a simulated TEE under a root that is made there, and a TON network that is nobody else's.
 * @module
 */

import { readFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Bytes } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { assert } from '../../core/errors.ts';
import { fillDevelopmentPolicy } from '../../attestation/policy/development.ts';
import { DEMO_MODEL } from '../../enclave-worker/demo-model/demo-model.ts';
import { createSimulator } from '../../enclave-worker/evidence/simulator/simulator.ts';
import { createSnpSimulator } from '../../enclave-worker/evidence/simulator/snp/simulator.ts';
import { simulatedGatewayQuotes } from '../attested/quotes.ts';
import type { Gateway } from '../../gateway/app.ts';
import type { DataDirectory } from './data-directory.ts';
import { startDevMoney } from './money.ts';
import { keepTimestamp, publishDevelopment } from './publication.ts';
import { sdkSnippet, type SnippetFact, type UpReport, type WorkerReport } from './report.ts';
import { originOf, startTrialGateway } from './trial-gateway.ts';
import { earningsPath, startTrialWorker, type TrialWorkerOptions } from './trial-worker.ts';
import type { WorkerProcess } from './worker-process.ts';

export interface StackOptions {
  readonly data: DataDirectory;
  /** 0: any free port. */
  readonly port: number;
  readonly httpsPort: number;
  /** Metrics, and the state of the policies. */
  readonly adminPort: number;
  /** Of the TON devnet. */
  readonly devnetPort: number;
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
const WORKER_GRACE_MS = 8000;

/** Resolves when every worker has been admitted. Whatever was started is stopped again when something fails. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const started = new AsyncDisposableStack();
  try {
    const report = await start(options, started);
    return { report, close: () => started.disposeAsync() };
  } catch (error) {
    await started.disposeAsync();
    throw error;
  }
}

async function start(
  options: StackOptions,
  started: AsyncDisposableStack,
): Promise<Stack['report']> {
  const { data, onProgress } = options;
  const pkiDir = data.path('dev-pki');
  const roots = await simulatedRoots(options, pkiDir);
  const publication = await publishDevelopment(data, (serial) => policyText(data, roots, serial));
  const ended = new AbortController();
  const timestamps = keepTimestamp(data, ended.signal);
  started.defer(() => timestamps);
  started.defer(() => ended.abort());
  const money = await startDevMoney({ data, port: options.devnetPort, onProgress });
  started.defer(() => money.close());
  const quotes = await simulatedGatewayQuotes(UP_TEES[options.tee][0], pkiDir);
  const gateway = await startTrialGateway({ ...options, money, quotes }, publication);
  started.defer(async () => void (await gateway.gateway.close()));
  onProgress(`gateway listens on ${gateway.baseUrl}; starting ${options.workers} workers`);
  const [channel, workers] = await Promise.all([
    money.openDemoChannel({ gatewayUrl: originOf(gateway), aud: gateway.gateway.aud }),
    startWorkers(options, { gateway, money, pkiDir }, started),
  ]);
  const { rootFile: rootPath } = publication;
  const { channelFilePath } = channel;
  const scriptPath = writeScript(data, { ...gateway, rootPath, channelFilePath });
  return () => ({
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
    devnetUrl: money.providerUrl,
    payerDir: money.payerDir,
    channelFilePath,
    channel: channel.channel,
    available: channel.available,
    scriptPath,
    workers: workers
      .map((worker) => workerReport(data, worker, gateway.gateway))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
  });
}

async function startWorkers(
  { data, workers: count, tee, onProgress }: StackOptions,
  around: Pick<TrialWorkerOptions, 'gateway' | 'money' | 'pkiDir'>,
  started: AsyncDisposableStack,
): Promise<readonly WorkerProcess[]> {
  const kinds = UP_TEES[tee];
  const starting = Array.from({ length: count }, async (_, index) => {
    const provider = kinds[index % kinds.length] ?? kinds[0];
    const name = `worker-${index + 1}`;
    const worker = await startTrialWorker({ ...around, name, data, provider, onProgress });
    started.defer(() => worker.close(WORKER_GRACE_MS));
    return worker;
  });
  // All of them, so that none is left that nobody stops.
  const ended = await Promise.allSettled(starting);
  return ended.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
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

function workerReport(
  data: DataDirectory,
  worker: WorkerProcess,
  { registry }: Gateway,
): WorkerReport {
  const { name, workerId, pid, endpoint } = worker.ready();
  const [live] = registry.byWorkerId(workerId);
  assert(live !== undefined, 'a worker that is ready is registered');
  const earnings = earningsPath(data, name);
  return { name, workerId, pid, endpoint, earnings, verdict: live.verdict };
}

/** Saves the snippet where `import 'veilgate'` resolves: inside the package. */
function writeScript(data: DataDirectory, report: Pick<UpReport, SnippetFact>): string | undefined {
  const path = data.path('hello.mjs');
  if (relative(PACKAGE_ROOT, dirname(path)).startsWith('..')) return undefined;
  return data.write('hello.mjs', sdkSnippet(report));
}
