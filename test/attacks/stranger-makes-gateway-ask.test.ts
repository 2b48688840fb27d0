/**
 * A stranger sends evidence that the gateway's policy does not admit. It makes the gateway ask nobody: not the store of
 * collateral, which would ask vendors, and not the resolver of names.
 * @module
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fixed } from '../../core/bytes.ts';
import { DEMO_MEASUREMENTS } from '../../enclave-worker/evidence/simulator/demo-image.ts';
import { createSimulator } from '../../enclave-worker/evidence/simulator/simulator.ts';
import { openLab, type Lab } from '../support/gateway-lab.ts';
import { startSxWorker } from '../support/sx-worker.ts';

let lab: Lab;
const asked: string[] = [];

before(async () => {
  lab = await openLab({
    deps: {
      vouching: {
        revision: () => 0,
        covers: () => true,
        vouch: async (bundle) => {
          asked.push('store');
          return bundle;
        },
      },
      resolve: async () => {
        asked.push('resolver');
        return ['127.0.0.1'];
      },
    },
  });
});
after(() => lab.close());

test('evidence that is not admitted is not vouched for and asks nobody', async () => {
  const measurements = {
    ...DEMO_MEASUREMENTS,
    rtmr2: fixed(new Uint8Array(48).fill(1), 48),
  };
  const provider = await createSimulator({ pkiDir: `${lab.dataDir}/pki`, measurements });
  const options = { aud: lab.gateway.aud, gatewayUrl: lab.url };
  const worker = await startSxWorker({ ...options, provider });
  after(() => worker.close());
  assert.equal((await worker.register()).status, 403);
  assert.deepEqual(asked, []);
  // The same question from somebody who is admitted does reach the store.
  const honest = await startSxWorker({ ...options, provider: lab.provider });
  after(() => honest.close());
  assert.equal((await honest.register()).status, 200);
  assert.equal(asked[0], 'store');
});
