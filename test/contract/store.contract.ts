/** What every store of the gateway must do; being registered is being tested. @module */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { randomBytes } from '#primitives';
import { STORES } from '../../gateway/store/stores.ts';

for (const { name, open } of STORES) {
  const fresh = (context: TestContext) => {
    const dir = mkdtempSync(join(tmpdir(), 'veilgate-store-'));
    const store = open(dir, 'full');
    context.after(() => {
      store.close();
      rmSync(dir, { recursive: true });
    });
    return { dir, store };
  };

  test(`${name}: keys are found by hash, listed, and revoked once`, (context) => {
    const { store } = fresh(context);
    const keyHash = randomBytes(32);
    const record = { keyId: 'key_a', keyHash, label: 'a', createdMs: 5, revokedMs: undefined };
    store.insertApiKey(record);
    assert.deepEqual(store.findApiKey(keyHash), record);
    assert.equal(store.findApiKey(randomBytes(32)), undefined);
    assert.equal(store.revokeApiKey('key_a', 9), true);
    assert.equal(store.revokeApiKey('key_a', 10), false);
    assert.equal(store.listApiKeys()[0]?.revokedMs, 9);
  });

  test(`${name}: keys are there when it is opened again, and closing twice is closing once`, (context) => {
    const { dir, store } = fresh(context);
    const keyHash = randomBytes(32);
    store.insertApiKey({ keyId: 'key_b', keyHash, label: '', createdMs: 1, revokedMs: undefined });
    store.close();
    store.close();
    const again = open(dir, 'full');
    context.after(() => again.close());
    assert.equal(again.findApiKey(keyHash)?.keyId, 'key_b');
  });
}
