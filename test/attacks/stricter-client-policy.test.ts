/** Attack: a gateway whose own policy is content with less than the client's tries to serve it all the same. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TEST_CPU, TEST_RULE } from '../support/worker-evidence.ts';
import { appOf, assertError, MODES, WHOLE } from '../support/hostile.ts';
import { memoryGateway, type MemoryGateway } from '../support/memory-gateway.ts';
import { assertNothingSent, sealedTo, signedApp } from '../support/signed-app.ts';

const GATEWAYS_FLOOR = 19;
const CLIENTS_FLOOR = 20;

/** One worker that both floors admit behind two that only the gateway's does. */
async function laxGateway(): Promise<MemoryGateway> {
  return memoryGateway([
    { evaluationNumber: GATEWAYS_FLOOR },
    { evaluationNumber: GATEWAYS_FLOOR },
    { evaluationNumber: CLIENTS_FLOOR },
  ]);
}

function strict(gateway: MemoryGateway, serial = 1) {
  const cpu = { ...TEST_CPU, tcb_eval_number: { min: CLIENTS_FLOOR } };
  return gateway.variant({ serial, rules: [{ ...TEST_RULE, cpu }] });
}

for (const mode of MODES) {
  test(`B4: only what the client's own policy admits is sealed to (${mode})`, async () => {
    const gateway = await laxGateway();
    assert.deepEqual(await appOf(gateway)(mode), WHOLE); // the gateway's own policy admits all three
    const before = gateway.workers.map(({ opened }) => opened.length);
    const kids = sealedTo(gateway);
    const ask = appOf(gateway, { policy: strict(gateway), recipients: 8 });
    for (let turn = 0; turn < 4; turn++) assert.deepEqual(await ask(mode), WHOLE);
    assert.deepEqual([...new Set(kids)], [gateway.workers[2]?.kid]);
    const [first, second] = gateway.workers.map(
      ({ opened }, at) => opened.length - (before[at] ?? 0),
    );
    assert.deepEqual([first, second], [0, 0]);
  });

  test(`B4: the gateway cannot re-route to what it admits itself (${mode})`, async () => {
    const gateway = await laxGateway();
    gateway.mischief.route = (workers) => workers.slice(0, 2);
    assertError(await appOf(gateway, { policy: strict(gateway) })(mode), ['no_attested_worker']);
    assert.ok(gateway.workers.every(({ opened }) => opened.length === 0));
  });

  test(`B4: nothing is sent when nobody is left (${mode})`, async () => {
    const gateway = await laxGateway();
    gateway.mischief.evidence = ({ candidates, ...rest }) => ({
      ...rest,
      candidates: candidates.slice(0, 2),
    });
    assertError(await appOf(gateway, { policy: strict(gateway) })(mode), ['attestation_failed']);
    assertNothingSent(gateway);
  });
}

test('B4: a stricter bundle that the app brings holds against the laxer one that the gateway shows', async () => {
  const gateway = await laxGateway();
  const kids = sealedTo(gateway);
  const publication = gateway.publish();
  publication.publish(strict(gateway, 2));
  const own = publication.packed();
  publication.publish(gateway.variant({ serial: 3 }));
  const app = signedApp(gateway, { bundle: own, offline: true }, { recipients: 8 });
  assert.equal(await app.ask(), 'whole', app.said());
  assert.deepEqual(kids, [gateway.workers[2]?.kid]);
});

test('B4: a stricter release of the same root ends what the gateway goes on admitting', async () => {
  const gateway = await laxGateway();
  const publication = gateway.publish();
  const app = signedApp(gateway, {}, { recipients: 8 });
  assert.equal(await app.ask(), 'whole', app.said());
  publication.publish(strict(gateway, 2));
  gateway.advance(200_000);
  await app.ask();
  const kids = sealedTo(gateway);
  assert.equal(await app.ask(), 'whole', app.said());
  assert.deepEqual(kids, [gateway.workers[2]?.kid]);
});
