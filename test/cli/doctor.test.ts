/** What `veilgate doctor` finds: on no confidential machine, on simulated ones, and with one thing wrong at a time. @module */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ed25519PublicKey, randomBytes } from '#primitives';
import { encodeCard } from '../../attestation/card.ts';
import { fillDevelopmentPolicy } from '../../attestation/policy/development.ts';
import { linesOf } from '../../cli/doctor.ts';
import { examine, type DoctorInput } from '../../cli/doctor/examine.ts';
import type { DoctorFinding } from '../../cli/doctor/finding.ts';
import { systemClock } from '../../core/clock.ts';
import { toHex } from '../../core/bytes.ts';
import { DEMO_MODEL, DEMO_WORKLOAD } from '../../enclave-worker/demo-model/demo-model.ts';
import { createSimulator } from '../../enclave-worker/evidence/simulator/simulator.ts';
import { localOwnerSigner } from '../../enclave-worker/owner.ts';
import { openOwnerAgent, type OwnerAgent } from '../../enclave-worker/owner-agent.ts';
import { openLab, type Lab } from '../support/gateway-lab.ts';
import { fakeGuest } from '../support/tsm/fake-kernel.ts';

const TOKEN = 'token-of-this-test';
let folder: string;
let lab: Lab;
let agent: OwnerAgent;

function at(name: string): string {
  return join(folder, name);
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'veilgate-doctor-'));
  lab = await openLab();
  const owner = randomBytes(32);
  const card = encodeCard({
    owner: ed25519PublicKey(owner),
    model: {
      id: DEMO_MODEL.id,
      contextLength: DEMO_MODEL.contextLength,
      capabilities: ['chat'],
      weights: DEMO_MODEL.sha256,
    },
    limits: { maxPromptTokens: 64, maxOutputTokens: 64, maxConcurrent: 1 },
    prices: { asset: 'TON', base: 0n, prompt: 0n, cached: 0n, completion: 0n, reasoning: 0n },
    payout: null,
  });
  agent = await openOwnerAgent({
    signer: localOwnerSigner(owner, card),
    token: TOKEN,
    host: '127.0.0.1',
    port: 0,
    onRequest: () => undefined,
  });
  writeFileSync(at('card.json'), card);
  writeFileSync(at('token'), TOKEN);
  const simulator = await createSimulator({ pkiDir: at('pki') });
  const template = readFileSync('policies/development.yaml', 'utf8');
  const roots = { rootsSha256: [simulator.rootSha256()], nowMs: systemClock() };
  writeFileSync(at('policy.yaml'), fillDevelopmentPolicy(template, roots));
});

after(async () => {
  await agent.close();
  await lab.close();
  rmSync(folder, { recursive: true });
});

function configWith(overrides: object = {}): string {
  const path = at(`worker-${toHex(randomBytes(4))}.json`);
  const config = {
    gateway: { url: lab.url, aud: lab.gateway.aud },
    owner: { url: `http://127.0.0.1:${agent.port}`, tokenFile: at('token') },
    cardFile: at('card.json'),
    workload: { image: toHex(DEMO_WORKLOAD.image), config: toHex(DEMO_WORKLOAD.config) },
    engine: { modelPath: DEMO_MODEL.path },
    evidence: { provider: 'simulator', pkiDir: at('pki') },
    ...overrides,
  };
  writeFileSync(path, JSON.stringify(config));
  return path;
}

async function examined(input: Partial<DoctorInput>): Promise<readonly DoctorFinding[]> {
  const said: DoctorFinding[] = [];
  const { findings } = await examine({
    guest: fakeGuest(() => undefined).guest,
    clock: systemClock,
    signal: AbortSignal.timeout(60_000),
    onFinding: (finding) => void said.push(finding),
    ...input,
  });
  assert.deepEqual(said, findings, 'everything is said as it is found');
  return findings;
}

async function problems(input: Partial<DoctorInput>): Promise<readonly string[]> {
  const findings = await examined(input);
  for (const { outcome, remedy, id } of findings) {
    if (outcome === 'problem') assert.ok((remedy ?? '').length > 10, `${id} has a remedy`);
  }
  return findings.filter(({ outcome }) => outcome === 'problem').map(({ id }) => id);
}

test('a worker in order has nothing in its way, and is told that it is simulated', async () => {
  const findings = await examined({ configPath: configWith(), policyPath: at('policy.yaml') });
  const bad = findings.filter(({ outcome }) => outcome === 'problem');
  assert.deepEqual(bad, []);
  const machine = findings.find(({ id }) => id === 'machine');
  assert.equal(machine?.outcome, 'warning');
  assert.match(machine.detail, /SIMULATED/);
  const policy = findings.find(({ id }) => id === 'policy');
  assert.match(policy?.detail ?? '', /would admit this worker: simulated-tdx/);
  assert.equal(lab.gateway.registry.all().length, 0, 'nothing was registered');
});

