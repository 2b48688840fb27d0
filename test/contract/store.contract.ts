/** What every store of the gateway must do; being registered is being tested. @module */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { randomBytes } from '#primitives';
import { fixed, fromHex, type Bytes } from '../../core/bytes.ts';
import { hasCode } from '../../core/errors.ts';
import { STORES } from '../../gateway/store/stores.ts';
import type { Reservation } from '../../gateway/store/store.ts';

function reservation(msgId: Bytes<16> = randomBytes(16)): Reservation {
  return { msgId, keyId: 'key_1', maxAmount: 2n ** 63n, reservedMs: 1000, expiresMs: 2000 };
}

const RECEIPT = new Uint8Array(445).fill(7);
const WORKER = randomBytes(32);

for (const { name, open } of STORES) {
  const fresh = (context: TestContext) => {
    const dir = mkdtempSync(join(tmpdir(), 'veilgate-store-'));
    const store = open(dir, 'full');
    context.after(async () => {
      await store.close();
      rmSync(dir, { recursive: true });
    });
    return { dir, store };
  };

  test(`${name}: a msg_id is reserved once`, async (context) => {
    const { store } = fresh(context);
    const first = reservation();
    assert.equal(await store.reserve(first), true);
    assert.equal(await store.reserve(first), false);
  });

  test(`${name}: of many at once with one msg_id exactly one wins`, async (context) => {
    const { store } = fresh(context);
    const same = reservation();
    const won = await Promise.all(Array.from({ length: 50 }, () => store.reserve(same)));
    assert.equal(won.filter(Boolean).length, 1);
  });

  test(`${name}: money beyond 2^53 comes back exactly`, async (context) => {
    const { store } = fresh(context);
    const first = reservation();
    await store.reserve(first);
    assert.equal(store.findExchange(first.msgId)?.maxAmount, 2n ** 63n);
  });

  test(`${name}: reserved, relayed, settled, and then nothing more`, async (context) => {
    const { store } = fresh(context);
    const { msgId, ...rest } = reservation();
    await store.reserve({ msgId, ...rest });
    assert.equal(store.findExchange(msgId)?.state, 'reserved');
    store.markRelayed(msgId, WORKER);
    assert.equal(store.findExchange(msgId)?.state, 'relayed');
    await store.settle(msgId, WORKER, RECEIPT);
    store.release(msgId);
    const record = store.findExchange(msgId);
    assert.equal(record?.state, 'settled');
    assert.deepEqual(record?.receipt, RECEIPT);
    await assert.rejects(store.settle(msgId, WORKER, RECEIPT), (error) =>
      hasCode(error, 'gateway.store'),
    );
  });

  test(`${name}: a released exchange stays taken and cannot be settled`, async (context) => {
    const { store } = fresh(context);
    const first = reservation();
    await store.reserve(first);
    store.release(first.msgId);
    assert.equal(store.findExchange(first.msgId)?.state, 'released');
    assert.equal(await store.reserve(first), false);
    await assert.rejects(store.settle(first.msgId, WORKER, RECEIPT));
  });

  test(`${name}: what nobody reserved cannot be settled`, async (context) => {
    const { store } = fresh(context);
    await assert.rejects(store.settle(randomBytes(16), WORKER, RECEIPT));
  });

  test(`${name}: purge forgets what is past and keeps young receipts`, async (context) => {
    const { store } = fresh(context);
    const loose = reservation();
    const paid = reservation();
    await Promise.all([store.reserve(loose), store.reserve(paid)]);
    await store.settle(paid.msgId, WORKER, RECEIPT);
    assert.equal(store.purge(1999, 0), 0);
    assert.equal(store.purge(2000, 0), 1);
    assert.equal(store.findExchange(loose.msgId), undefined);
    assert.equal(store.purge(2000, 1001), 1);
  });

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

  test(`${name}: what reserve() promised survives kill -9`, async (context) => {
    const dir = mkdtempSync(join(tmpdir(), 'veilgate-store-'));
    context.after(() => rmSync(dir, { recursive: true }));
    const child = spawn(process.execPath, ['test/support/store-child.ts', name, dir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const promised: Bytes<16>[] = [];
    let rest = '';
    await new Promise<void>((resolve) => {
      child.stdout.on('data', (chunk: Buffer) => {
        const lines = (rest + chunk.toString('latin1')).split('\n');
        rest = lines.pop() ?? '';
        promised.push(...lines.map((line) => fixed(fromHex(line), 16)));
        if (promised.length >= 200) child.kill('SIGKILL');
      });
      child.once('exit', () => resolve());
    });
    assert.ok(promised.length >= 200);
    const store = open(dir, 'full');
    context.after(() => store.close());
    for (const msgId of promised) {
      assert.equal(
        await store.reserve(reservation(msgId)),
        false,
        'a promised msg_id was forgotten',
      );
    }
  });

  test(`${name}: a closed store refuses instead of forgetting`, async (context) => {
    const { store } = fresh(context);
    await store.close();
    await assert.rejects(store.reserve(reservation()), (error) => hasCode(error, 'gateway.store'));
  });
}
