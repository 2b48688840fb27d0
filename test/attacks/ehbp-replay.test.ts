/** Attack: a captured EHBP request is sent again, by whoever saw it. Nothing in EHBP itself stops that. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyHashOf, createApiKey } from '../../gateway/accounts.ts';
import { systemClock } from '../../core/clock.ts';
import { EHBP_CONFIG, ehbpCaller, wholeStream } from '../support/ehbp-lab.ts';
import { openLab } from '../support/gateway-lab.ts';

test('through the gateway it is served once, whoever pays, and stays a repeat when its worker has gone', async (context) => {
  const lab = await openLab({ config: EHBP_CONFIG });
  context.after(() => lab.close());
  const worker = await lab.worker(undefined, { onEhbp: wholeStream });
  const caller = await ehbpCaller(lab, worker);
  const sealed = await caller.seal();
  assert.equal((await caller.send(sealed)).status, 200);
  const again = await caller.send(sealed);
  assert.deepEqual([again.status, again.headers['sx-error']], [409, 'sx.replay']);
  // An SDK that tries a 409 again would only seal anew, and pay anew.
  assert.equal(again.headers['x-should-retry'], 'false');
  const { apiKey } = createApiKey(lab.gateway.store, 'thief', systemClock());
  assert.notDeepEqual(keyHashOf(apiKey), keyHashOf(lab.apiKey));
  const stolen = await caller.send(sealed, { authorization: `Bearer ${apiKey}` });
  assert.equal(stolen.status, 409);
  assert.equal(worker.seen.count, 1);
  await worker.leave();
  assert.equal((await caller.send(sealed)).status, 409);
  assert.equal((await caller.send(await caller.seal())).status, 422);
});

test('under another address it is a request that does not open', async (context) => {
  const lab = await openLab({ config: EHBP_CONFIG });
  context.after(() => lab.close());
  const refusing = { onEhbp: () => assert.fail('opened') };
  const [one, two] = [await lab.worker(undefined, refusing), await lab.worker(undefined, refusing)];
  const [first, second] = [await ehbpCaller(lab, one), await ehbpCaller(lab, two)];
  const answer = await second.send(await first.seal());
  assert.deepEqual([answer.status, answer.headers['sx-error']], [400, 'sx.refused']);
});
