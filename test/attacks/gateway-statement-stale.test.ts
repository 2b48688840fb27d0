/**
 * Attack: an old statement and its quote, genuine when they were made, are shown again after their time, with whatever key was
 * taken out of the machine since. @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manualClock, systemClock } from '../../core/clock.ts';
import { ask, openAttestedLab, refusalOf, startSwitchboard } from '../support/attested-lab.ts';
import {
  appraiseTestGateway,
  buildGatewayEvidence,
  gatewayPolicy,
} from '../support/gateway-evidence.ts';
import { createTestPki, NOW_MS } from '../support/tdx/pki.ts';
import { idsOf } from '../support/worker-evidence.ts';
import { sha256 } from '#primitives';

const pki = await createTestPki();
const sound = await buildGatewayEvidence(pki);

test('a statement past its end fails exactly there', () => {
  const { verdict } = appraiseTestGateway(pki, sound, { nowMs: NOW_MS + 570_000 });
  assert.deepEqual(idsOf(verdict.checks, 'fail'), ['statement.expired']);
});

test('a statement from before the policy’s age of evidence fails exactly there', () => {
  const limits = {
    evidence_age: '20s',
    reattest_every: '1h',
    revocation_age: { gateway: '60s', client: '5m' },
    collateral_grace: '0s',
    challenge: 'required',
  };
  const policy = gatewayPolicy(sha256(pki.sound.root.der), { limits });
  const { verdict } = appraiseTestGateway(pki, sound, { policy });
  assert.deepEqual(idsOf(verdict.checks, 'fail'), ['policy.evidenceAge']);
});

test('a statement that would live longer than an hour fails exactly there', async () => {
  const exp = NOW_MS / 1000 - 30 + 3601;
  const evidence = await buildGatewayEvidence(pki, { statement: { exp } });
  const { verdict } = appraiseTestGateway(pki, evidence);
  assert.deepEqual(idsOf(verdict.checks, 'fail'), ['statement.lifetime']);
});

test('a statement that answers somebody else’s challenge fails exactly there', async () => {
  const evidence = await buildGatewayEvidence(pki, {
    statement: { nonce: sha256(Uint8Array.of(1)) },
  });
  const { verdict } = appraiseTestGateway(pki, evidence, { challenge: sha256(Uint8Array.of(2)) });
  assert.deepEqual(idsOf(verdict.checks, 'fail'), ['statement.nonce']);
});

test('an app whose evidence has run out sends nothing on the connection that is still open', async () => {
  const clock = manualClock(systemClock());
  const lab = await openAttestedLab();
  const road = await startSwitchboard(lab.httpsPort);
  try {
    const app = lab.app({ clock: clock.now });
    const first = await app(`${road.origin}/v1/models`);
    assert.equal(first.status, 200);
    await first.text();
    clock.advance(3_700_000);
    // The same gateway shows what is too old by the clock of the app: it is looked at anew, and refused.
    assert.equal(await refusalOf(await app(...ask(road.origin))), 'client.gateway_denied');
    const failed = idsOf(app.verdicts()[0]?.verdict.checks ?? [], 'fail');
    assert.deepEqual(failed, ['statement.expired', 'policy.evidenceAge']);
  } finally {
    await road.close();
    await lab.close();
  }
});
