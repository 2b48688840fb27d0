/**
 * A mirror serves a document that is genuine and current, of the same evaluation number, and older than what the store
 * has: what any cache does that lags. It must not make the store ask for it again every second.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DAY_MS, NOW_MS } from '../support/tdx/pki.ts';
import { createLab } from '../support/vendors/lab.ts';

const QUERY = { fmspc: 'c0ffee000000', ca: 'platform' } as const;
const HOUR_MS = 3_600_000;

test('a mirror that lags behind is asked ever less often, and the newer document stays', async () => {
  const lab = await createLab();
  const store = await lab.open();
  const dated = { issueMs: NOW_MS - 1000, nextUpdateMs: NOW_MS + 30 * DAY_MS };
  const newer = await lab.make({ collateral: { tcbInfoInput: dated, qeIdentityInput: dated } });
  const lagging = lab.intel.shown;
  lab.intel.shown = newer.collateral;
  await store.tdx(QUERY, lab.signal);
  lab.intel.shown = lagging;
  await lab.time.advance(DAY_MS);
  const before = lab.desk.asked.length;
  const ending = new AbortController();
  const running = store.run(ending.signal);
  await lab.time.advance(HOUR_MS);
  ending.abort();
  await running;
  const perHour = lab.desk.asked.length - before;
  // Once for the lists; for the two documents that come back old, about one a minute at first and six an hour later.
  assert.ok(perHour <= 40, `${perHour} requests in an hour`);
  assert.deepEqual((await store.tdx(QUERY, lab.signal)).tcbInfo, newer.collateral.tcbInfo);
});
