/** Keeping fresh: when, how often, what happens when nothing newer comes. All on a clock that the test moves. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Item } from '../../../attestation/collateral/items.ts';
import { fromHex } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import { DAY_MS, NOW_MS } from '../../support/tdx/pki.ts';
import { createLab, type Lab } from '../../support/vendors/lab.ts';

const QUERY = { fmspc: 'c0ffee000000', ca: 'platform' } as const;
const HOUR_MS = 3_600_000;
const ROOT_LIST = /RootCA/;

/** The vendor's next issue: everything dated `atMs`, a month of life. */
async function issue(lab: Lab, atMs: number, revoked: readonly string[] = []): Promise<void> {
  const dated = { issueMs: atMs, nextUpdateMs: atMs + 30 * DAY_MS };
  const times = { thisUpdateMs: atMs, nextUpdateMs: dated.nextUpdateMs };
  const fresh = await lab.make({
    collateral: {
      tcbInfoInput: dated,
      qeIdentityInput: dated,
      pckCrl: (profile) => ({
        ...profile,
        ...times,
        revoked: [
          ...profile.revoked,
          ...revoked.map((serial) => ({ serial: fromHex(serial), revokedMs: atMs })),
        ],
      }),
      rootCrl: (profile) => ({ ...profile, ...times }),
    },
  });
  lab.intel.shown = fresh.collateral;
}

test('nothing is asked for before it is due, and everything once when it is', async () => {
  const lab = await createLab();
  const store = await lab.open();
  await store.tdx(QUERY, lab.signal);
  const early = await store.refreshDue(NOW_MS + 12 * HOUR_MS - 1, lab.signal);
  assert.deepEqual(early, { refreshed: 0, failed: 0, nextDueMs: early.nextDueMs });
  assert.equal(lab.desk.asked.length, 4);
  // Fifteen and a half days are left: a day is less than a quarter of that.
  assert.equal(early.nextDueMs, NOW_MS + DAY_MS);
  await lab.time.advance(DAY_MS);
  await issue(lab, lab.time.now() - HOUR_MS);
  const due = await store.refreshDue(lab.time.now(), lab.signal);
  assert.equal(due.refreshed, 4);
  assert.equal(lab.desk.asked.length, 8);
  const { tcbInfo } = await store.tdx(QUERY, lab.signal);
  assert.deepEqual(tcbInfo, lab.intel.shown.tcbInfo);
  assert.equal(lab.desk.asked.length, 8);
});

test('a newer document is announced with what it changes', async () => {
  const lab = await createLab();
  const store = await lab.open();
  await store.tdx(QUERY, lab.signal);
  lab.events.length = 0;
  await lab.time.advance(DAY_MS);
  await issue(lab, lab.time.now() - HOUR_MS, ['abcd', 'abce']);
  await store.refreshDue(lab.time.now(), lab.signal);
  const replaced = lab.events.filter(({ kind }) => kind === 'replaced');
  assert.deepEqual(
    replaced.toSorted((a, b) => ('key' in a && 'key' in b && a.key < b.key ? -1 : 1)),
    [
      ['sgx.pck-crl.platform', 2],
      ['sgx.root-crl', 0],
      ['tdx.qe-identity.standard', 0],
      ['tdx.tcb-info.standard.c0ffee000000', 0],
    ].map(([key, newlyRevoked]) => ({
      kind: 'replaced',
      key,
      newlyRevoked,
      isNewEvaluation: false,
    })),
  );
});

test('the same document again is nothing new', async () => {
  const lab = await createLab();
  const store = await lab.open();
  await store.tdx(QUERY, lab.signal);
  lab.events.length = 0;
  await lab.time.advance(DAY_MS);
  const report = await store.refreshDue(lab.time.now(), lab.signal);
  assert.equal(report.refreshed, 4);
  assert.deepEqual(lab.events, []);
});

test('when nothing newer can be had the old one serves until its end, and the vendor is asked ever less often', async () => {
  const lab = await createLab();
  const store = await lab.open();
  await store.tdx(QUERY, lab.signal);
  lab.desk.misbehave(/./, { kind: 'unreachable' });
  await lab.time.advance(DAY_MS);
  const before = lab.desk.asked.length;
  const ending = new AbortController();
  const running = store.run(ending.signal);
  await lab.time.advance(HOUR_MS);
  const perHour = lab.desk.asked.length - before;
  // Without back-off there would be a request for each of four items every minute.
  assert.ok(perHour > 0 && perHour <= 30, String(perHour));
  ending.abort();
  await running;
  await store.tdx(QUERY, lab.signal);
  await lab.time.advance(Date.UTC(2026, 6, 1) - lab.time.now());
  await store.tdx(QUERY, lab.signal);
  await lab.time.advance(1);
  await assert.rejects(store.tdx(QUERY, lab.signal), (error) =>
    hasCode(error, 'collateral.unavailable'),
  );
});

