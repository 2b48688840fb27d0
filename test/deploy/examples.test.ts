/**
 * The example configurations: the programs take them, what they decide is the production choice, and both programs start with
 * them on this machine once the places they name are here: a folder, a signed policy, a chain of its own. @module
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { tmpdir } from 'node:os';
import { test, type TestContext } from 'node:test';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { sha256 } from '#primitives';
import { generateP256 } from '../../attestation/x509-keys.ts';
import { selfSign } from '../../attestation/x509.ts';
import { toHex, utf8 } from '../../core/bytes.ts';
import { formatInstant, systemClock } from '../../core/clock.ts';
import { loadConfig } from '../../core/node/config.ts';
import { parseJson } from '../../core/json.ts';
import { WORKER_CONFIG } from '../../enclave-worker/config.ts';
import { DEMO_MODEL, DEMO_WORKLOAD } from '../../enclave-worker/demo-model/demo-model.ts';
import { loadGatewayConfig } from '../../gateway/config.ts';
import { openDevnet } from '../../settlement/ton/devnet/devnet.ts';
import { done } from '../support/commands.ts';
import { startService } from '../support/deploy/service.ts';

const GATEWAY_FILE = 'deploy/config/gateway.yaml';
const WORKER_FILE = 'deploy/config/worker.yaml';
/** Nobody's measurement; the linter knows placeholders. */
const HEX_48 = toHex(sha256(utf8('one'))) + toHex(sha256(utf8('two'))).slice(0, 32);
const DAY_MS = 86_400_000;

test('a gateway takes its example, and it is the choice for production', () => {
  const config = loadGatewayConfig({ filePath: GATEWAY_FILE, environment: {} });
  assert.equal(config.plaintext, 'refuse');
  assert.equal(config.policyFile, null);
  assert.equal(config.publication?.allowDevelopment, false);
  assert.equal(config.listen.httpPort, null);
  assert.notEqual(config.listen.certificateFile, null);
  assert.equal(config.accounts.mode, 'keys');
  assert.equal(config.workers.allowPrivateEndpoints, false);
  assert.equal(config.store.durability, 'full');
  assert.equal(config.settlement.custodial, 'refuse');
  const { ton } = config.settlement;
  assert.equal(ton?.network, 'mainnet');
  assert.equal(ton.quorum, 2);
  assert.equal(new Set(ton.providers.map(({ url }) => new URL(url).host)).size, 2);
  assert.ok(config.models.length > 0);
});

test('a worker takes its example, and it is the choice for production', () => {
  const config = loadConfig(WORKER_CONFIG, {
    part: 'worker',
    filePath: WORKER_FILE,
    environment: {},
  });
  assert.equal(config.evidence.provider, 'auto');
  assert.match(config.gateway.url, /^https:/);
  assert.match(config.owner?.url ?? '', /^https:/);
  assert.ok(config.owner?.tlsSpkiSha256 !== undefined);
  assert.equal(config.settlement.network, 'mainnet');
  assert.ok(config.earnings.dir !== undefined);
});

const TREE = z.record(z.string(), z.unknown());
const tree = (value: unknown): Record<string, unknown> => TREE.parse(value ?? {});

/** The example with its folders below `folder`. */
function moved(path: string, folder: string): Record<string, unknown> {
  const text = readFileSync(path, 'utf8')
    .replaceAll('/var/lib/', `${folder}/var/`)
    .replaceAll('/etc/veilgate/', `${folder}/etc/`);
  return tree(parse(text));
}

function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-example-'));
  context.after(() => rmSync(folder, { recursive: true }));
  for (const path of ['etc/gateway', 'etc/worker', 'var']) {
    mkdirSync(join(folder, path), { recursive: true, mode: 0o700 });
  }
  return folder;
}

