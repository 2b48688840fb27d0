/** `veilgate attest gateway`: what it says of a running gateway, of one that shows another's evidence, and of none. @module */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { z } from 'zod';
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
