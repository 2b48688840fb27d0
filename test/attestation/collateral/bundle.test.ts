/** Bundles: out of one store, into another that knows nothing; and files that are not what they say. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifyTdx } from '../../../attestation/tdx/verify.ts';
import { fromUtf8, toHex, utf8 } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import { damage } from '../../support/changes.ts';
import { DAY_MS, NOW_MS } from '../../support/tdx/pki.ts';
import { createLab, type Lab } from '../../support/vendors/lab.ts';
import { createSnpLab } from '../../support/vendors/snp-lab.ts';
import { PRODUCTS } from '../../support/snp/pki.ts';

const QUERY = { fmspc: 'c0ffee000000', ca: 'platform' } as const;

async function bundled(lab: Lab): Promise<Uint8Array> {
  const store = await lab.open({ forgetful: true });
  await store.tdx(QUERY, lab.signal);
  return await store.exportBundle();
}

test('a bundle makes an empty store complete, without a network, and for good', async () => {
  const lab = await createLab();
  const bundle = await bundled(lab);
  const asked = lab.desk.asked.length;
  const store = await lab.open({ offline: true });
  const report = await store.importBundle(bundle);
  assert.deepEqual(report.refused, []);
  assert.deepEqual([...report.taken].sort(), [
    'sgx.pck-crl.platform',
    'sgx.root-crl',
    'tdx.qe-identity.standard',
    'tdx.tcb-info.standard.c0ffee000000',
  ]);
  for (const later of [store, await lab.open({ offline: true })]) {
    const collateral = await later.tdx(QUERY, lab.signal);
    assert.ok(verifyTdx({ ...lab.sound, collateral }).accepted);
  }
  assert.equal(lab.desk.asked.length, asked);
});

test('chips and their lists travel as well', async () => {
  const lab = await createSnpLab();
  const { hwId, tcb } = PRODUCTS.Genoa;
  const query = { product: 'genoa', signer: 'vcek', chip: { hwid: toHex(hwId), tcb } } as const;
  const first = await lab.open({ forgetful: true });
  await lab.time.settle(first.snp(query, lab.signal));
  const store = await lab.open({ offline: true });
  const report = await store.importBundle(await first.exportBundle());
  assert.equal(report.taken.length, 3);
  assert.ok(lab.accepts(await store.snp(query, lab.signal)));
});

test('what is on disk and not in memory is in the bundle', async () => {
  const lab = await createLab();
  await (await lab.open()).tdx(QUERY, lab.signal);
  const bundle = await (await lab.open({ offline: true })).exportBundle();
  const report = await (await lab.open({ forgetful: true, offline: true })).importBundle(bundle);
  assert.equal(report.taken.length, 4);
});

test('the same bundle again, and a newer one over an older, are taken', async () => {
  const lab = await createLab();
  const old = await bundled(lab);
  const store = await lab.open({ offline: true });
  await store.importBundle(old);
  assert.equal((await store.importBundle(old)).taken.length, 4);
  const dated = { issueMs: NOW_MS - DAY_MS, nextUpdateMs: NOW_MS + 20 * DAY_MS };
  lab.intel.shown = (await lab.make({ collateral: { tcbInfoInput: dated } })).collateral;
  await store.importBundle(await bundled(lab));
  assert.deepEqual((await store.tdx(QUERY, lab.signal)).tcbInfo, lab.intel.shown.tcbInfo);
  // Back again: refused for nothing, and nothing changes.
  await store.importBundle(old);
  assert.deepEqual((await store.tdx(QUERY, lab.signal)).tcbInfo, lab.intel.shown.tcbInfo);
});

test('a file that is no bundle is refused whole', async () => {
  const lab = await createLab();
  const store = await lab.open({ offline: true });
  const sound = fromUtf8(await bundled(lab));
  const [entry] = /\{"key".*?\}/.exec(sound) ?? [''];
  for (const text of [
    '',
    'null',
    '[]',
    '{}',
    `${sound} `.slice(0, -2),
    `${sound}{}`,
    `\uFEFF${sound}`,
    sound.replace('veilgate.collateral/1', 'veilgate.collateral/2'),
    sound.replace('{"format"', '{"extra":1,"format"'),
    sound.replace('{"format"', '{"format":"veilgate.collateral/1","format"'),
    sound.replace('"entries":[', `"entries":[${entry},`),
    sound.replace('"entries":[', '"entries":[{"key":"floors","body":"","chain":""},'),
    sound.replace('"entries":[', '"entries":[{"key":"../../etc","body":"","chain":""},'),
    sound.replace('"entries":[', '"entries":[{"key":"sgx.root-crl","body":"A","chain":""},'),
    sound.replace('"body":"', '"body":" '),
    `{"format":"veilgate.collateral/1","entries":[${'{},'.repeat(9000)}{}]}`,
    // Thirty megabytes of nothing, which would be ten million objects.
    `{"format":"veilgate.collateral/1","entries":[${'{},'.repeat(10_000_000)}{}]}`,
    `{"format":"veilgate.collateral/1","entries":[[${'[],'.repeat(10_000_000)}[]]]}`,
    '['.repeat(1000),
  ]) {
    await assert.rejects(store.importBundle(utf8(text)), (error) =>
      hasCode(error, 'collateral.bundle'),
    );
  }
  await assert.rejects(store.importBundle(new Uint8Array(33 * 1024 * 1024)), (error) =>
    hasCode(error, 'collateral.bundle'),
  );
  assert.equal(lab.blobs.files.size, 0);
});

test('what does not hold in a bundle is named and left out, the rest is taken', async () => {
  const lab = await createLab();
  const forged = await lab.make({
    collateral: { tcbInfoKey: lab.pki.strangerKeys.privateKey },
  });
  const sound = fromUtf8(await bundled(lab));
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  const text = sound.replace(
    base64(lab.sound.collateral.tcbInfo),
    base64(forged.collateral.tcbInfo),
  );
  assert.notEqual(text, sound);
  const store = await lab.open({ offline: true });
  const report = await store.importBundle(utf8(text));
  assert.deepEqual(report.refused, [
    {
      key: 'tdx.tcb-info.standard.c0ffee000000',
      code: 'collateral.invalid',
      reason: 'signature',
    },
  ]);
  assert.equal(report.taken.length, 3);
});

test('without the root list nothing of Intel can be judged, and nothing is taken', async () => {
  const lab = await createLab();
  const sound = fromUtf8(await bundled(lab));
  const without = sound.replace(/\{"key":"sgx\.root-crl".*?\},?/, '');
  assert.notEqual(without, sound);
  const store = await lab.open({ offline: true });
  const report = await store.importBundle(utf8(without));
  assert.deepEqual(report.taken, []);
  assert.equal(report.refused.length, 3);
});

test('an expired bundle brings nothing', async () => {
  const lab = await createLab();
  const bundle = await bundled(lab);
  await lab.time.advance(30 * DAY_MS);
  const report = await (await lab.open({ offline: true })).importBundle(bundle);
  assert.deepEqual(report.taken, []);
  assert.equal(report.refused.length, 4);
});

test('damage of any kind to a bundle is refused, or changes nothing', async () => {
  const lab = await createLab();
  const bundle = await bundled(lab);
  const honest = await (await lab.open()).tdx(QUERY, lab.signal);
  for (let round = 0; round < 150; round++) {
    const store = await lab.open({ forgetful: true, offline: true });
    try {
      await store.importBundle(damage(bundle, `bundle ${round}`));
      assert.deepEqual(await store.tdx(QUERY, lab.signal), honest, `round ${round}`);
    } catch (error) {
      const isCoded = hasCode(error, 'collateral.bundle') || hasCode(error, 'collateral.offline');
      assert.ok(isCoded, `round ${round}: ${String(error)}`);
    }
  }
});
