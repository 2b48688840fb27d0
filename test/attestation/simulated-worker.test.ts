/** The simulator under the policy that `veilgate up` writes: admitted there, refused everywhere else. @module */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sha256 } from '#primitives';
import { appraise, type Appraisal } from '../../attestation/appraise.ts';
import { cardDigestOf, encodeCard } from '../../attestation/card.ts';
import type { TdxEvidence } from '../../attestation/evidence.ts';
import { compilePolicy, type CompiledPolicy } from '../../attestation/policy/compile.ts';
import { fillDevelopmentPolicy } from '../../attestation/policy/development.ts';
import { encodeStatement, reportDataOf } from '../../attestation/statement.ts';
import { utf8, type Bytes } from '../../core/bytes.ts';
import { DEMO_MEASUREMENTS } from '../../enclave-worker/evidence/simulator/demo-image.ts';
import { createSimulator } from '../../enclave-worker/evidence/simulator/simulator.ts';
import { NOW_MS } from '../support/tdx/pki.ts';
import {
  TEST_AUD,
  TEST_CHALLENGE,
  idsOf,
  testCard,
  testStatement,
  NOTHING_REVOKED,
} from '../support/worker-evidence.ts';

const TEMPLATE = readFileSync('policies/development.yaml', 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'veilgate-simulated-'));
after(() => rmSync(folder, { recursive: true }));

interface Machine {
  readonly evidence: TdxEvidence;
  readonly rootSha256: Bytes<32>;
}

function policyFor(rootSha256: Bytes<32>): CompiledPolicy {
  const text = fillDevelopmentPolicy(TEMPLATE, { rootsSha256: [rootSha256], nowMs: NOW_MS });
  return compilePolicy(utf8(text), { source: 'policy.yaml' });
}

/** A worker of the demo image and model on a simulated machine with a hierarchy of its own. */
async function machine(name: string): Promise<Machine> {
  const simulator = await createSimulator({ pkiDir: join(folder, name), now: () => NOW_MS });
  const [image] = compilePolicy(utf8(TEMPLATE)).document.images;
  const [model] = compilePolicy(utf8(TEMPLATE)).document.models;
  assert.ok(image !== undefined && model !== undefined);
  const card = encodeCard(
    testCard({ model: { ...testCard().model, id: model.id, weights: model.weights } }),
  );
  const { image: digest, config } = image.workload;
  const statement = encodeStatement(
    testStatement({
      card: cardDigestOf(card),
      workload: { image: digest, config, model: model.weights },
    }),
  );
  const { quote, endorsements } = await simulator.collect(reportDataOf(statement));
  return {
    evidence: { tee: 'tdx', statement, quote, card, endorsements },
    rootSha256: simulator.rootSha256(),
  };
}

function judge({ evidence }: Machine, policy: CompiledPolicy): Appraisal {
  return appraise({
    evidence,
    policy,
    nowMs: NOW_MS,
    aud: TEST_AUD,
    challenge: { equals: TEST_CHALLENGE },
    revocations: NOTHING_REVOKED,
  });
}

let worker: Machine;

before(async () => {
  worker = await machine('first');
});

test('the filled template admits the simulator that made its root, as simulated', () => {
  const result = judge(worker, policyFor(worker.rootSha256));
  assert.equal(result.outcome, 'admitted', JSON.stringify(idsOf(result.verdict.checks, 'fail')));
  assert.equal(result.verdict.simulated, true);
  assert.ok(result.key.simulated);
  assert.ok(idsOf(result.verdict.checks, 'waived').includes('policy.simulated'));
});

test('a simulator with another root is refused by it', async () => {
  const stranger = await machine('second');
  const { outcome, verdict } = judge(stranger, policyFor(worker.rootSha256));
  assert.equal(outcome, 'denied');
  assert.deepEqual(
    idsOf(verdict.checks, 'fail').filter((id) => id === 'pck.root'),
    ['pck.root'],
  );
});

test('the production policy refuses the simulator', () => {
  const policy = compilePolicy(readFileSync('policies/production.yaml'), {
    source: 'production.yaml',
  });
  const { outcome, verdict } = judge(worker, policy);
  assert.equal(outcome, 'denied');
  assert.ok(idsOf(verdict.checks, 'fail').includes('pck.root'));
});

test('production becomes no more willing by listing the demo image and model', () => {
  const filled = fillDevelopmentPolicy(TEMPLATE, {
    rootsSha256: [worker.rootSha256],
    nowMs: NOW_MS,
  });
  const hardware = filled.replace(/^development: true$/m, '').replace(/^roots:\n.*$/m, '');
  const policy = compilePolicy(utf8(hardware));
  assert.equal(policy.document.roots, undefined);
  const { outcome, verdict } = judge(worker, policy);
  assert.equal(outcome, 'denied');
  assert.ok(idsOf(verdict.checks, 'fail').includes('pck.root'));
});

test('a simulated machine that measures something else is refused by its registers alone', async () => {
  const measurements = { ...DEMO_MEASUREMENTS, rtmr2: DEMO_MEASUREMENTS.rtmr1 };
  const other = await createSimulator({
    pkiDir: join(folder, 'first'),
    measurements,
    now: () => NOW_MS,
  });
  const { quote, endorsements } = await other.collect(reportDataOf(worker.evidence.statement));
  const evidence = { ...worker.evidence, quote, endorsements };
  const { verdict } = judge({ ...worker, evidence }, policyFor(worker.rootSha256));
  assert.deepEqual(idsOf(verdict.checks, 'fail'), ['cpu.measurements']);
  assert.deepEqual(idsOf(verdict.checks, 'skipped'), []);
});

test('the policy’s digest follows the root it names', () => {
  const one = policyFor(worker.rootSha256).digest;
  assert.notDeepEqual(one, policyFor(sha256(utf8('x'))).digest);
});
