/**
 * The parties of a trial on a disk. Every folder holds what that party alone may know, and is written by nobody else
 * afterwards: the team's keys, the one key that is online, the gateway, the owner, the worker with the simulated machine, and
 * what an app pins. Keys stay when it is written again; the policy gets today's dates and the next serial.
 * Spec: docs/deploy.md; docs/publication.md; overview "Identities".
 * @module
 */

import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ed25519PublicKey } from '#primitives';
import { toBase64Url, toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { makePrivateFolder, saveOver } from '../../core/node/private-files.ts';
import { encodeCard, workerIdOf } from '../../attestation/card.ts';
import { fillDevelopmentPolicy } from '../../attestation/policy/development.ts';
import type { WorkerConfigInput } from '../../enclave-worker/config.ts';
import { DEMO_MODEL, DEMO_WORKLOAD } from '../../enclave-worker/demo-model/demo-model.ts';
import { createSimulator } from '../../enclave-worker/evidence/simulator/simulator.ts';
import type { GatewayConfigInput } from '../../gateway/config.ts';
import { loadDevelopmentTls, loadIdentity } from '../../gateway/identity.ts';
import type { TlsIdentity } from '../../gateway/tls-identity.ts';
import { createOwner, type Owner } from '../owner/owner-directory.ts';
import { openDataDirectory } from '../up/data-directory.ts';
import { publishDevelopment } from '../up/publication.ts';

const POLICY_TEMPLATE = new URL('../../policies/development.yaml', import.meta.url);
const HTTPS_PORT = 443;
const LOOPBACK = ['127.0.0.1', '::1'];
const CONCURRENT_MAX = 4;
const OUTPUT_TOKENS_MAX = 160;
/** nanoTON; nothing is charged, so no money has to be there. */
const FREE = { base: 0n, prompt: 0n, cached: 0n, completion: 0n, reasoning: 0n };

export interface TrialInput {
  readonly directory: string;
  /** Origins, as the others reach them. */
  readonly gateway: URL;
  readonly owner: URL;
  readonly worker: URL;
  readonly now: Clock;
}

export interface TrialFacts {
  readonly aud: string;
  readonly workerId: string;
  readonly model: string;
  readonly team: { readonly published: string };
  readonly timestamp: { readonly key: string };
  readonly gateway: { readonly config: string };
  readonly owner: { readonly directory: string; readonly card: string; readonly gateways: string };
  readonly worker: { readonly config: string };
  readonly app: { readonly root: string; readonly certificate: string };
}

type Party = 'team' | 'timestamp' | 'gateway' | 'owner' | 'worker' | 'app';
type Folders = Readonly<Record<Party, string>>;

/** Throws `cli.data_in_use`, `cli.file`, `file.private`, `repository.*`. */
export async function writeTrial(input: TrialInput): Promise<TrialFacts> {
  const folders = makeFolders(resolve(input.directory));
  const pkiDir = join(folders.worker, 'pki');
  const published = await publish(folders, pkiDir, input.now);
  const gateway = await writeGateway(folders, published, input);
  const owner = await createOwner(join(folders.owner, 'keys'));
  const card = cardOf(owner);
  const ownerCard = join(folders.owner, 'card.json');
  const gateways = join(folders.owner, 'gateways');
  saveOver(ownerCard, card);
  saveOver(gateways, `${gateway.aud}\n`);
  const worker = writeWorker({ folders, pkiDir, card, owner, gateway }, input);
  const app = {
    root: join(folders.app, 'root.json'),
    certificate: join(folders.app, 'gateway.crt'),
  };
  saveOver(app.root, readFileSync(published.root));
  saveOver(app.certificate, gateway.tls.certificatePem);
  return {
    aud: gateway.aud,
    workerId: toHex(workerIdOf(ed25519PublicKey(owner.secretKey))),
    model: DEMO_MODEL.id,
    team: { published: published.directory },
    timestamp: { key: published.timestampKey },
    gateway: { config: gateway.config },
    owner: { directory: owner.directory, card: ownerCard, gateways },
    worker: { config: worker },
    app,
  };
}

function makeFolders(root: string): Folders {
  const folder = (name: string): string => {
    const path = join(root, name);
    makePrivateFolder(path);
    return path;
  };
  return {
    team: folder('team'),
    timestamp: folder('timestamp'),
    gateway: folder('gateway'),
    owner: folder('owner'),
    worker: folder('worker'),
    app: folder('app'),
  };
}

interface Published {
  readonly directory: string;
  readonly root: string;
  readonly timestampKey: string;
}

async function publish(folders: Folders, pkiDir: string, now: Clock): Promise<Published> {
  const simulator = await createSimulator({ pkiDir });
  const rootsSha256 = [simulator.rootSha256()];
  const template = readFileSync(POLICY_TEMPLATE, 'utf8');
  const team = openDataDirectory(folders.team);
  try {
    const { directory, rootFile } = await publishDevelopment(team, (serial) => {
      const text = fillDevelopmentPolicy(template, { rootsSha256, nowMs: now(), serial });
      team.write('policy.yaml', text);
      return text;
    });
    // The only key that has to be online goes to a place without the others.
    const timestampKey = join(folders.timestamp, 'timestamp.key');
    saveOver(timestampKey, readFileSync(team.path('keys', 'policy-timestamp.key')));
    return { directory, root: rootFile, timestampKey };
  } finally {
    team.release();
  }
}

interface WrittenGateway {
  readonly aud: string;
  readonly tls: TlsIdentity;
  readonly config: string;
}

async function writeGateway(
  folders: Folders,
  published: Published,
  { gateway: url, now }: TrialInput,
): Promise<WrittenGateway> {
  const dataDir = join(folders.gateway, 'data');
  const root = join(folders.gateway, 'root.json');
  const hostNames = [url.hostname];
  const { aud } = await loadIdentity(dataDir, now);
  const tls = await loadDevelopmentTls({ dataDir, hostNames, clock: now });
  saveOver(root, readFileSync(published.root));
  const config: GatewayConfigInput = {
    dataDir,
    publication: { rootFile: root, directory: published.directory, allowDevelopment: true },
    listen: {
      host: listenHost(url),
      httpsPort: portOf(url),
      hostNames,
      baseUrls: [url.origin],
    },
    accounts: { mode: 'open' },
    workers: { allowPrivateEndpoints: true },
    models: [DEMO_MODEL.id],
  };
  return { aud, tls, config: saveConfig(join(folders.gateway, 'gateway.json'), config) };
}

function cardOf({ secretKey }: Owner): Uint8Array {
  return encodeCard({
    owner: ed25519PublicKey(secretKey),
    model: {
      id: DEMO_MODEL.id,
      contextLength: DEMO_MODEL.contextLength,
      capabilities: ['chat', 'completions', 'embeddings'],
      weights: DEMO_MODEL.sha256,
    },
    limits: {
      maxPromptTokens: DEMO_MODEL.contextLength,
      maxOutputTokens: OUTPUT_TOKENS_MAX,
      maxConcurrent: CONCURRENT_MAX,
    },
    prices: { asset: 'TON', ...FREE },
    payout: null,
  });
}

interface WorkerParts {
  readonly folders: Folders;
  readonly pkiDir: string;
  readonly card: Uint8Array;
  readonly owner: Owner;
  readonly gateway: WrittenGateway;
}

function writeWorker(
  { folders, pkiDir, card, owner, gateway }: WorkerParts,
  urls: Pick<TrialInput, 'gateway' | 'owner' | 'worker'>,
): string {
  const cardFile = join(folders.worker, 'card.json');
  const tokenFile = join(folders.worker, 'token');
  saveOver(cardFile, card);
  saveOver(tokenFile, `${owner.token}\n`);
  const config: WorkerConfigInput = {
    gateway: {
      url: urls.gateway.origin,
      aud: gateway.aud,
      tlsSpkiSha256: [toBase64Url(gateway.tls.spkiSha256)],
    },
    owner: {
      url: urls.owner.origin,
      tokenFile,
      ...(urls.owner.protocol === 'https:'
        ? { tlsSpkiSha256: toBase64Url(owner.tls.spkiSha256) }
        : {}),
    },
    listen: {
      host: listenHost(urls.worker),
      port: portOf(urls.worker),
      endpoint: urls.worker.origin,
    },
    cardFile,
    workload: { image: toHex(DEMO_WORKLOAD.image), config: toHex(DEMO_WORKLOAD.config) },
    engine: { modelPath: DEMO_MODEL.path },
    evidence: { provider: 'simulator', pkiDir },
  };
  return saveConfig(join(folders.worker, 'worker.json'), config);
}

function saveConfig(path: string, config: GatewayConfigInput | WorkerConfigInput): string {
  saveOver(path, `${JSON.stringify(config, undefined, 2)}\n`);
  return path;
}

/** Whoever is reached under a name that is not this machine's own cannot know the address beforehand. */
function listenHost({ hostname }: URL): string {
  const host = hostname.replaceAll(/^\[|\]$/g, '');
  if (host === 'localhost') return '127.0.0.1';
  return LOOPBACK.includes(host) ? host : '0.0.0.0';
}

function portOf({ port }: URL): number {
  return port === '' ? HTTPS_PORT : Number(port);
}
