/** `veilgate attest gateway`: what it says of a running gateway, of one that shows another's evidence, and of none. @module */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { randomBytes } from '#primitives';
import { decodeGatewayEvidence } from '../../attestation/gateway/gateway-evidence.ts';
import { parseGatewayStatement } from '../../attestation/gateway/gateway-statement.ts';
import { draftOwn } from '../../cli/attest/draft-own.ts';
import { unjudged } from '../../cli/attest/judge-own.ts';
import { simulatedGatewayQuotes } from '../../cli/attested/quotes.ts';
import { systemClock } from '../../core/clock.ts';
import { openAttestedLab, startImpostor, type AttestedLab } from '../support/attested-lab.ts';

let lab: AttestedLab;
before(async () => {
  lab = await openAttestedLab();
});
after(() => lab.close());

async function attest(...words: readonly string[]) {
  const child = spawn(process.execPath, ['cli/veilgate.ts', 'attest', 'gateway', ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += String(chunk)));
  child.stderr.on('data', (chunk) => (stderr += String(chunk)));
  const [status] = await once(child, 'close');
  return { status: Number(status), stdout, stderr };
}

const REPORT = z.looseObject({
  format: z.literal('veilgate.gateway-attestation/1'),
  outcome: z.string(),
  simulated: z.boolean().nullable(),
  statement: z.looseObject({ aud: z.string(), challenge: z.string().nullable() }),
  checks: z.array(z.looseObject({ id: z.string(), outcome: z.string() })),
});

function failedIn(stdout: string): readonly string[] {
  return REPORT.parse(JSON.parse(stdout))
    .checks.filter(({ outcome }) => outcome === 'fail')
    .map(({ id }) => id);
}

test('under a policy that admits it: accepted, and simulated', async () => {
  const { status, stdout } = await attest(
    lab.origin,
    '--policy',
    lab.policyFile,
    '--aud',
    lab.gateway.aud,
    '--challenge',
    '--json',
  );
  assert.equal(status, 0, stdout);
  const { outcome, simulated, statement } = REPORT.parse(JSON.parse(stdout));
  assert.equal(outcome, 'accepted');
  assert.equal(simulated, true);
  assert.equal(statement.aud, lab.gateway.aud);
  assert.match(statement.challenge ?? '', /^[0-9a-f]{64}$/);
});

test('for people, the first line is the verdict and the machine is called what it is', async () => {
  const { stdout } = await attest(lab.origin, '--policy', lab.policyFile);
  assert.match(stdout, /^ACCEPTED {2}https:/);
  assert.match(stdout, /machine +SIMULATED/);
});

test('without a policy, of a root that nobody named: rejected, and the machine not proven', async () => {
  const { status, stdout } = await attest(lab.origin, '--json');
  assert.equal(status, 1);
  assert.equal(REPORT.parse(JSON.parse(stdout)).simulated, null);
  assert.deepEqual(failedIn(stdout), ['pck.root', 'tcbInfo.chain', 'qeIdentity.chain']);
});

test('somebody who shows its evidence is rejected for his key alone', async () => {
  const impostor = await startImpostor({ evidenceOf: lab.origin });
  try {
    const { status, stdout } = await attest(
      `https://localhost:${impostor.port}`,
      '--policy',
      lab.policyFile,
      '--json',
    );
    assert.equal(status, 1);
    assert.deepEqual(failedIn(stdout), ['gateway.key']);
    assert.deepEqual(impostor.caught, []);
  } finally {
    await impostor.close();
  }
});

test('no evidence, and no URL, have a status of their own', async () => {
  const impostor = await startImpostor();
  try {
    assert.equal((await attest(`https://localhost:${impostor.port}`)).status, 3);
    assert.equal((await attest('http://gateway.example')).status, 2);
  } finally {
    await impostor.close();
  }
});

const MACHINES = [
  ['simulator', 'veilgate-development-pki-1/veilgate-development-sgx-root-ca.der'],
  ['simulator-snp', 'veilgate-development-snp-pki-1/veilgate-development-ark-genoa.der'],
] as const;

