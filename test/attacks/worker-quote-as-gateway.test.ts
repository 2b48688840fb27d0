/**
 * Attack: evidence of one role is shown for the other: a worker's machine, which may be anybody's, as a gateway that would read
 * every prompt; or a gateway's as a worker. @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#primitives';
import { toHex } from '../../core/bytes.ts';
import { hasCode } from '../../core/errors.ts';
import { gatewayEvidence } from '../../attestation/gateway/gateway-evidence.ts';
import { encodeGatewayStatement } from '../../attestation/gateway/gateway-statement.ts';
import { reportDataOf } from '../../attestation/statement.ts';
import {
  appraiseTestGateway,
  buildGatewayEvidence,
  GATEWAY_IMAGE,
  GATEWAY_MRTD,
  gatewayPolicy,
  gatewayStatement,
  gatewaysSection,
} from '../support/gateway-evidence.ts';
import { tdReport } from '../support/tdx/case.ts';
import { createTestPki } from '../support/tdx/pki.ts';
import {
  appraiseTest,
  buildEvidence,
  idsOf,
  TEST_IMAGE,
  TEST_RULE,
  TEST_TUPLE,
  TEST_WORKLOAD,
  testPolicy,
} from '../support/worker-evidence.ts';

const pki = await createTestPki();
const root = sha256(pki.sound.root.der);
const policy = gatewayPolicy(root);

test('both roles are admitted where they belong', async () => {
  const worker = await buildEvidence(pki);
  assert.equal(appraiseTest(worker, { policy }).outcome, 'admitted');
  assert.equal(appraiseTestGateway(pki, await buildGatewayEvidence(pki)).outcome, 'admitted');
});

test('a worker’s statement and quote as a gateway’s: it is not of that format', async () => {
  const { evidence } = await buildEvidence(pki);
  const { statement, quote, endorsements } = evidence;
  const shown = gatewayEvidence({ tee: 'tdx', statement, quote }, endorsements) ?? assert.fail();
  const { verdict } = appraiseTestGateway(pki, shown);
  assert.equal(verdict.decision, 'denied');
  // Not that of a gateway for the form, nor for the label under which it was quoted.
  assert.deepEqual(idsOf(verdict.checks, 'fail'), ['statement.format', 'statement.reportData']);
});

test('a worker’s machine that quotes a gateway’s statement fails by what it measures alone', async () => {
  const evidence = await buildGatewayEvidence(pki, { quote: { td: { mrTd: tdReport().mrTd } } });
  const { verdict } = appraiseTestGateway(pki, evidence);
  assert.deepEqual(idsOf(verdict.checks, 'fail'), ['cpu.measurements']);
});

test('a worker’s workload in a gateway’s statement is of no image that may be a gateway', async () => {
  const { image, config } = TEST_WORKLOAD;
  const evidence = await buildGatewayEvidence(pki, { statement: { workload: { image, config } } });
  const { verdict } = appraiseTestGateway(pki, evidence);
  assert.deepEqual(idsOf(verdict.checks, 'fail'), ['workload.image']);
});

test('a gateway’s statement quoted under the label of workers fails exactly there', async () => {
  const statementBytes = encodeGatewayStatement(gatewayStatement());
  const reportData = reportDataOf(statementBytes);
  const evidence = await buildGatewayEvidence(pki, { statementBytes, reportData });
  const { verdict } = appraiseTestGateway(pki, evidence);
  assert.deepEqual(idsOf(verdict.checks, 'fail'), ['statement.reportData']);
});

test('a gateway’s machine that quotes a worker’s statement fails by what it measures alone', async () => {
  const worker = await buildEvidence(pki, { quote: { td: { mrTd: GATEWAY_MRTD } } });
  const { verdict } = appraiseTest(worker, { policy });
  assert.deepEqual(idsOf(verdict.checks, 'fail'), ['cpu.measurements']);
});

test('a gateway’s statement as a worker’s is not of that format', async () => {
  const worker = await buildEvidence(pki, {
    statementBytes: encodeGatewayStatement(gatewayStatement()),
  });
  const { verdict } = appraiseTest(worker, { policy });
  assert.equal(verdict.decision, 'denied');
  assert.deepEqual(idsOf(verdict.checks, 'fail'), ['statement.format']);
});

test('without a section about gateways none is admitted, whatever workers are', async () => {
  const nonce = sha256(Uint8Array.of(1));
  const evidence = await buildGatewayEvidence(pki, { statement: { nonce } });
  for (const none of [
    testPolicy(root),
    gatewayPolicy(root, { gateways: gatewaysSection({ rules: [] }) }),
  ]) {
    assert.ok(none.document.rules.length > 0);
    const { verdict } = appraiseTestGateway(pki, evidence, { policy: none, challenge: nonce });
    assert.deepEqual(idsOf(verdict.checks, 'fail'), ['policy.gateways']);
  }
});

const SHARED: readonly (readonly [what: string, image: object])[] = [
  ['the name', { name: TEST_IMAGE['name'] }],
  [
    'the workload',
    {
      workload: {
        image: `sha256:${toHex(TEST_WORKLOAD.image)}`,
        config: `sha256:${toHex(TEST_WORKLOAD.config)}`,
      },
    },
  ],
  ['what is measured', { tdx: [TEST_TUPLE] }],
];

for (const [what, image] of SHARED) {
  test(`a policy in which the two roles share ${what} does not load`, () => {
    const shared = { ...GATEWAY_IMAGE, ...image };
    const rules = [
      { id: 'test-gateway-rule', images: [shared.name], cpu: TEST_RULE['cpu'] ?? null },
    ];
    assert.throws(
      () => gatewayPolicy(root, { gateways: gatewaysSection({ rules, images: [shared] }) }),
      (error) => hasCode(error, 'policy.inconsistent'),
    );
  });
}
