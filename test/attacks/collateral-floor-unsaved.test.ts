/**
 * The disk refuses a write at the moment when a newer list arrives, and works again afterwards. What was seen must reach
 * it then: else the list from before a revocation is believed after the next start.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listIssuerId } from '../../attestation/collateral/judge.ts';
import type { BlobStore } from '../../attestation/collateral/ports.ts';
import { parseIntelCertificate } from '../../attestation/tdx/intel-certificate.ts';
import { hasCode } from '../../core/errors.ts';
import { DAY_MS, NOW_MS } from '../support/tdx/pki.ts';
import { createLab } from '../support/vendors/lab.ts';

const QUERY = { fmspc: 'c0ffee000000', ca: 'platform' } as const;

test('a floor that could not be saved is saved with whatever is kept next', async () => {
  const lab = await createLab();
  const old = lab.sound.collateral;
  const fresh = await lab.make({
    collateral: { pckCrl: (profile) => ({ ...profile, thisUpdateMs: NOW_MS - DAY_MS }) },
  });
  const first = await lab.open();
  await first.tdx(QUERY, lab.signal);
  lab.intel.shown = fresh.collateral;
  lab.blobs.isBroken = true;
  await first.tdx({ ...QUERY, offered: fresh.collateral }, lab.signal);
  lab.blobs.isBroken = false;
  await lab.time.advance(DAY_MS);
  assert.equal((await first.refreshDue(lab.time.now(), lab.signal)).failed, 0);
  // The list itself made room for others; that it was seen must not be gone with it.
  lab.blobs.files.delete('sgx.pck-crl.platform');
  const second = await lab.open({ offline: true });
  await assert.rejects(second.tdx({ ...QUERY, offered: old }, lab.signal), (error) =>
    hasCode(error, 'collateral.offline'),
  );
});

test('a floor that rose by what stood on the disk is saved as well', async () => {
  const lab = await createLab();
  const fresh = await lab.make({
    collateral: { pckCrl: (profile) => ({ ...profile, thisUpdateMs: NOW_MS - DAY_MS }) },
  });
  const old = lab.sound.collateral;
  lab.intel.shown = fresh.collateral;
  await (await lab.open()).tdx(QUERY, lab.signal);
  // The floors are lost, the lists are not.
  lab.blobs.files.delete('floors');
  const second = await lab.open();
  await second.tdx(QUERY, lab.signal);
  const issuer = listIssuerId(parseIntelCertificate(lab.pki.sound.intermediate.der));
  assert.equal(second.floorOf(issuer)?.thisUpdateMs, NOW_MS - DAY_MS);
  await lab.time.advance(DAY_MS);
  await second.refreshDue(lab.time.now(), lab.signal);
  lab.blobs.files.delete('sgx.pck-crl.platform');
  const third = await lab.open({ offline: true });
  await assert.rejects(third.tdx({ ...QUERY, offered: old }, lab.signal), (error) =>
    hasCode(error, 'collateral.offline'),
  );
});

test('floors that cannot be read are not written over', async () => {
  const lab = await createLab();
  const fresh = await lab.make({
    collateral: { pckCrl: (profile) => ({ ...profile, thisUpdateMs: NOW_MS - DAY_MS }) },
  });
  const { blobs } = lab;
  lab.intel.shown = fresh.collateral;
  await (await lab.open()).tdx(QUERY, lab.signal);
  blobs.files.delete('sgx.pck-crl.platform');
  const unreadable: BlobStore = {
    get: async (key) => {
      if (key === 'floors') blobs.isBroken = true;
      try {
        return await blobs.get(key);
      } finally {
        blobs.isBroken = false;
      }
    },
    put: (key, bytes) => blobs.put(key, bytes),
    delete: (key) => blobs.delete(key),
    list: () => blobs.list(),
  };
  const second = await lab.open({ ports: { blobs: unreadable } });
  assert.deepEqual(lab.events.at(-1), { kind: 'floors_lost' });
  // The old list is news to a store that remembers nothing, and raises a floor of its own.
  lab.intel.shown = lab.sound.collateral;
  await second.tdx(QUERY, lab.signal);
  const third = await lab.open({ offline: true });
  const issuer = listIssuerId(parseIntelCertificate(lab.pki.sound.intermediate.der));
  assert.equal(third.floorOf(issuer)?.thisUpdateMs, NOW_MS - DAY_MS);
});

test('a disk that is slow to wake does not let the old list in', async () => {
  const lab = await createLab();
  const old = lab.sound.collateral;
  const fresh = await lab.make({
    collateral: { pckCrl: (profile) => ({ ...profile, thisUpdateMs: NOW_MS - DAY_MS }) },
  });
  lab.intel.shown = fresh.collateral;
  await (await lab.open()).tdx(QUERY, lab.signal);
  lab.blobs.files.delete('sgx.pck-crl.platform');
  lab.blobs.isBroken = true;
  const second = await lab.open({ offline: true });
  lab.blobs.isBroken = false;
  await assert.rejects(second.tdx({ ...QUERY, offered: old }, lab.signal), (error) =>
    hasCode(error, 'collateral.offline'),
  );
});

test('an old list that came in while the floors could not be read goes when they can', async () => {
  const lab = await createLab();
  const old = lab.sound.collateral;
  const fresh = await lab.make({
    collateral: { pckCrl: (profile) => ({ ...profile, thisUpdateMs: NOW_MS - DAY_MS }) },
  });
  lab.intel.shown = fresh.collateral;
  await (await lab.open()).tdx(QUERY, lab.signal);
  lab.blobs.files.delete('sgx.pck-crl.platform');
  lab.blobs.isBroken = true;
  const second = await lab.open({ offline: true });
  assert.deepEqual((await second.tdx({ ...QUERY, offered: old }, lab.signal)).pckCrl, old.pckCrl);
  lab.blobs.isBroken = false;
  await assert.rejects(second.tdx({ ...QUERY, offered: old }, lab.signal), (error) =>
    hasCode(error, 'collateral.offline'),
  );
});
