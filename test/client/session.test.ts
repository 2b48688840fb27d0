/** What a session does with callers that have left. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fetchDirectory } from '../../client/directory.ts';
import { Session } from '../../client/session.ts';
import { unsignedTrust } from '../../client/trust.ts';
import { memoryGateway, MODEL } from '../support/memory-gateway.ts';

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
