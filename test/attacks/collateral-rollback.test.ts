/**
 * Somebody shows an old list, genuine and unexpired, from before a machine was revoked: a worker with its evidence, a
 * mirror, a disk, a bundle. The store has seen a newer one, and nobody is admitted by the old one.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBelowFloor } from '../../attestation/collateral/floors.ts';
import { listIssuerId } from '../../attestation/collateral/judge.ts';
import type { BlobStore } from '../../attestation/collateral/ports.ts';
import { parseIntelCertificate, parseIntelCrl } from '../../attestation/tdx/intel-certificate.ts';
import type { TdxCollateral } from '../../attestation/tdx/collateral.ts';
import { verifyTdx } from '../../attestation/tdx/verify.ts';
import { hasCode } from '../../core/errors.ts';
import type { Faults } from '../support/tdx/case.ts';
import { DAY_MS, NOW_MS } from '../support/tdx/pki.ts';
import { createLab, type Lab } from '../support/vendors/lab.ts';

const QUERY = { fmspc: 'c0ffee000000', ca: 'platform' } as const;

/** The list of the day after tomorrow's incident: `crlNumber` is the time in seconds in these lists. */
const REVOKED: NonNullable<Faults['collateral']> = {
  pckCrl: (profile, { pck }) => ({
    ...profile,
    thisUpdateMs: NOW_MS - DAY_MS,
    revoked: [{ serial: pck.profile.serial, revokedMs: NOW_MS - DAY_MS }],
  }),
};

/** As Intel does it: another list under the same number, told apart by its date alone. */
function admits(lab: Lab, collateral: TdxCollateral): boolean {
  return verifyTdx({ ...lab.sound, collateral, nowMs: lab.time.now() }).accepted;
}

async function afterIncident(): Promise<Lab & { readonly old: TdxCollateral }> {
  const lab = await createLab();
  const old = lab.sound.collateral;
  lab.intel.shown = (await lab.make({ collateral: REVOKED })).collateral;
  assert.ok(admits(lab, old), 'the old list still verifies on its own');
  return { ...lab, old };
}

test('a worker brings the old list to a store that has seen the new one', async () => {
  const lab = await afterIncident();
  const store = await lab.open();
  await store.tdx(QUERY, lab.signal);
  assert.equal(admits(lab, await store.tdx({ ...QUERY, offered: lab.old }, lab.signal)), false);
});

test('the new list may have come from another worker', async () => {
  const lab = await afterIncident();
  const store = await lab.open({ offline: true });
  await store.tdx({ ...QUERY, offered: lab.intel.shown }, lab.signal);
  assert.equal(admits(lab, await store.tdx({ ...QUERY, offered: lab.old }, lab.signal)), false);
});

test('a mirror goes back to the old list', async () => {
  const lab = await afterIncident();
  const store = await lab.open();
  await store.tdx(QUERY, lab.signal);
  lab.intel.shown = lab.old;
  await lab.time.advance(DAY_MS);
  await store.refreshDue(lab.time.now(), lab.signal);
  assert.equal(admits(lab, await store.tdx(QUERY, lab.signal)), false);
  assert.ok(lab.events.some(({ kind }) => kind === 'refused_older'));
});

test('a restart and a mirror that goes back', async () => {
  const lab = await afterIncident();
  await (await lab.open()).tdx(QUERY, lab.signal);
  // The new list itself is lost; that it was seen is not.
  lab.blobs.files.delete('sgx.pck-crl.platform');
  lab.intel.shown = lab.old;
  const store = await lab.open();
  await assert.rejects(store.tdx(QUERY, lab.signal), (error) =>
    hasCode(error, 'collateral.invalid'),
  );
  await assert.rejects(store.tdx({ ...QUERY, offered: lab.old }, lab.signal));
});

test('a disk is put back to yesterday, all but the floors', async () => {
  const lab = await afterIncident();
  const honest = lab.intel.shown;
  lab.intel.shown = lab.old;
  await (await lab.open()).tdx(QUERY, lab.signal);
  const yesterday = lab.blobs.files.get('sgx.pck-crl.platform');
  lab.intel.shown = honest;
  await (await lab.open({ forgetful: true })).tdx(QUERY, lab.signal);
  await (await lab.open()).tdx({ ...QUERY, offered: honest }, lab.signal);
  assert.ok(yesterday !== undefined);
  lab.blobs.files.set('sgx.pck-crl.platform', yesterday);
  const store = await lab.open();
  assert.equal(admits(lab, await store.tdx(QUERY, lab.signal)), false);
});

test('a bundle from yesterday', async () => {
  const lab = await afterIncident();
  const honest = lab.intel.shown;
  lab.intel.shown = lab.old;
  const yesterday = await lab.open({ forgetful: true });
  await yesterday.tdx(QUERY, lab.signal);
  const bundle = await yesterday.exportBundle();
  lab.intel.shown = honest;
  const store = await lab.open();
  await store.tdx(QUERY, lab.signal);
  const report = await store.importBundle(bundle);
  assert.deepEqual(report.refused, [
    { key: 'sgx.pck-crl.platform', code: 'collateral.invalid', reason: 'older' },
  ]);
  assert.equal(admits(lab, await store.tdx(QUERY, lab.signal)), false);
});

