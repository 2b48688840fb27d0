/**
 * A real gateway with real workers of the simulator on loopback, and a sender that seals to them. @module
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { concat, fixed, utf8, type Bytes } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { decodeConfig } from '../../core/node/config.ts';
import { fillDevelopmentPolicy } from '../../attestation/policy/development.ts';
import type { AttestedKey } from '../../attestation/verdict.ts';
import { createSimulator } from '../../enclave-worker/evidence/simulator/simulator.ts';
import type { EvidenceProvider } from '../../enclave-worker/evidence/provider.ts';
import { createApiKey, keyHashOf } from '../../gateway/accounts.ts';
import { createGateway, type Gateway, type GatewayDeps } from '../../gateway/app.ts';
import { GATEWAY_CONFIG, type GatewayConfigInput } from '../../gateway/config.ts';
import { sealRequest, type SealedRequest } from '../../protocol/sx/seal.ts';
import { Publisher } from './publisher.ts';
import { startSxWorker, type Script, type SxWorker, type SxWorkerOptions } from './sx-worker.ts';

export interface Lab {
  readonly dataDir: string;
  readonly gateway: Gateway;
  readonly url: string;
  readonly port: number;
  /** 0 unless the configuration asks for one. */
  readonly httpsPort: number;
  readonly adminPort: number;
  readonly apiKey: string;
  readonly provider: EvidenceProvider;
  readonly logLines: readonly string[];
  worker(script?: Script, options?: WorkerMore): Promise<SxWorker>;
  keysOf(...workers: readonly SxWorker[]): readonly AttestedKey[];
  seal(keys: readonly AttestedKey[], body?: string, more?: SealMore): SealedRequest;
  close(): Promise<void>;
}

export type WorkerMore = Partial<
  Pick<SxWorkerOptions, 'lifetimeS' | 'prices' | 'payout' | 'onNotice' | 'onEhbp'>
>;

export interface LabOptions {
  readonly config?: Partial<GatewayConfigInput>;
  readonly deps?: Partial<Omit<GatewayDeps, 'config'>>;
  readonly dataDir?: string;
}

/** With signed policies: published are one that admits the workers of the lab, and an empty list. */
export async function openSignedLab(
  options: LabOptions = {},
): Promise<Lab & { readonly publisher: Publisher }> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'veilgate-gateway-'));
  const provider = await createSimulator({ pkiDir: join(dataDir, 'pki') });
  const publisher = new Publisher(join(dataDir, 'published'), [provider.rootSha256()]);
  publisher.publish(publisher.policy());
  publisher.revocations([]);
  const { directory, rootFile } = publisher;
  const config = {
    policyFile: null,
    publication: { rootFile, directory, allowDevelopment: true },
    ...options.config,
  };
  const lab = await openLab({ ...options, dataDir, config });
  const close = async (): Promise<void> => {
    await lab.close();
    if (options.dataDir === undefined) rmSync(dataDir, { recursive: true });
  };
  return { ...lab, publisher, close };
}

