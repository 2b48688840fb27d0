/**
 * A memory that turned bad under a running client: refused once and then written over, it would forget without a word what
 * another process had been told. Spec: docs/publication.md §4.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromUtf8, utf8 } from '../../core/bytes.ts';
import type { PolicyStore, StoredPolicy } from '../../client/policy-memory.ts';
import { memoryGateway } from '../support/memory-gateway.ts';
import { signedApp } from '../support/signed-app.ts';

test('a memory that cannot be opened stays as it is, however often the client asks', async () => {
  const gateway = await memoryGateway();
  const publication = gateway.publish();
  let kept: StoredPolicy | undefined;
  const memory: PolicyStore = {
    load: () => Promise.resolve(kept),
    save: (stored) => {
      kept = stored;
      return Promise.resolve();
    },
  };
  const app = signedApp(gateway, { memory });
  assert.equal(await app.ask(), 'whole', app.said());
  assert.ok(kept !== undefined);
  kept = { ...kept, state: utf8('{"format":') };
  publication.revoke();
  gateway.advance(400_000);
  for (let attempt = 0; attempt < 3; attempt++) {
    assert.equal(await app.ask(), 'client.policy_memory', app.said());
    gateway.advance(10_000);
  }
  assert.equal(fromUtf8(kept.state), '{"format":');
});
