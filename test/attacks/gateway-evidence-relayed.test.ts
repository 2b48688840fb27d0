/**
 * Attack: a machine of the attacker's shows the evidence of an honest gateway, the same quote over the same statement, and takes
 * connections under a TLS key of its own. @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ask,
  openAttestedLab,
  refusalOf,
  SECRET,
  startImpostor,
  startSwitchboard,
} from '../support/attested-lab.ts';

test('evidence of another gateway is refused by the key of the connection, and nothing is sent', async () => {
  const lab = await openAttestedLab();
  const impostor = await startImpostor({ evidenceOf: lab.origin });
  try {
    const app = lab.app();
    assert.equal(
      await refusalOf(await app(...ask(`https://localhost:${impostor.port}`))),
      'client.gateway_key',
    );
    // It is the key and nothing else: what was shown is admitted.
    assert.equal(app.verdicts()[0]?.verdict.decision, 'admitted');
    assert.deepEqual(impostor.caught, []);
  } finally {
    await impostor.close();
    await lab.close();
  }
});

test('a genuine gateway of somebody else, in the place of the one that was asked for, is refused', async () => {
  const honest = await openAttestedLab();
  const other = await openAttestedLab();
  const road = await startSwitchboard(other.httpsPort);
  try {
    // Its machine is admitted as well: what is wrong is whose it is.
    const app = honest.app({ policy: other.policyFile });
    assert.equal(await refusalOf(await app(...ask(road.origin))), 'client.gateway_denied');
    const failed = app.verdicts()[0]?.verdict.checks.filter(({ outcome }) => outcome === 'fail');
    assert.deepEqual(
      failed?.map(({ id }) => id),
      ['statement.aud'],
    );
    assert.ok(!other.logLines.join('').includes(SECRET));
  } finally {
    await road.close();
    await other.close();
    await honest.close();
  }
});
