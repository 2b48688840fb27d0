/**
 * The round in which every worker is judged anew meets one that makes the judge itself fail. It may neither stay for that
 * reason nor keep those behind it from being judged.
 * @module
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { EvidenceBundle } from '../../attestation/evidence.ts';
import { pause } from '../../core/node/lifecycle.ts';
import { openLab, type Lab } from '../support/gateway-lab.ts';
import { startSxWorker } from '../support/sx-worker.ts';

const SIGNAL = new AbortController().signal;

let lab: Lab;
let revision = 0;
/** Evidence of the worker that cannot be judged, once it is in. */
let poisoned: Uint8Array | undefined;
let vouchedBehind = 0;

const vouching = {
  revision: () => revision,
  covers: () => true,
  vouch: (bundle: EvidenceBundle): Promise<EvidenceBundle> => {
    if (poisoned === undefined) return Promise.resolve(bundle);
    if (bundle.statement !== poisoned) {
      vouchedBehind++;
      return Promise.resolve(bundle);
    }
    const trap: ProxyHandler<EvidenceBundle> = {
      get: (_, name) => {
        if (name === 'then') return undefined;
        throw new TypeError('a fault of the judge');
      },
    };
    return Promise.resolve(new Proxy(bundle, trap));
  },
};

before(async () => {
  lab = await openLab({ deps: { vouching, sweepIntervalMs: 20 } });
});
after(() => lab.close());

async function admitted() {
  const worker = await startSxWorker({
    provider: lab.provider,
    aud: lab.gateway.aud,
    gatewayUrl: lab.url,
  });
  after(() => worker.close());
  const { status, json } = await worker.register();
  assert.equal(status, 200, JSON.stringify(json));
  return worker;
}

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 1000 && !holds(); tries++) await pause(10, SIGNAL);
  assert.ok(holds(), 'not within ten seconds');
}

test('a worker that nobody can judge goes, and whoever is behind it is judged', async () => {
  const first = await admitted();
  const second = await admitted();
  const [live] = lab.gateway.registry.byWorkerId(first.workerId);
  poisoned = live?.bundle.statement;
  revision++;
  await until(() => lab.gateway.registry.byWorkerId(first.workerId).length === 0);
  await until(() => vouchedBehind > 0);
  assert.equal(lab.gateway.registry.byWorkerId(second.workerId).length, 1);
});
