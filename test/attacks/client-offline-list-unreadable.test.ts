/**
 * A directory for offline use of which one file cannot be read. Passed over in silence, a list of revocations takes nothing
 * away. Spec: docs/publication.md §4.
 * @module
 */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { memoryGateway } from '../support/memory-gateway.ts';
import { entry } from '../support/publication.ts';
import { assertNothingSent, signedApp } from '../support/signed-app.ts';

test('offline, a list that is there and cannot be read stops the client', async () => {
  const gateway = await memoryGateway();
  const publication = gateway.publish();
  publication.revoke(entry('rule', 'tdx-cpu'));
  publication.document('timestamp.json');
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-offline-'));
  try {
    for (const [name, bytes] of publication.documents) {
      const path = join(folder, name);
      mkdirSync(dirname(path), { recursive: true });
      if (name === 'revocations.json') symlinkSync(path, path);
      else writeFileSync(path, bytes);
    }
    gateway.mischief.evidence = ({ candidates }) => ({ candidates, publication: null });
    const app = signedApp(gateway, { bundle: folder, offline: true });
    assert.equal(await app.ask(), 'client.policy_bundle', app.said());
    assert.match(app.said(), /revocations.*ELOOP/);
    assertNothingSent(gateway);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
