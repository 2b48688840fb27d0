/**
 * Attack: a simulated gateway, whose quotes anybody can make, is shown to an app whose policy is for real machines. @module
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { ask, openAttestedLab, refusalOf } from '../support/attested-lab.ts';

test('a policy that names no development root refuses it, and what is admitted says what it is', async () => {
  const lab = await openAttestedLab();
  try {
    const { development, roots, ...production } = z
      .looseObject({ development: z.literal(true), roots: z.array(z.unknown()) })
      .parse(parse(readFileSync(lab.policyFile, 'utf8')));
    assert.ok(development && roots.length > 0);
    const app = lab.app({ policy: stringify(production) });
    assert.equal(await refusalOf(await app(...ask(lab.origin))), 'client.gateway_denied');
    const [found] = app.verdicts();
    assert.equal(found?.verdict.decision, 'denied');
    // Nothing speaks against it but that its chain ends in no root that this policy trusts.
    const failed = found?.verdict.checks.filter(({ outcome }) => outcome === 'fail');
    assert.deepEqual(
      failed?.map(({ id }) => id),
      ['pck.root', 'tcbInfo.chain', 'qeIdentity.chain'],
    );

    const trial = lab.app();
    const response = await trial(`${lab.origin}/v1/models`);
    assert.equal(response.headers.get('sx-simulated'), 'true');
    const admitted = trial.verdicts()[0]?.verdict;
    assert.equal(admitted?.simulated, true);
    const waived = admitted?.checks.find(({ id }) => id === 'policy.simulated');
    assert.equal(waived?.outcome, 'waived');
  } finally {
    await lab.close();
  }
});
