/**
 * Attack: a man in the middle has a certificate for the gateway's name that everybody's trust store accepts: mis-issued,
 * bought with a stolen domain, or of an authority that an employer installed. @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPinnedPool, fetchBytes } from '../../core/node/http-client.ts';
import { ask, openAttestedLab, refusalOf, startImpostor } from '../support/attested-lab.ts';

test('what ordinary TLS believes gets neither the prompt nor the key of the account', async () => {
  const lab = await openAttestedLab();
  const impostor = await startImpostor({ evidenceOf: lab.origin });
  const origin = `https://localhost:${impostor.port}`;
  const trust = { kind: 'ca', certificatesPem: impostor.certificatePem } as const;
  const believing = createPinnedPool({ origin, trust });
  try {
    const ordinary = await fetchBytes(believing, {
      method: 'GET',
      path: '/ordinary',
      headers: {},
      maxBytes: 1024,
      timeoutMs: 60_000,
    });
    assert.equal(ordinary.status, 200);
    assert.equal(impostor.caught.length, 1);
    assert.equal(await refusalOf(await lab.app()(...ask(origin))), 'client.gateway_key');
    assert.equal(impostor.caught.length, 1);
    // Whoever answers the question for evidence learns no more than that it was asked.
    assert.ok(impostor.asked.length > 0);
    assert.ok(!/secret|authorization|cookie/i.test(impostor.asked.join('\n')));
  } finally {
    await believing.destroy();
    await impostor.close();
    await lab.close();
  }
});
