/**
 * Attack: the first connection ends in the gateway that was verified; the next one, opened later by the same app, ends in
 * somebody with another key. @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ask,
  openAttestedLab,
  refusalOf,
  startImpostor,
  startSwitchboard,
} from '../support/attested-lab.ts';

test('a second connection under another key carries nothing', async () => {
  const lab = await openAttestedLab();
  const impostor = await startImpostor({ evidenceOf: lab.origin });
  const road = await startSwitchboard(lab.httpsPort);
  try {
    const app = lab.app();
    const first = await app(`${road.origin}/v1/models`);
    assert.equal(first.status, 200);
    assert.equal(first.headers.get('sx-privacy'), 'gateway-tee');
    await first.body?.cancel();
    road.turnTo(impostor.port);
    assert.equal(await refusalOf(await app(...ask(road.origin))), 'client.gateway_key');
    assert.deepEqual(impostor.caught, []);
    road.turnTo(lab.httpsPort);
    assert.equal((await app(`${road.origin}/v1/models`)).status, 200);
  } finally {
    await road.close();
    await impostor.close();
    await lab.close();
  }
});
