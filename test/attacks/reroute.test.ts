/** C3. Attack: the request goes to a worker that the client did not choose, or to one of another model. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { concat, fromHex } from '../../core/bytes.ts';
import { sealedFetch } from '../../client/index.ts';
import { routeTag } from '../../protocol/sx/prelude.ts';
import { appOf, askWith, assertError, MODES, WHOLE } from '../support/hostile.ts';
import { memoryGateway } from '../support/memory-gateway.ts';

const ROUTE_TAG_AT = 40;

for (const mode of MODES) {
  test(`an admitted worker outside the sealed set reads nothing (${mode})`, async () => {
    const gateway = await memoryGateway([{}, {}]);
    gateway.mischief.evidence = ({ candidates }) => ({ candidates: candidates.slice(0, 1) });
    gateway.mischief.route = (workers) => workers.slice(1);
    assertError(await appOf(gateway)(mode), ['no_attested_worker']);
    assert.ok(gateway.workers.every((worker) => worker.opened.length === 0));
  });
}

test('never more recipients than asked for are sealed to', async () => {
  const gateway = await memoryGateway([{}, {}, {}, {}]);
  const counts: number[] = [];
  gateway.mischief.request = (sealed) => {
    counts.push(sealed[3] ?? 0);
    return sealed;
  };
  await appOf(gateway)('unary');
  await appOf(gateway, { recipients: 1 })('unary');
  await appOf(gateway, { recipients: 99 })('unary');
  assert.deepEqual(counts.slice(0, 1), [3]);
  assert.ok(counts.includes(4));
});

test('C3: a worker of another model is not sealed to, whatever model the gateway lists it under', async () => {
  const gateway = await memoryGateway();
  const [worker] = gateway.workers;
  const { fetch, policy, clock } = gateway;
  gateway.mischief.evidence = () => ({
    candidates: [{ workerId: worker?.workerId, evidence: worker?.evidence }],
    publication: null,
  });
  const client = new OpenAI({
    baseURL: 'https://gateway.test/v1',
    apiKey: 'k',
    maxRetries: 0,
    fetch: sealedFetch({ fetch, policy, clock }),
  });
  assertError(await askWith(client, 'unary', 'other/model'), ['attestation_failed']);
  assert.ok(!gateway.asked.includes('/sx/v1/exchange'));
});

for (const mode of MODES) {
  test(`C3: no recipient opens a request that was retagged for another model (${mode})`, async () => {
    const gateway = await memoryGateway([{}, {}]);
    gateway.mischief.request = (sealed) => {
      const out = sealed.slice();
      out.set(routeTag('other/model'), ROUTE_TAG_AT);
      return out;
    };
    assertError(await appOf(gateway)(mode), ['sealed_request_refused']);
    assert.ok(gateway.workers.every((worker) => worker.opened.length === 0));
  });

  test(`C3: an answer of a worker that was not chosen does not pass for one that was (${mode})`, async () => {
    const gateway = await memoryGateway([{}, {}]);
    const [, second] = gateway.workers;
    const ask = appOf(gateway, { recipients: 1 });
    let stolen: readonly Uint8Array[] = [];
    gateway.mischief.answer = (pieces) => (stolen = pieces);
    assert.deepEqual(await ask(mode), WHOLE);
    const [chosen] = gateway.workers.filter(({ opened }) => opened.length > 0);
    const other = chosen === second ? gateway.workers[0] : second;
    gateway.mischief.answer = (pieces) => {
      const opening = concat(...pieces).slice(0, 48);
      opening.set(fromHex(other?.kid ?? ''));
      return [opening, concat(...stolen).subarray(48)];
    };
    assertError(await ask(mode), ['answer_broken', 'sx.response']);
  });
}
