/** Whose keys a session gives out, from whom it takes them, and what it does for callers that have left. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '../../core/bytes.ts';
import { fetchDirectory } from '../../client/directory.ts';
import { Session } from '../../client/session.ts';
import { unsignedTrust } from '../../client/trust.ts';
import { memoryGateway, MODEL, type MemoryGateway } from '../support/memory-gateway.ts';

const HERE = new AbortController().signal;

function sessionWith({ fetch, clock, policy }: MemoryGateway, gateway?: string): Session {
  const reach = { fetch, gatewayUrl: 'https://gateway.test', authorization: undefined, clock };
  const directory = fetchDirectory(reach);
  return new Session({
    directory,
    trust: unsignedTrust(policy),
    clock,
    ...(gateway === undefined ? {} : { gateway }),
  });
}

test('a gateway other than the one that was named, or met first, is not asked for workers', async () => {
  const [first, second] = [await memoryGateway(), await memoryGateway()];
  await assert.rejects(sessionWith(first, second.aud).keys(MODEL, HERE), {
    code: 'client.gateway_changed',
  });
  assert.ok(!first.asked.includes('/v1/evidence'));
  let from = first;
  const moving = sessionWith({ ...first, fetch: (url, init) => from.fetch(url, init) });
  await moving.keys(MODEL, HERE);
  from = second;
  await assert.rejects(moving.renew(MODEL, HERE), { code: 'client.gateway_changed' });
});

test('a worker of one model is no worker of another, whatever the gateway says', async () => {
  const gateway = await memoryGateway();
  gateway.mischief.evidence = () => ({
    candidates: gateway.workers.map(({ workerId, evidence }) => ({ workerId, evidence })),
    publication: null,
  });
  const session = sessionWith(gateway);
  assert.equal((await session.keys(MODEL, HERE)).length, 1);
  await assert.rejects(session.keys('other/model', HERE), { code: 'client.none_admitted' });
});

test('for a caller that has left already nothing is asked, so that no failure goes unheard', async () => {
  const gateway = await memoryGateway();
  const { clock, policy } = gateway;
  let asked = 0;
  const fetch: typeof gateway.fetch = () => {
    asked++;
    return Promise.reject(new Error('the network is down'));
  };
  const reach = { fetch, gatewayUrl: 'https://gateway.test', authorization: undefined, clock };
  const directory = fetchDirectory(reach);
  const session = new Session({ directory, trust: unsignedTrust(policy), clock });
  const left = AbortSignal.abort();
  await assert.rejects(session.keys(MODEL, left), { name: 'AbortError' });
  await assert.rejects(session.renew(MODEL, left), { name: 'AbortError' });
  // An unhandled rejection would fail this test, and end an app.
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(asked, 0);
});

test('a worker under the name of another is not admitted: an admitted name is proven', async () => {
  const gateway = await memoryGateway([{}, {}]);
  const [first, second] = gateway.workers;
  gateway.mischief.evidence = () => ({
    candidates: [
      { workerId: second?.workerId, evidence: first?.evidence },
      { workerId: second?.workerId, evidence: second?.evidence },
    ],
    publication: null,
  });
  const session = sessionWith(gateway);
  const [key, ...others] = await session.keys(MODEL, HERE);
  assert.deepEqual([key && toHex(key.workerId), others.length], [second?.workerId, 0]);
  const [renamed, honest] = session.verdicts();
  assert.deepEqual(renamed?.appraisal, { outcome: 'unreadable', code: 'client.evidence' });
  assert.equal(honest?.appraisal.outcome, 'admitted');
});