export async function openLab(options: LabOptions = {}): Promise<Lab> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'veilgate-gateway-'));
  const provider = await createSimulator({ pkiDir: join(dataDir, 'pki') });
  const policyFile = writePolicy(dataDir, provider.rootSha256());
  const config = decodeConfig(GATEWAY_CONFIG, labConfig(dataDir, policyFile, options.config));
  const logLines: string[] = [];
  const gateway = await createGateway({
    config,
    logDestination: { write: (line) => void logLines.push(line) },
    ...options.deps,
  });
  const { httpPort = 0, httpsPort = 0, adminPort = 0 } = await gateway.listen();
  const url = `http://127.0.0.1:${httpPort}`;
  const { apiKey } = createApiKey(gateway.store, 'lab', systemClock());
  const workers: SxWorker[] = [];
  return {
    dataDir,
    gateway,
    url,
    port: httpPort,
    httpsPort,
    adminPort,
    apiKey,
    provider,
    logLines,
    worker: async (script, more) => {
      const worker = await startSxWorker({
        provider,
        aud: gateway.aud,
        gatewayUrl: url,
        ...(script === undefined ? {} : { script }),
        ...more,
      });
      workers.push(worker);
      const answer = await worker.register();
      if (answer.status !== 200) throw new Error(`not admitted: ${JSON.stringify(answer.json)}`);
      return worker;
    },
    keysOf: (...some) => {
      const nowMs = systemClock();
      return some.flatMap(({ workerId }) => {
        const found = gateway.registry
          .byWorkerId(workerId)
          .findLast((live) => nowMs < live.publishUntilMs);
        return found === undefined ? [] : [found.key];
      });
    },
    seal: (keys, body = '{}', more = {}) => sealFor(apiKey, keys, body, more),
    close: async () => {
      await gateway.close();
      await Promise.all(workers.map((worker) => worker.close()));
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true });
    },
  };
}

export interface SealMore {
  readonly singleRecipient?: boolean;
  readonly deadlineMs?: number;
  readonly maxAmount?: bigint;
  /** In place of the API key. */
  readonly payer?: Bytes<32>;
  readonly stream?: boolean;
}

export function sealFor(
  apiKey: string,
  keys: readonly AttestedKey[],
  body = '{}',
  { deadlineMs = 60_000, maxAmount = 0n, payer, stream = false, ...flags }: SealMore = {},
): SealedRequest {
  return sealRequest({
    keys,
    request: {
      path: '/v1/chat/completions',
      headers: [['content-type', 'application/json']],
      body: utf8(body),
    },
    bounds: { maxAmount, maxPrompt: 64, maxOutput: 64, asset: 0 },
    payer: payer ?? fixed(keyHashOf(apiKey), 32),
    stream,
    ttlS: 120,
    deadlineMs,
    nowMs: systemClock(),
    flags,
  });
}

export function writePolicy(
  dataDir: string,
  ...rootsSha256: Parameters<typeof fillDevelopmentPolicy>[1]['rootsSha256']
): string {
  const path = join(dataDir, 'policy.yaml');
  const template = readFileSync('policies/development.yaml', 'utf8');
  writeFileSync(path, fillDevelopmentPolicy(template, { rootsSha256, nowMs: systemClock() }));
  return path;
}

export function labConfig(
  dataDir: string,
  policyFile: string,
  more: Partial<GatewayConfigInput> = {},
): GatewayConfigInput {
  return {
    dataDir,
    policyFile,
    listen: { httpPort: 0, httpsPort: null },
    admin: { port: 0 },
    workers: { allowPrivateEndpoints: true },
    store: { durability: 'normal' },
    closeGraceMs: 2000,
    logLevel: 'info',
    ...more,
  };
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Uint8Array;
  /** False: the connection was cut before the end. */
  readonly complete: boolean;
}

export function post(
  lab: Pick<Lab, 'port'>,
  path: string,
  body: Uint8Array,
  headers: Readonly<Record<string, string>>,
  method = 'POST',
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      {
        host: '127.0.0.1',
        port: lab.port,
        path,
        method,
        headers: { 'content-length': String(body.length), ...headers },
        agent: false,
      },
      (response) => {
        const chunks: Uint8Array[] = [];
        response.on('data', (chunk: Uint8Array) => chunks.push(chunk));
        const done = (): void =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: concat(...chunks),
            complete: response.complete,
          });
        response.on('end', done);
        response.on('error', done);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

export function exchange(
  lab: Pick<Lab, 'port' | 'apiKey'>,
  sealed: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<RawAnswer> {
  return post(lab, '/sx/v1/exchange', sealed, {
    'content-type': 'application/vnd.sx1.req',
    'content-length': String(sealed.length),
    authorization: `Bearer ${lab.apiKey}`,
    ...headers,
  });
}
