/** From evidence to what to ask for, and to a bundle's endorsements: no more is believed than is needed to ask. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRetry } from '../../../attestation/collateral/errors.ts';
import { pemOf } from '../../../attestation/collateral/text-forms.ts';
import type { SnpEndorsements } from '../../../attestation/snp/endorsements.ts';
import { verifySnp } from '../../../attestation/snp/verify.ts';
import type { TdxCollateral } from '../../../attestation/tdx/collateral.ts';
import { verifyTdx } from '../../../attestation/tdx/verify.ts';
import { fixed, utf8 } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import { damage } from '../../support/changes.ts';
import type { Faults } from '../../support/tdx/case.ts';
import { createLab, intelAuthorityOf } from '../../support/vendors/lab.ts';
import { createSnpLab, endorsementsOf } from '../../support/vendors/snp-lab.ts';

const noQuestion = (error: unknown): boolean =>
  hasCode(error, 'collateral.evidence') && !isRetry(error);

function asTdx(endorsements: TdxCollateral | SnpEndorsements): TdxCollateral {
  assert.ok('tcbInfo' in endorsements);
  return endorsements;
}

test('a quote gets what its machine verifies with', async () => {
  const lab = await createLab();
  const store = await lab.open();
  const { quote } = lab.sound;
  const endorsements = await store.endorse({ tee: 'tdx', quote }, lab.signal);
  assert.ok(verifyTdx({ ...lab.sound, collateral: asTdx(endorsements) }).accepted);
});

test('a quote of the other CA gets the other list', async () => {
  const lab = await createLab();
  const other = await lab.make({ certificates: { ca: 'processor' } });
  const store = await lab.open({ intel: intelAuthorityOf(other.collateral) });
  await assert.rejects(store.endorse({ tee: 'tdx', quote: other.quote }, lab.signal));
  assert.equal(lab.desk.count(/ca=processor/), 1);
});

test('what came with a quote is used, and the chain beside its list decides nothing', async () => {
  const lab = await createLab();
  const store = await lab.open();
  const { quote, collateral } = lab.sound;
  const endorsements = { ...collateral, pckCrlIssuerChain: 'no chain at all' };
  const found = await store.endorse({ tee: 'tdx', quote, endorsements }, lab.signal);
  assert.ok(verifyTdx({ ...lab.sound, collateral: asTdx(found) }).accepted);
  assert.equal(lab.desk.asked.length, 0);
});

test('a chain that came beside a quote without one serves as well, and is passed on', async () => {
  const lab = await createLab();
  const { pck, intermediate, root } = lab.pki.sound;
  const { quote } = await lab.make({
    quote: { auth: (auth) => ({ ...auth, innerType: 1, innerData: utf8('ppid') }) },
  });
  const store = await lab.open();
  await assert.rejects(store.endorse({ tee: 'tdx', quote }, lab.signal), noQuestion);
  const beside = (pckCertChain: string) =>
    store.endorse(
      { tee: 'tdx', quote, endorsements: { ...lab.sound.collateral, pckCertChain } },
      lab.signal,
    );
  await assert.rejects(beside(pemOf(intermediate.der, root.der)), noQuestion);
  await assert.rejects(beside(''), noQuestion);
  const pckCertChain = pemOf(pck.der, intermediate.der, root.der);
  assert.equal(asTdx(await beside(pckCertChain)).pckCertChain, pckCertChain);
});

test('a quote whose chain does not end in the pinned root asks nobody for anything', async () => {
  const lab = await createLab();
  const store = await lab.open();
  const foreign: readonly Faults[] = [
    // A root certificate of its own: same name, same key, other bytes.
    { certificates: {} },
    { quote: { pckChain: ({ pck, intermediate }) => pemOf(pck.der, intermediate.der) } },
    { quote: { pckChain: () => '' } },
  ];
  for (const faults of foreign) {
    const { quote } = await lab.make(faults);
    await assert.rejects(store.endorse({ tee: 'tdx', quote }, lab.signal), noQuestion);
  }
  assert.equal(lab.desk.asked.length, 0);
});

test('a quote whose chain is broken below the pinned root asks nobody for anything', async () => {
  const lab = await createLab();
  const { strangerKeys } = lab.pki;
  for (const signedBy of [{ intermediate: strangerKeys }, { pck: strangerKeys }]) {
    const { quote, collateral } = await lab.make({ certificates: { signedBy } });
    const store = await lab.open({ intel: intelAuthorityOf(collateral) });
    await assert.rejects(store.endorse({ tee: 'tdx', quote }, lab.signal), noQuestion);
  }
  assert.equal(lab.desk.asked.length, 0);
});

test('damaged quotes end in a refusal or in what the sound one gets, never in another request', async () => {
  const lab = await createLab();
  const store = await lab.open();
  await store.endorse({ tee: 'tdx', quote: lab.sound.quote }, lab.signal);
  const asked = lab.desk.asked.length;
  for (let round = 0; round < 300; round++) {
    const quote = damage(lab.sound.quote, `endorse ${round}`);
    try {
      await store.endorse({ tee: 'tdx', quote }, lab.signal);
    } catch (error) {
      assert.ok(noQuestion(error), `round ${round}: ${String(error)}`);
    }
  }
  assert.equal(lab.desk.asked.length, asked);
});

test("a report gets what its machine verifies with, from the host's table or from the vendor", async () => {
  const lab = await createSnpLab();
  const { bytes: quote } = lab.sound.evidence;
  const store = await lab.open();
  const found = await lab.time.settle(store.endorse({ tee: 'snp', quote }, lab.signal));
  assert.ok(!('tcbInfo' in found) && lab.accepts(found));
  const asked = lab.desk.asked.length;
  const table = (await lab.make({ table: (entries) => entries })).evidence.certTable;
  assert.ok(table !== undefined);
  const again = await store.endorse({ tee: 'snp', quote, certificates: table }, lab.signal);
  assert.ok(!('tcbInfo' in again) && lab.accepts(again));
  assert.equal(lab.desk.asked.length, asked);
});

test('a table that is broken, empty or a lie is as good as none', async () => {
  const lab = await createSnpLab();
  const { bytes: quote } = lab.sound.evidence;
  const store = await lab.open();
  await lab.time.settle(store.endorse({ tee: 'snp', quote }, lab.signal));
  const lie = await lab.make({
    table: (entries) => entries.map((entry) => ({ ...entry, bytes: utf8('lie') })),
  });
  for (const certificates of [
    new Uint8Array(),
    new Uint8Array(4096),
    utf8('not a table'),
    new Uint8Array(70_000).fill(1),
    lie.evidence.certTable ?? utf8(''),
  ]) {
    const found = await store.endorse({ tee: 'snp', quote, certificates }, lab.signal);
    assert.ok(!('tcbInfo' in found) && lab.accepts(found));
  }
});

test('a report of version 2 is asked for by the certificate that came with it, or not at all', async () => {
  const lab = await createSnpLab();
  const old = await lab.make({
    report: {
      signed: (bytes) => {
        const copy = bytes.slice();
        copy[0] = 2;
        // CPUID and the mitigation vectors came with later versions.
        copy.fill(0, 0x188, 0x18b);
        copy.fill(0, 0x1f8, 0x208);
        return copy;
      },
    },
  });
  const store = await lab.open();
  const quote = old.evidence.bytes;
  await assert.rejects(store.endorse({ tee: 'snp', quote }, lab.signal), noQuestion);
  const { vek } = endorsementsOf(lab.sound);
  const found = await lab.time.settle(
    store.endorse({ tee: 'snp', quote, endorsements: { vek } }, lab.signal),
  );
  assert.ok(!('tcbInfo' in found));
  const evidence = { form: 'report', bytes: quote, endorsements: found } as const;
  assert.ok(verifySnp({ ...lab.sound, evidence }).authentic);
});

test('a report that hides its chip is helped by what came with it alone', async () => {
  const lab = await createSnpLab();
  const masked = await lab.make({ report: { fields: { chipId: fixed(new Uint8Array(64), 64) } } });
  const store = await lab.open();
  const quote = masked.evidence.bytes;
  await assert.rejects(lab.time.settle(store.endorse({ tee: 'snp', quote }, lab.signal)), (error) =>
    hasCode(error, 'collateral.not_found'),
  );
  const { vek } = endorsementsOf(lab.sound);
  const found = await lab.time.settle(
    store.endorse({ tee: 'snp', quote, endorsements: { vek } }, lab.signal),
  );
  assert.ok('vek' in found && found.vek === vek);
});

test('bytes that are no report, and evidence of the other kind, ask nobody for anything', async () => {
  const lab = await createSnpLab();
  const store = await lab.open();
  const { bytes: quote, endorsements } = lab.sound.evidence;
  for (const bad of [new Uint8Array(), quote.subarray(1), new Uint8Array(1184).fill(0xff)]) {
    await assert.rejects(store.endorse({ tee: 'snp', quote: bad }, lab.signal), noQuestion);
  }
  const tdx = await createLab();
  await assert.rejects(
    store.endorse({ tee: 'tdx', quote: tdx.sound.quote, endorsements }, lab.signal),
    noQuestion,
  );
  await assert.rejects(
    store.endorse({ tee: 'snp', quote, endorsements: tdx.sound.collateral }, lab.signal),
    noQuestion,
  );
  assert.equal(lab.desk.asked.length, 0);
});
