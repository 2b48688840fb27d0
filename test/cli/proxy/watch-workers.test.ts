/** Workers are looked at before anybody asks, and what cannot be verified is said with its reason, once. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Activity } from '../../../cli/proxy/activity.ts';
import type { ProxyEvent } from '../../../cli/proxy/events.ts';
import { lookOnce } from '../../../cli/proxy/watch-workers.ts';
import { sealedFetch } from '../../../client/sealed-fetch.ts';
import { memoryGateway, MODEL, type MemoryGateway } from '../../support/memory-gateway.ts';

async function watcher(gateway: MemoryGateway) {
  const { policy, clock } = gateway;
  const network = { isDown: false };
  const activity = new Activity(clock);
  const events: ProxyEvent[] = [];
  activity.onEvent((event) => void events.push(event));
  const sealed = sealedFetch({
    policy,
    clock,
    fetch: (url, init) =>
      network.isDown ? Promise.reject(new TypeError('fetch failed')) : gateway.fetch(url, init),
    onVerdict: (verdict) => activity.verdict(verdict),
  });
  const session = await sealed.session('https://gateway.test', '');
  const look = () => lookOnce(session, activity, new AbortController().signal);
  return { network, activity, events, look, said: () => events.splice(0).map(({ kind }) => kind) };
}

test('a gateway that goes away is said once, and once that it is back', async () => {
  const { network, activity, look, said, events } = await watcher(await memoryGateway());
  network.isDown = true;
  await look();
  await look();
  assert.deepEqual(
    events.splice(0).map((event) => (event.kind === 'gateway' ? event.state : event.kind)),
    ['away'],
  );
  assert.match(activity.away ?? '', /could not be reached/);
  network.isDown = false;
  await look();
  assert.deepEqual(said(), ['worker', 'model', 'gateway', 'ready']);
  assert.equal(activity.away, undefined);
  await look();
  assert.deepEqual(said(), []);
});

test('a model that nobody proves to serve is listed with its reason, the others are ready', async () => {
  const { activity, look, events } = await watcher(await memoryGateway());
  await look();
  assert.deepEqual(
    activity.models.map(({ model, outcome, code }) => [model, outcome, code]),
    [
      [MODEL, 'verified', undefined],
      ['other/model', 'refused', 'client.no_worker'],
    ],
  );
  const ready = events.find(({ kind }) => kind === 'ready');
  assert.deepEqual(ready, { kind: 'ready', models: [MODEL] });
});

test('a worker that no policy lists is denied with its first failing check', async () => {
  const gateway = await memoryGateway([{ unlisted: true }]);
  const { activity, look, said } = await watcher(gateway);
  await look();
  const [row] = activity.workers;
  assert.equal(row?.outcome, 'denied');
  assert.match(row?.why ?? '', /^[\w.]+: want .+, got /);
  assert.match(activity.models[0]?.why ?? '', /first failed check: /);
  assert.match(activity.models[0]?.advice ?? '', /\/v1\/verification/);
  assert.ok(!said().includes('ready'));
  await gateway.addWorker();
  gateway.advance(6000);
  await look();
  assert.ok(said().includes('ready'));
});

test('a gateway that lists nothing, or lies about it, is one that cannot be asked', async () => {
  const gateway = await memoryGateway();
  const { activity, look } = await watcher(gateway);
  gateway.mischief.gateway = () => ({ nonsense: true });
  await look();
  assert.equal(activity.workers.length, 0);
  assert.ok(activity.models.every(({ outcome }) => outcome === 'refused'));
});
