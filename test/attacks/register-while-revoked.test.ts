/**
 * Attack: an owner times a registration so that a revocation, or a policy that does not admit it, comes in while the gateway
 * looks up the name of its endpoint. Spec: gateways-and-e2ee §8.2 E8; gpu-and-policy §5.4.
 * @module
 */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { fromUtf8, utf8 } from '../../core/bytes.ts';
import { NO_REVOCATIONS } from '../../attestation/policy/revocations.ts';
import { exchange, openSignedLab, post } from '../support/gateway-lab.ts';
import { answering, startSxWorker } from '../support/sx-worker.ts';
import { until } from '../support/until.ts';

/** A worker whose name the gateway looks up until `answer` is called. */
async function lookedUp(context: TestContext) {
  const { promise, resolve: answer } = Promise.withResolvers<void>();
  let asked = 0;
  const lab = await openSignedLab({
    deps: {
      resolve: async () => {
        asked++;
        await promise;
        return ['127.0.0.1'];
      },
    },
  });
  context.after(() => lab.close());
  const { provider, gateway, url: gatewayUrl } = lab;
  const worker = await startSxWorker({ provider, aud: gateway.aud, gatewayUrl });
  context.after(() => worker.close());
  const registration = {
    ...worker.registration(),
    endpoint: `https://worker.example:${worker.port}`,
  };
  const registering = post(lab, '/v1/workers', utf8(JSON.stringify(registration)), {
    'content-type': 'application/json',
  });
  await until(() => asked === 1);
  return { lab, worker, registering, answer };
}

test('E8: whose endpoint is looked up is admitted when nothing comes in between', async (context) => {
  const { lab, registering, answer } = await lookedUp(context);
  answer();
  assert.equal((await registering).status, 200);
  assert.equal(lab.gateway.registry.all().length, 1);
});

test('E8: who is revoked while its endpoint is looked up does not come in', async (context) => {
  const { lab, worker, registering, answer } = await lookedUp(context);
  lab.publisher.revoke({ kind: 'key', value: worker.workerId });
  await until(() => lab.logLines.some((line) => line.includes('"policy.revoked"')));
  answer();
  const { status, body } = await registering;
  assert.notEqual(status, 200);
  assert.match(fromUtf8(body), /registration\.policy_changed/);
  assert.equal(lab.gateway.registry.all().length + lab.gateway.registry.benched().length, 0);
});

test('E8: whom a new policy does not admit does not come in under the one before', async (context) => {
  const { lab, registering, answer } = await lookedUp(context);
  lab.publisher.publish(
    lab.publisher.policy((policy) => {
      policy['rules'] = [];
      policy['advisories'] = [];
    }),
  );
  await until(() => lab.gateway.desk.current().document.serial === 2);
  answer();
  const { status, body } = await registering;
  assert.notEqual(status, 200);
  assert.match(fromUtf8(body), /registration\.policy_changed/);
  assert.equal(lab.gateway.registry.all().length + lab.gateway.registry.benched().length, 0);
});

test('E8: without fresh word on revocations nobody comes in, and nobody is asked', async (context) => {
  const lab = await openSignedLab();
  context.after(() => lab.close());
  const worker = await lab.worker(answering('{}'));
  const sealed = lab.seal(lab.keysOf(worker));
  lab.gateway.desk.know({
    list: NO_REVOCATIONS,
    isRetired: () => false,
    staleBecause: () => 'stale',
  });
  const answer = await exchange(lab, sealed.bytes);
  assert.equal(answer.status, 503);
  assert.match(fromUtf8(answer.body), /gateway\.policy_stale/);
  assert.equal(worker.seen.count, 0);
  await assert.rejects(lab.worker(answering('{}')), /gateway\.policy_stale/);
});