/** The lab's policy with this section in place of its own, and this root beside those it has. */
function withSection(policy: string, section: string): string {
  const root = /- simulated: 'sha256:[0-9a-f]{64}'/.exec(section)?.[0] ?? '';
  const workers = policy.replace(/^gateways:\n(?:[ #].*\n|\n)*/m, '');
  assert.notEqual(workers, policy);
  return `${workers.replace(/^roots:\n/m, `roots:\n  ${root}\n`)}\n${section}`;
}

for (const [name, rootFile] of MACHINES) {
  test(`a drafted section admits the gateway of ${name} that it is of, and no other release`, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'veilgate-draft-'));
    const quotes = await simulatedGatewayQuotes(name, join(dir, 'pki'));
    const drafted = await openAttestedLab({ deps: { quotes } });
    try {
      const root = join(dir, 'pki', rootFile);
      const { status, stdout, stderr } = await attest(drafted.origin, '--draft', '--root', root);
      assert.equal(status, 0, stdout + stderr);
      const path = join(dir, 'policy.yaml');
      const policy = withSection(readFileSync(drafted.policyFile, 'utf8'), stdout);
      writeFileSync(path, policy);
      const under = await attest(drafted.origin, '--policy', path, '--json');
      assert.equal(under.status, 0, under.stdout + under.stderr);
      const other = policy.replace(/(gateways:[^]*image: 'sha256:)[0-9a-f]{8}/, '$100000000');
      assert.notEqual(other, policy);
      writeFileSync(path, other);
      const denied = await attest(drafted.origin, '--policy', path, '--json');
      assert.equal(denied.status, 1);
      assert.deepEqual(failedIn(denied.stdout), ['workload.image']);
    } finally {
      await drafted.close();
      rmSync(dir, { recursive: true });
    }
  });
}

test('nothing is drafted of a machine that is not proven, nor of a connection to another key', async () => {
  const unproven = await attest(lab.origin, '--draft');
  assert.equal(unproven.status, 1);
  assert.doesNotMatch(unproven.stdout, /gateways:/);
  assert.match(unproven.stderr, /no draft.*--root FILE/);
  const root = join(lab.dataDir, 'pki', MACHINES[0][1]);
  const impostor = await startImpostor({ evidenceOf: lab.origin });
  try {
    const ran = await attest(`https://localhost:${impostor.port}`, '--draft', '--root', root);
    assert.equal(ran.status, 1);
    assert.doesNotMatch(ran.stdout, /gateways:/);
    assert.match(ran.stdout, /fail +gateway\.key/);
  } finally {
    await impostor.close();
  }
});

test('a draft is made without a policy, or not at all', async () => {
  const { status, stderr } = await attest(lab.origin, '--draft', '--policy', lab.policyFile);
  assert.equal(status, 2);
  assert.match(stderr, /--draft/);
});

test('a draft that would not admit what it is made from is not one', async () => {
  const answer = await fetch(`${lab.url}/.well-known/veilgate/evidence`);
  const { evidence: json } = z.looseObject({ evidence: z.unknown() }).parse(await answer.json());
  const evidence = decodeGatewayEvidence(json);
  const root = join(lab.dataDir, 'pki', MACHINES[0][1]);
  const asked = {
    evidence,
    options: { root },
    challenge: undefined,
    hostname: 'localhost',
    nowMs: systemClock(),
  };
  const { facts } = unjudged(asked);
  assert.ok(facts !== undefined);
  const statement = parseGatewayStatement(evidence.statement);
  const proven = { facts, statement, origin: lab.origin, isSimulated: true };
  assert.equal(draftOwn(asked, proven).outcome, 'drafted');
  const workload = { ...statement.workload, image: randomBytes(32) };
  const strange = draftOwn(asked, { ...proven, statement: { ...statement, workload } });
  assert.ok(strange.outcome === 'refused');
  const failed = strange.verdict.checks.filter(({ outcome }) => outcome === 'fail');
  assert.deepEqual(
    failed.map(({ id }) => id),
    ['workload.image'],
  );
});
