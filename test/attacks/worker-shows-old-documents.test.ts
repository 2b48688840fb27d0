/**
 * A worker comes in on documents from before a TCB recovery, genuine and unexpired, at a store that has none of its own
 * yet. When the store has got its own, whoever was admitted before deserves another look: the first of a kind is news
 * as much as a newer one.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DAY_MS, NOW_MS } from '../support/tdx/pki.ts';
import { createLab } from '../support/vendors/lab.ts';

const QUERY = { fmspc: 'c0ffee000000', ca: 'platform' } as const;

test("the store's own documents, once there, are announced to whoever admitted on shown ones", async () => {
  const lab = await createLab();
  const store = await lab.open();
  const shown = lab.sound.collateral;
  const dated = { issueMs: NOW_MS - DAY_MS, nextUpdateMs: NOW_MS + 29 * DAY_MS };
  const own = await lab.make({ collateral: { tcbInfoInput: dated, qeIdentityInput: dated } });
  lab.intel.shown = own.collateral;
  const admittedOn = await store.tdx({ ...QUERY, offered: shown }, lab.signal);
  assert.deepEqual(admittedOn.tcbInfo, shown.tcbInfo);
  lab.events.length = 0;
  await store.refreshDue(lab.time.now(), lab.signal);
  const { tcbInfo } = await store.tdx({ ...QUERY, offered: shown }, lab.signal);
  assert.deepEqual(tcbInfo, own.collateral.tcbInfo);
  const announced = lab.events.flatMap((event) => (event.kind === 'replaced' ? [event.key] : []));
  assert.ok(announced.includes('tdx.tcb-info.standard.c0ffee000000'), announced.join());
  assert.ok(announced.includes('tdx.qe-identity.standard'), announced.join());
});

test('a list that takes the place of an expired one is announced with all that it revokes', async () => {
  const lab = await createLab();
  const store = await lab.open({ forgetful: true });
  await store.tdx(QUERY, lab.signal);
  const nowMs = lab.time.now() + 40 * DAY_MS;
  await lab.time.advance(40 * DAY_MS);
  const dated = { issueMs: nowMs - DAY_MS, nextUpdateMs: nowMs + 29 * DAY_MS };
  const times = { thisUpdateMs: dated.issueMs, nextUpdateMs: dated.nextUpdateMs };
  const fresh = await lab.make({
    collateral: {
      tcbInfoInput: dated,
      qeIdentityInput: dated,
      rootCrl: (profile) => ({ ...profile, ...times }),
      pckCrl: (profile, { pck }) => ({
        ...profile,
        ...times,
        revoked: [{ serial: pck.profile.serial, revokedMs: dated.issueMs }],
      }),
    },
  });
  lab.intel.shown = fresh.collateral;
  lab.events.length = 0;
  await store.tdx(QUERY, lab.signal);
  const list = lab.events.find(
    (event) => event.kind === 'replaced' && event.key === 'sgx.pck-crl.platform',
  );
  assert.ok(list?.kind === 'replaced' && list.newlyRevoked === 1, JSON.stringify(lab.events));
});