/** The shipped production policy with one image and one model in it, signed, in force. Returns its repository. */
async function publishProduction(folder: string, model: string): Promise<string> {
  const at = (name: string): string => join(folder, name);
  const [repo, keys] = [at('repo'), at('keys')];
  const policy = tree(parse(readFileSync('policies/production.yaml', 'utf8')));
  const rules = z.array(TREE).parse(policy['rules']);
  const nowMs = Math.floor(systemClock() / 1000) * 1000;
  const expires = formatInstant(nowMs + 20 * DAY_MS);
  const image = {
    name: 'worker-1',
    source: { repo: 'example/worker', commit: '0'.repeat(40) },
    expires,
    workload: {
      image: `sha256:${toHex(DEMO_WORKLOAD.image)}`,
      config: `sha256:${toHex(DEMO_WORKLOAD.config)}`,
      engine: 'llama-cpp',
    },
    tdx: [
      { shape: 'one', mrtd: HEX_48, rtmr0: HEX_48, rtmr1: HEX_48, rtmr2: HEX_48, rtmr3: 'zero' },
    ],
    mrconfigid: 'zero',
    mrowner: 'zero',
    mrownerconfig: 'zero',
    snp: [{ shape: 'one', measurement: HEX_48, host_data: 'zero', id_key_digest: 'zero' }],
  };
  writeFileSync(
    at('policy.yaml'),
    stringify({
      ...policy,
      issued: formatInstant(nowMs),
      expires,
      rules: rules.map((rule) => ({ ...rule, models: [model], images: ['worker-1'] })),
      images: [image],
      models: [{ id: model, weights: `sha256:${toHex(DEMO_MODEL.sha256)}` }],
    }),
  );
  const as = (role: string): readonly string[] => [
    '--as',
    join(keys, `${role}.key`),
    '--repo',
    repo,
  ];
  await done('policy', 'repo', 'init', '--repo', repo, '--trial', 'production', '--keys', keys);
  await done('policy', 'sign', at('policy.yaml'), ...as('policy'), '--out', at('1.json'));
  await done('policy', 'publish', '--bundle', at('1.json'), ...as('release'));
  await done('revoke', 'timestamp', '--once', ...as('timestamp'));
  return repo;
}

async function writeSecrets(folder: string): Promise<void> {
  const made = await selfSign({
    keys: await generateP256(),
    commonName: 'gateway.example',
    dnsNames: ['gateway.example'],
    notBeforeMs: systemClock() - DAY_MS,
    notAfterMs: systemClock() + DAY_MS,
  });
  const write = (name: string, data: string | Uint8Array): void =>
    writeFileSync(join(folder, 'etc/gateway', name), data, { mode: 0o600 });
  write('tls.crt', made.certificatePem);
  write('tls.key', made.privateKeyPem);
  write('settlement.key', crypto.getRandomValues(new Uint8Array(32)));
  write('treasury.key', crypto.getRandomValues(new Uint8Array(32)));
  write('ton-one.key', 'a key\n');
  write('ton-two.key', 'a key\n');
}

const READY = z.looseObject({ httpsPort: z.int(), adminPort: z.int() });

test('a gateway runs with its example, and is ready for nobody until a worker of the model has proved itself', async (context) => {
  const folder = temporaryFolder(context);
  const devnet = await openDevnet({ port: 0 });
  context.after(() => devnet.close());
  await writeSecrets(folder);
  const config = moved(GATEWAY_FILE, folder);
  const [model = ''] = z.array(z.string()).parse(config['models']);
  const repo = await publishProduction(folder, model);
  writeFileSync(join(folder, 'etc/policy-root.json'), readFileSync(join(repo, 'root/1.json')));
  const { url: _, ...publication } = tree(config['publication']);
  const settlement = tree(config['settlement']);
  const ton = tree(settlement['ton']);
  const providers = z.array(TREE).parse(ton['providers']);
  const path = join(folder, 'etc/gateway.yaml');
  writeFileSync(
    path,
    stringify({
      ...config,
      publication: { ...publication, directory: repo },
      listen: { ...tree(config['listen']), host: '127.0.0.1', httpsPort: 0 },
      admin: { port: 0 },
      settlement: {
        ...settlement,
        ton: {
          ...ton,
          network: 'devnet',
          // One chain with one door: two providers behind it would agree with themselves.
          providers: providers.slice(0, 1).map((one) => ({ ...one, url: devnet.endpoint })),
          quorum: 1,
        },
      },
    }),
  );
  await using gateway = startService(['gateway/main.ts', '--config', path]);
  const { httpsPort } = READY.parse(parseJson(utf8(await gateway.firstLine), 4096));
  const status = (place: string, want: string): number | null =>
    spawnSync(
      process.execPath,
      ['deploy/healthcheck.mjs', `https://127.0.0.1:${httpsPort}${place}`, want],
      { timeout: 20_000 },
    ).status;
  assert.equal(status('/healthz', '200'), 0);
  assert.equal(status('/readyz', '503'), 0);
  gateway.child.kill('SIGTERM');
  const ended = await gateway.ended;
  assert.equal(ended.status, 0, ended.stderr);
});

const EVIDENCE_PLACES = ['/sys/kernel/config/tsm/report', '/var/run/dstack.sock'];

test('a worker with its example does not start on a machine that can prove nothing', async (context) => {
  if (EVIDENCE_PLACES.some((place) => existsSync(place))) {
    context.skip('this machine can prove something');
    return;
  }
  const folder = temporaryFolder(context);
  writeFileSync(join(folder, 'etc/worker/token'), `${'a'.repeat(43)}\n`, { mode: 0o600 });
  const path = join(folder, 'etc/worker.yaml');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, stringify(moved(WORKER_FILE, folder)));
  await using worker = startService(['enclave-worker/main.ts', '--config', path]);
  const { status, stderr } = await worker.ended;
  assert.equal(status, 1);
  assert.match(stderr, /evidence\.none_found/);
});
