/** Memory: bounded, and each item knows when it is due. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeldItems, refreshAtMs } from '../../../attestation/collateral/held-items.ts';
import { NO_RANK, type Verified } from '../../../attestation/collateral/judge.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

function item(key: string, size = 10, expiresAtMs = 30 * DAY_MS): Verified {
  return {
    item: { kind: 'sgx-root-crl' },
    key,
    raw: { body: new Uint8Array(size), chain: '' },
    rank: NO_RANK,
    expiresAtMs,
    serials: [],
  };
}

test('a document is due after a quarter of its life, within twelve hours and a day, and in time', () => {
  const due = (lifeMs: number): number => refreshAtMs(item('a', 1, 1000 + lifeMs), 1000) - 1000;
  assert.equal(due(30 * DAY_MS), DAY_MS);
  assert.equal(due(3 * DAY_MS), 18 * HOUR_MS);
  assert.equal(due(2 * DAY_MS), 12 * HOUR_MS);
  assert.equal(due(20 * HOUR_MS), 10 * HOUR_MS);
  assert.equal(due(HOUR_MS), HOUR_MS / 2);
  assert.equal(due(1000), 60_000);
  assert.equal(due(-1000), 60_000);
});

test('a certificate is due in its last month', () => {
  const leaf: Verified = {
    ...item('a', 1, 7 * 365 * DAY_MS),
    item: { kind: 'amd-chain', product: 'milan', signer: 'vcek' },
  };
  assert.equal(refreshAtMs(leaf, 0), (7 * 365 - 30) * DAY_MS);
  assert.equal(refreshAtMs({ ...leaf, expiresAtMs: 10 * DAY_MS }, 0), DAY_MS);
});

test('what was not asked for longest makes room, by number and by bytes', () => {
  const held = new HeldItems({ itemsMax: 3, bytesMax: 100 });
  for (const key of ['a', 'b', 'c']) held.set(item(key), 0);
  held.used('a', 1);
  held.set(item('d'), 2);
  assert.deepEqual(
    held.values().map(({ key }) => key),
    ['c', 'a', 'd'],
  );
  held.set(item('e', 85), 3);
  assert.deepEqual(
    held.values().map(({ key }) => key),
    ['d', 'e'],
  );
  assert.equal(held.bytes, 95);
  held.set(item('e', 5), 4);
  held.delete('d');
  assert.equal(held.bytes, 5);
  held.set(item('giant', 101), 5);
  assert.equal(held.size, 0);
  assert.equal(held.bytes, 0);
});

test('what is past its end or was not asked for in a week is dropped and not refreshed', () => {
  const held = new HeldItems({ itemsMax: 10, bytesMax: 1000 });
  held.set(item('short', 10, DAY_MS), 0);
  held.set(item('unused'), 0);
  held.set(item('used'), 0);
  held.used('used', 2 * DAY_MS);
  assert.deepEqual(
    held.due(7 * DAY_MS).map(({ key }) => key),
    ['unused', 'used'],
  );
  assert.deepEqual(
    held.due(7 * DAY_MS + 1).map(({ key }) => key),
    ['used'],
  );
  assert.equal(held.size, 1);
});

test('a refresh that failed is put off, longer each time', () => {
  const held = new HeldItems({ itemsMax: 10, bytesMax: 1000 });
  held.set(item('a'), 0);
  assert.equal(held.nextDueMs(), DAY_MS);
  const pauseMs = (failures: number): number => failures * HOUR_MS;
  held.postpone('a', DAY_MS, pauseMs);
  assert.equal(held.nextDueMs(), DAY_MS + HOUR_MS);
  held.postpone('a', DAY_MS, pauseMs);
  assert.equal(held.nextDueMs(), DAY_MS + 2 * HOUR_MS);
  held.postpone('a', DAY_MS, () => 0);
  assert.equal(held.nextDueMs(), DAY_MS + 60_000);
  held.set(item('a'), 2 * DAY_MS);
  held.postpone('a', 2 * DAY_MS, pauseMs);
  assert.equal(held.nextDueMs(), 2 * DAY_MS + HOUR_MS);
  held.postpone('nobody', 0, pauseMs);
  assert.equal(new HeldItems({ itemsMax: 1, bytesMax: 1 }).nextDueMs(), Infinity);
});