test('lists that all have the number 1, as those of Intel do, are told apart by their dates', async () => {
  const lab = await createLab();
  const numberOne = { oid: '2.5.29.20', critical: false, value: Uint8Array.of(2, 1, 1) };
  const issued = async (daysAgo: number, isRevoked: boolean): Promise<TdxCollateral> => {
    const { collateral } = await lab.make({
      collateral: {
        pckCrl: (profile, { pck }) => ({
          ...profile,
          thisUpdateMs: NOW_MS - daysAgo * DAY_MS,
          revoked: isRevoked ? [{ serial: pck.profile.serial, revokedMs: NOW_MS - DAY_MS }] : [],
          extensions: profile.extensions.map((known) =>
            known.oid === numberOne.oid ? numberOne : known,
          ),
        }),
      },
    });
    return collateral;
  };
  const [old, fresh] = [await issued(5, false), await issued(1, true)];
  const store = await lab.open({ offline: true });
  assert.ok(admits(lab, await store.tdx({ ...QUERY, offered: old }, lab.signal)));
  assert.equal(admits(lab, await store.tdx({ ...QUERY, offered: fresh }, lab.signal)), false);
  assert.equal(admits(lab, await store.tdx({ ...QUERY, offered: old }, lab.signal)), false);
});

test('a verifier that is shown the old list can ask where the floor is', async () => {
  const lab = await afterIncident();
  const store = await lab.open();
  await store.tdx(QUERY, lab.signal);
  const issuer = parseIntelCertificate(lab.pki.sound.intermediate.der);
  const floor = store.floorOf(listIssuerId(issuer));
  assert.equal(isBelowFloor(parseIntelCrl(lab.old.pckCrl), floor), true);
  assert.equal(isBelowFloor(parseIntelCrl(lab.intel.shown.pckCrl), floor), false);
  assert.equal(
    store.floorOf(listIssuerId(parseIntelCertificate(lab.pki.sound.pck.der))),
    undefined,
  );
});

test('a mirror goes back to a lower evaluation number', async () => {
  const lab = await createLab();
  const store = await lab.open();
  const higher = await lab.make({
    collateral: {
      tcbInfoInput: { evaluationNumber: 20 },
      qeIdentityInput: { evaluationNumber: 20 },
    },
  });
  lab.intel.shown = higher.collateral;
  await store.tdx(QUERY, lab.signal);
  lab.intel.shown = lab.sound.collateral;
  await lab.time.advance(DAY_MS);
  await store.refreshDue(lab.time.now(), lab.signal);
  for (const again of [store, await lab.open()]) {
    const { tcbInfo, qeIdentity } = await again.tdx(
      { ...QUERY, offered: lab.sound.collateral },
      lab.signal,
    );
    assert.deepEqual(tcbInfo, higher.collateral.tcbInfo);
    assert.deepEqual(qeIdentity, higher.collateral.qeIdentity);
  }
});

/** Documents of one evaluation number, told apart by their dates. */
async function twoIssues(lab: Lab): Promise<{ readonly old: TdxCollateral; newer: TdxCollateral }> {
  const dated = { issueMs: NOW_MS - 1000, nextUpdateMs: NOW_MS + 30 * DAY_MS };
  const issued = await lab.make({ collateral: { tcbInfoInput: dated, qeIdentityInput: dated } });
  return { old: lab.sound.collateral, newer: issued.collateral };
}

test('a bundle with older documents of the same number, after a restart', async () => {
  const lab = await createLab();
  const { old, newer } = await twoIssues(lab);
  const yesterday = await lab.open({ forgetful: true });
  await yesterday.tdx(QUERY, lab.signal);
  const bundle = await yesterday.exportBundle();
  lab.intel.shown = newer;
  await (await lab.open()).tdx(QUERY, lab.signal);
  const store = await lab.open({ offline: true });
  await store.importBundle(bundle);
  const { tcbInfo, qeIdentity } = await store.tdx({ ...QUERY, offered: old }, lab.signal);
  assert.deepEqual(tcbInfo, newer.tcbInfo);
  assert.deepEqual(qeIdentity, newer.qeIdentity);
});

test('a slow disk comes back with the older document after the newer one has arrived', async () => {
  const lab = await createLab();
  const { newer } = await twoIssues(lab);
  await (await lab.open()).tdx(QUERY, lab.signal);
  lab.intel.shown = newer;
  const key = 'tdx.tcb-info.standard.c0ffee000000';
  const late = Promise.withResolvers<void>();
  let reads = 0;
  const blobs: BlobStore = {
    get: async (name) => {
      const found = await lab.blobs.get(name);
      // The first to ask waits for it, the second finds nothing and asks the vendor.
      if (name === key && reads++ === 0) await late.promise;
      else if (name === key) return undefined;
      return found;
    },
    put: (name, bytes) => lab.blobs.put(name, bytes),
    delete: (name) => lab.blobs.delete(name),
    list: () => lab.blobs.list(),
  };
  const store = await lab.open({ ports: { blobs } });
  const first = store.tdx(QUERY, lab.signal);
  await lab.time.advance(0);
  assert.deepEqual((await store.tdx(QUERY, lab.signal)).tcbInfo, newer.tcbInfo);
  late.resolve();
  assert.deepEqual((await first).tcbInfo, newer.tcbInfo);
  assert.deepEqual((await store.tdx(QUERY, lab.signal)).tcbInfo, newer.tcbInfo);
});
