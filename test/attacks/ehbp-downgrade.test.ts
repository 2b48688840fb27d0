/**
 * Attack: a gateway steers a client that wants the hybrid key agreement to the classical one of EHBP, by what it offers or
 * by what it answers. Our client has no way to use that key. Spec: gateways-and-e2ee §8.2 C9.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixed, toHex, utf8 } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { ehbpKidOf } from '../../attestation/statement.ts';
import { openEhbp } from '../../client/index.ts';
import { KEY_CONFIG_PROBLEM, PROBLEM_TYPE } from '../../protocol/ehbp/names.ts';
import { openEhbpRequest } from '../../protocol/ehbp/open.ts';
import { EhbpRecipients } from '../../protocol/ehbp/recipients.ts';
import { generateHpkeKeyPair } from '../../protocol/hpke.ts';
import { parseEnvelope } from '../../protocol/sx/envelope.ts';
import { openRequest } from '../../protocol/sx/open.ts';
import { RecipientKeys } from '../../protocol/sx/recipient-keys.ts';
import { ReplaySet } from '../../protocol/sx/replay.ts';
import { sealRequest } from '../../protocol/sx/seal.ts';
import { testWorker } from '../support/attested-key.ts';
import { EHBP_CONFIG } from '../support/ehbp-lab.ts';
import { exchange, openLab } from '../support/gateway-lab.ts';
import { appOf, assertError, WHOLE } from '../support/hostile.ts';
import { memoryGateway } from '../support/memory-gateway.ts';

test('no address is given to an app that has not allowed X25519', async (context) => {
  const lab = await openLab({ config: EHBP_CONFIG });
  context.after(() => lab.close());
  await lab.worker(undefined, { onEhbp: () => assert.fail('asked') });
  const options = { baseUrl: lab.url, apiKey: lab.apiKey, policy: `${lab.dataDir}/policy.yaml` };
  await assert.rejects(openEhbp(options), { code: 'sx.kem' });
  await assert.rejects(openEhbp({ ...options, allowedKems: ['X-Wing'] }), { code: 'sx.kem' });
  const willing = await openEhbp({ ...options, allowedKems: ['X25519'] });
  assert.equal((await willing.addresses('veilgate-demo')).length, 1);
  await willing.close();
});

test('a worker without such a key has no address, whatever else it has', async (context) => {
  const lab = await openLab({ config: EHBP_CONFIG });
  context.after(() => lab.close());
  await lab.worker();
  const options = { baseUrl: lab.url, apiKey: lab.apiKey, policy: `${lab.dataDir}/policy.yaml` };
  const directory = await openEhbp({ ...options, allowedKems: ['X25519', 'X-Wing'] });
  await assert.rejects(directory.addresses('veilgate-demo'), { code: 'client.no_worker' });
  await directory.close();
});

test('the sealed client seals to the hybrid key of a statement that has both', async (context) => {
  const lab = await openLab({ config: EHBP_CONFIG });
  context.after(() => lab.close());
  const worker = await lab.worker(undefined, { onEhbp: () => assert.fail('asked') });
  const keys = lab.keysOf(worker);
  const sealed = lab.seal(keys);
  const { prelude, kids } = parseEnvelope(sealed.bytes);
  assert.equal(prelude.kem, 'X-Wing');
  assert.deepEqual(
    kids.map(toHex),
    keys.map(({ kid }) => toHex(kid)),
  );
  assert.equal((await exchange(lab, sealed.bytes)).status, 200);
});

test('the problem of EHBP is no answer to a sealed request, and nothing else is tried', async () => {
  const gateway = await memoryGateway();
  gateway.mischief.respond = () =>
    new Response(JSON.stringify(KEY_CONFIG_PROBLEM), {
      status: 422,
      headers: { 'content-type': PROBLEM_TYPE },
    });
  // By its status, which the body of a stranger's document does not change.
  assertError(await appOf(gateway)('unary'), ['request_replayed']);
  assert.ok(gateway.asked.every((path) => !path.startsWith('/e/')));
  delete gateway.mischief.respond;
  assert.deepEqual(await appOf(gateway)('unary'), WHOLE);
});

test('sealed to the EHBP key as if it were one of the exchange, a request opens nowhere', () => {
  const pair = generateHpkeKeyPair('X25519');
  const publicKey = fixed(pair.publicKey, 32);
  const hybrid = testWorker('X-Wing');
  const { statementHash } = hybrid.key;
  const expiresAtMs = Number.MAX_SAFE_INTEGER;
  const recipients = new EhbpRecipients();
  const kid = ehbpKidOf(statementHash, publicKey);
  recipients.add({ kid, statementHash, pair, expiresAtMs });
  const keys = new RecipientKeys();
  keys.add({ statementHash, pair: hybrid.pair, expiresAtMs });
  // What no appraisal would mint: the key of one profile under the name of the other.
  const { key } = testWorker('X25519', { statementHash, pair });
  assert.notDeepEqual(key.kid, kid);
  const nowMs = systemClock();
  const sealed = sealRequest({
    keys: [key],
    request: { path: '/v1/chat/completions', headers: [], body: utf8('{}') },
    bounds: { maxAmount: 1n, maxPrompt: 1, maxOutput: 1, asset: 0 },
    payer: statementHash,
    stream: false,
    ttlS: 60,
    deadlineMs: 60_000,
    nowMs,
    allowedKems: ['X25519'],
  });
  const admit = (): void => undefined;
  const open = (): unknown =>
    openRequest(sealed.bytes, { keys, replay: new ReplaySet(), nowMs, admit });
  assert.throws(open, { code: 'sx.key_unknown' });
  const ehbp = (): unknown => openEhbpRequest(sealed.bytes, { recipients, nowMs, admit });
  assert.throws(ehbp, { code: 'sx.refused' });
});