test('one wrong thing at a time is one problem, with a remedy', async () => {
  const policyPath = at('policy.yaml');
  const aud = `gw1.${'A'.repeat(43)}`;
  const wrong: readonly (readonly [expected: readonly string[], overrides: object])[] = [
    [['gateway'], { gateway: { url: lab.url, aud } }],
    [['gateway'], { gateway: { url: 'http://127.0.0.1:1', aud: lab.gateway.aud } }],
    [['owner'], { owner: { url: 'http://127.0.0.1:1', tokenFile: at('token') } }],
    [['owner'], { owner: { url: `http://127.0.0.1:${agent.port}`, tokenFile: at('card.json') } }],
    [['owner'], { owner: { url: `http://127.0.0.1:${agent.port}`, tokenFile: at('none') } }],
    [['model'], { engine: { modelPath: at('token') } }],
    [['model'], { engine: { modelPath: at('none') } }],
    [['policy'], { workload: { image: '00'.repeat(32), config: '00'.repeat(32) } }],
  ];
  for (const [expected, overrides] of wrong) {
    const found = await problems({ configPath: configWith(overrides), policyPath });
    assert.deepEqual(found, expected, JSON.stringify(overrides));
  }
});

test('production refuses a simulated machine, and doctor says by which checks', async () => {
  const findings = await examined({
    configPath: configWith(),
    policyPath: 'policies/production.yaml',
  });
  const said = findings.filter(({ outcome }) => outcome === 'problem').map(({ detail }) => detail);
  assert.ok(said.some((detail) => detail.includes('pck.root')));
  assert.ok(said.some((detail) => detail.includes('would refuse this worker')));
});

test('a clock that is wrong is found by the gateway’s', async () => {
  const findings = await examined({
    configPath: configWith(),
    clock: () => systemClock() - 40_000,
  });
  assert.equal(findings.find(({ id }) => id === 'clock')?.outcome, 'problem');
});

test('a machine that can prove nothing has one problem and the reasons beside it', async () => {
  const { guest, kernel } = fakeGuest((fake) => {
    fake.provider = 'something_else';
  });
  assert.ok(kernel !== undefined);
  const findings = await examined({ guest });
  assert.deepEqual(
    findings.filter(({ outcome }) => outcome === 'problem').map(({ id }) => id),
    findings.some(({ id, outcome }) => id === 'machine.configfs-tsm' && outcome === 'problem')
      ? ['machine.configfs-tsm', 'machine']
      : ['machine'],
  );
  for (const id of ['quote', 'collateral', 'authenticity', 'policy']) {
    assert.equal(findings.find((finding) => finding.id === id)?.outcome, 'skipped', id);
  }
});

test('a machine without collateral learns that, and fetches nothing when offline', async () => {
  const { guest } = fakeGuest((kernel) => {
    kernel.provider = 'sev_guest';
  });
  writeFileSync(at('empty.bundle'), '{}');
  const found = await problems({ guest, bundlePath: at('empty.bundle') });
  assert.deepEqual(found, ['collateral']);
});

test('a folder for collateral is not made, and one that cannot be used stops nothing else', async () => {
  const { guest } = fakeGuest((kernel) => {
    kernel.provider = 'sev_guest';
  });
  const evidence = { provider: 'auto' };
  const directory = at('not-made');
  const first = configWith({ evidence, collateral: { offline: true, directory } });
  assert.deepEqual(await problems({ guest, configPath: first }), ['collateral']);
  assert.ok(!existsSync(directory));
  const unusable = { offline: true, directory: at('card.json') };
  const second = configWith({ evidence, collateral: unusable });
  assert.deepEqual(await problems({ guest, configPath: second }), ['collateral']);
  const caFile = { mirror: { url: 'https://mirror.example', caFile: at('none') } };
  const third = configWith({ evidence, collateral: { amd: caFile } });
  assert.deepEqual(await problems({ guest, configPath: third }), ['collateral']);
});

test('files that cannot be read are problems, not crashes', async () => {
  assert.ok((await problems({ configPath: at('none') })).includes('config'));
  assert.ok((await problems({ policyPath: at('none') })).includes('policyFile'));
  assert.ok((await problems({ policyPath: at('card.json') })).includes('policyFile'));
});

test('nothing that stands in a finding can move a cursor', () => {
  const lines = linesOf({
    id: 'x',
    outcome: 'problem',
    detail: 'a\u001b[2Jb\u202ec\nsecond',
    remedy: '\u0007bell',
  });
  assert.equal(lines.length, 3);
  for (const line of lines) assert.doesNotMatch(line, /[\p{Cc}\p{Cf}]/u);
});