test('the loop keeps everything fresh for days on end, at one request a day and item', async () => {
  const lab = await createLab();
  const store = await lab.open();
  await store.prefetch(
    [
      { kind: 'tdx-tcb-info', fmspc: 'c0ffee000000', edition: 'standard' },
      { kind: 'tdx-qe-identity', edition: 'standard' },
      { kind: 'sgx-pck-crl', ca: 'platform' },
    ],
    lab.signal,
  );
  const ending = new AbortController();
  const running = store.run(ending.signal);
  const days = 3;
  for (let day = 0; day < days; day++) {
    await issue(lab, lab.time.now());
    await lab.time.advance(DAY_MS);
  }
  const asked = lab.desk.count(ROOT_LIST);
  assert.ok(asked >= days && asked <= days + 2, String(asked));
  const before = lab.desk.asked.length;
  const { rootCaCrl } = await store.tdx(QUERY, lab.signal);
  assert.equal(lab.desk.asked.length, before);
  assert.deepEqual(rootCaCrl, lab.intel.shown.rootCaCrl);
  ending.abort();
  await running;
  assert.equal(lab.time.sleeping, 0);
});

test('what nobody asks for any more is left alone after a week', async () => {
  const lab = await createLab();
  const store = await lab.open();
  await store.tdx(QUERY, lab.signal);
  const ending = new AbortController();
  const running = store.run(ending.signal);
  for (let day = 0; day < 9; day++) {
    await issue(lab, lab.time.now());
    await lab.time.advance(DAY_MS);
  }
  const asked = lab.desk.count(/\/tcb\?/);
  assert.ok(asked <= 9, String(asked));
  await lab.time.advance(2 * DAY_MS);
  assert.equal(lab.desk.count(/\/tcb\?/), asked);
  ending.abort();
  await running;
});

test('what is wanted and missing is tried again until it is there', async () => {
  const lab = await createLab();
  const store = await lab.open();
  const back = lab.desk.misbehave(/./, { kind: 'status', status: 503 });
  const wanted: Item = { kind: 'sgx-pck-crl', ca: 'platform' };
  assert.deepEqual(await store.prefetch([wanted], lab.signal), ['sgx.pck-crl.platform']);
  const ending = new AbortController();
  const running = store.run(ending.signal);
  await lab.time.advance(HOUR_MS);
  back();
  await lab.time.advance(HOUR_MS);
  ending.abort();
  await running;
  const offline = await lab.open({ offline: true });
  assert.deepEqual(await offline.prefetch([wanted], lab.signal), []);
});

test('an offline store has nothing to refresh and says nothing failed but what is due', async () => {
  const lab = await createLab();
  await (await lab.open()).tdx(QUERY, lab.signal);
  const store = await lab.open({ offline: true });
  await store.tdx(QUERY, lab.signal);
  await lab.time.advance(DAY_MS);
  const { refreshed, failed } = await store.refreshDue(lab.time.now(), lab.signal);
  assert.deepEqual([refreshed, failed], [0, 4]);
  assert.equal(lab.desk.asked.length, 4);
});

test('Retry-After holds for everything at that host, to the second', async () => {
  const lab = await createLab();
  const store = await lab.open();
  const headers = { 'retry-after': '300' };
  const back = lab.desk.misbehave(ROOT_LIST, { kind: 'status', status: 429, headers });
  await assert.rejects(store.tdx(QUERY, lab.signal), (error) =>
    hasCode(error, 'collateral.rate_limited'),
  );
  back();
  await lab.time.advance(299_999);
  await assert.rejects(store.tdx(QUERY, lab.signal), (error) =>
    hasCode(error, 'collateral.rate_limited'),
  );
  assert.equal(lab.desk.asked.length, 1);
  await lab.time.advance(1);
  await store.tdx(QUERY, lab.signal);
  assert.equal(lab.desk.asked.length, 5);
});

test('a host that fails again and again is asked at growing distances', async () => {
  const lab = await createLab();
  const store = await lab.open({ ports: { random: () => 0 } });
  lab.desk.misbehave(ROOT_LIST, { kind: 'silent' });
  const distances: number[] = [];
  let last = lab.time.now();
  while (distances.length < 6) {
    const before = lab.desk.asked.length;
    await assert.rejects(store.tdx(QUERY, lab.signal));
    if (lab.desk.asked.length > before) {
      distances.push(lab.time.now() - last);
      last = lab.time.now();
    }
    await lab.time.advance(500);
  }
  assert.deepEqual(distances, [0, 1000, 2000, 4000, 8000, 16_000]);
});

test('a bad answer costs the host one item, not all', async () => {
  const lab = await createLab();
  const store = await lab.open();
  lab.desk.misbehave(/deadbeef/, { kind: 'status', status: 500 });
  const bad = { fmspc: 'deadbeef0000', ca: 'platform' } as const;
  await assert.rejects(store.tdx(bad, lab.signal));
  await store.tdx(QUERY, lab.signal);
  await assert.rejects(store.tdx(bad, lab.signal));
  assert.equal(lab.desk.count(/deadbeef/), 1);
  await lab.time.advance(2000);
  await assert.rejects(store.tdx(bad, lab.signal));
  assert.equal(lab.desk.count(/deadbeef/), 2);
});

test('a machine that started with a clock a year ahead gets what it needs once its clock is right', async () => {
  const lab = await createLab();
  let aheadMs = 365 * DAY_MS;
  const store = await lab.open({ ports: { now: () => lab.time.now() + aheadMs } });
  lab.desk.misbehave(/RootCA/, { kind: 'status', status: 404 });
  await assert.rejects(store.tdx(QUERY, lab.signal));
  lab.desk.behave();
  await lab.time.advance(120_000);
  await assert.rejects(store.tdx(QUERY, lab.signal));
  aheadMs = 0;
  await lab.time.advance(1000);
  assert.ok((await store.tdx(QUERY, lab.signal)).tcbInfo.length > 0);
});
