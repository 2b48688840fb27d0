/**
 * Guesses another account's Idempotency-Key, "order-1", and uses it up first, so that the other's request is refused as
 * served. Ids of requests are one set for all accounts of a gateway. Spec: docs/openai-api.md "Once only".
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixed, toHex, utf8 } from '../../core/bytes.ts';
import { plainModeSealer } from '../../cli/plain-mode.ts';
import { createApiKey } from '../../gateway/accounts.ts';
import { Idempotency } from '../../gateway/idempotency.ts';
import { openLab, post } from '../support/gateway-lab.ts';
import { answering } from '../support/sx-worker.ts';

test('the same key of another account is another key', async (t) => {
  const lab = await openLab({
    config: { plaintext: 'operator-can-read' },
    deps: { sealer: plainModeSealer },
  });
  t.after(() => lab.close());
  await lab.worker(answering('{"object":"chat.completion","choices":[]}'));
  const other = createApiKey(lab.gateway.store, 'other', lab.gateway.clock());
  const body = utf8(
    JSON.stringify({ model: 'veilgate-demo', messages: [{ role: 'user', content: 'hello' }] }),
  );
  const ask = async (apiKey: string): Promise<number> => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${apiKey}` };
    const answer = await post(lab, '/v1/chat/completions', body, {
      ...headers,
      'idempotency-key': 'order-1',
    });
    return answer.status;
  };
  assert.equal(await ask(other.apiKey), 200);
  assert.equal(await ask(lab.apiKey), 200);
  assert.equal(await ask(lab.apiKey), 422);
});

test('who knows account and key still does not know the id: it takes the secret of the gateway', async () => {
  // The id of a channel stands on the chain.
  const payer = new Uint8Array(32).fill(7);
  const idBy = async (secret: number): Promise<string> => {
    const ids = new Idempotency({
      sign: () => fixed(new Uint8Array(64).fill(secret), 64),
      find: () => Promise.resolve(undefined),
    }).idsFor({ 'idempotency-key': 'order-1' }, payer);
    assert.ok(ids !== undefined);
    return toHex(await ids());
  };
  assert.equal(await idBy(1), await idBy(1));
  assert.notEqual(await idBy(1), await idBy(2));
});
