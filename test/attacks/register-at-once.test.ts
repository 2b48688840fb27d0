/**
 * Attack: one registration sent several times at once. Appraisal gives way to others while it computes, so the second
 * message is looked at before the first has come in. @module
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openLab, type Lab } from '../support/gateway-lab.ts';
import { startSxWorker } from '../support/sx-worker.ts';

let lab: Lab;
before(async () => {
  lab = await openLab();
});
after(() => lab.close());

test('one comes in, and the others find the challenge used', async () => {
  const worker = await startSxWorker({
    provider: lab.provider,
    aud: lab.gateway.aud,
    gatewayUrl: lab.url,
  });
  after(() => worker.close());
  const answers = await Promise.all(Array.from({ length: 6 }, () => worker.register()));
  assert.deepEqual(
    answers.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 400, 400, 400, 400, 400],
  );
  const refused = answers.filter(({ status }) => status !== 200);
  for (const { json } of refused) {
    assert.match(JSON.stringify(json), /registration\.(challenge|duplicate)/);
  }
  assert.equal(lab.gateway.registry.byWorkerId(worker.workerId).length, 1);
});
