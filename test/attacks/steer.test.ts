/**
 * C11. Attack: the gateway steers all requests, or those of one client, to one worker, because it owns it or has broken it.
 * Among those that were admitted the client draws, and the gateway chooses only among the few that were drawn; what it hides
 * it cannot be made to show, but who answered is proven and said with each answer.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sealedFetch } from '../../client/index.ts';
import { appOf, WHOLE } from '../support/hostile.ts';
import { memoryGateway, MODEL, PROMPT, type MemoryGateway } from '../support/memory-gateway.ts';

const WORKERS = 4;
/** One worker of four is never drawn so often with a chance of 4·(3/4)^80, one in two billion. */
const DRAWS = 80;

function answeredBy({ workers }: MemoryGateway): readonly number[] {
  return workers.map(({ opened }) => opened.length);
}

test('C11: sealed to one, the request goes to whom the client drew, whatever the gateway prefers', async () => {
  const gateway = await memoryGateway(Array.from({ length: WORKERS }, () => ({})));
  const [favourite] = gateway.workers;
  gateway.mischief.route = (workers) => [
    ...workers.filter((worker) => worker === favourite),
    ...workers.filter((worker) => worker !== favourite),
  ];
  gateway.mischief.evidence = ({ candidates, publication }) => ({
    candidates: candidates.toSorted((a) =>
      Object.values(a).includes(favourite?.workerId) ? -1 : 1,
    ),
    publication,
  });
  const ask = appOf(gateway, { recipients: 1 });
  for (let drawn = 0; drawn < DRAWS; drawn++) assert.deepEqual(await ask('unary'), WHOLE);
  assert.ok(
    answeredBy(gateway).every((count) => count > 0),
    answeredBy(gateway).join(),
  );
});

test('C11: sealed to some, the one it prefers is not always among them', async () => {
  const gateway = await memoryGateway(Array.from({ length: WORKERS }, () => ({})));
  const [favourite] = gateway.workers;
  gateway.mischief.route = (workers) => workers;
  const ask = appOf(gateway, { recipients: 2 });
  for (let drawn = 0; drawn < DRAWS; drawn++) assert.deepEqual(await ask('unary'), WHOLE);
  assert.ok((favourite?.opened.length ?? 0) < DRAWS);
});

test('C11: a gateway that shows one worker alone gets all, and the app sees whom, proven', async () => {
  const gateway = await memoryGateway([{}, {}, {}]);
  const [shown] = gateway.workers;
  gateway.mischief.evidence = ({ candidates, publication }) => ({
    candidates: candidates.slice(0, 1),
    publication,
  });
  const { fetch, policy, clock } = gateway;
  const sealed = sealedFetch({ fetch, policy, clock });
  const body = JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: PROMPT }] });
  const answer = await sealed('https://gateway.test/v1/chat/completions', { method: 'POST', body });
  assert.equal(answer.headers.get('sx-worker'), shown?.workerId);
  assert.deepEqual(
    sealed.verdicts().map(({ claimedWorkerId }) => claimedWorkerId),
    [shown?.workerId],
  );
});
