/** An app that leaves a stream is heard however long ago it asked: nothing on the way may have been collected as garbage. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { openConformanceLab, type Lab } from '../support/conformance/lab.ts';
import { pacedEngine } from '../support/conformance/paced.ts';
import { until } from '../support/until.ts';

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

const paced = pacedEngine({ of: () => ({ text: 'word ', allowed: 1 }) });
let lab: Lab;
before(async () => {
  lab = await openConformanceLab({ engine: () => Promise.resolve(paced) });
});
after(() => lab.close());

test('an abort long after the head of a sealed stream ends the work', async () => {
  assert.ok(typeof collect === 'function');
  const { baseURL, apiKey, model, fetch } = lab.ways.sealed;
  const leave = new AbortController();
  const messages = [{ role: 'user', content: 'Go.' }];
  const response = await fetch(`${baseURL}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages, stream: true }),
    signal: leave.signal,
  });
  assert.equal(response.status, 200);
  for (let round = 0; round < 10; round++) {
    collect();
    await turn();
  }
  const [job] = paced.jobs;
  assert.equal(job?.ended, false);
  leave.abort();
  await until(() => job.ended);
  assert.ok(job.aborted);
});
