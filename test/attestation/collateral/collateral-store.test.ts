/** Where collateral comes from, in which order, and how often somebody is asked for it. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRetry } from '../../../attestation/collateral/errors.ts';
import type { TdxCollateral } from '../../../attestation/tdx/collateral.ts';
import { verifyTdx } from '../../../attestation/tdx/verify.ts';
import { fromUtf8, utf8 } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import { DAY_MS, NOW_MS } from '../../support/tdx/pki.ts';
import { numbersDocument } from '../../support/vendors/intel.ts';
import { createLab, intelAuthorityOf, pcsAt, type Lab } from '../../support/vendors/lab.ts';

const QUERY = { fmspc: 'c0ffee000000', ca: 'platform' } as const;

function isAccepted(lab: Lab, collateral: TdxCollateral, nowMs = lab.time.now()): boolean {
  return verifyTdx({ ...lab.sound, collateral, nowMs }).accepted;
}

test('everything comes from the vendor once, and a machine verifies with it', async () => {
  const lab = await createLab();
  const store = await lab.open();
  const first = await store.tdx(QUERY, lab.signal);
  assert.ok(isAccepted(lab, first));
  assert.deepEqual(
    lab.desk.asked.map(({ path }) => path),
    [
      '/IntelSGXRootCA.der',
      '/tdx/certification/v4/tcb?fmspc=c0ffee000000',
      '/tdx/certification/v4/qe/identity',
      '/sgx/certification/v4/pckcrl?ca=platform&encoding=der',
    ],
  );
  assert.deepEqual(await store.tdx(QUERY, lab.signal), first);
  assert.equal(lab.desk.asked.length, 4);
});

test('whoever asks for the same at the same time shares one answer', async () => {
  const lab = await createLab();
  const store = await lab.open();
  const all = await Promise.all(Array.from({ length: 50 }, () => store.tdx(QUERY, lab.signal)));
  assert.equal(lab.desk.asked.length, 4);
  for (const one of all) assert.deepEqual(one, all[0]);
});

test('one caller who leaves does not take the answer from the others', async () => {
  const lab = await createLab();
  const store = await lab.open();
  const leaving = new AbortController();
  const left = store.tdx(QUERY, leaving.signal);
  const stayed = store.tdx(QUERY, lab.signal);
  leaving.abort();
  await assert.rejects(left, (error) => hasCode(error, 'collateral.unavailable'));
  assert.ok(isAccepted(lab, await stayed));
  assert.equal(lab.desk.asked.length, 4);
});

test('a caller who left before asking costs nothing', async () => {
  const lab = await createLab();
  const store = await lab.open();
  await assert.rejects(store.tdx(QUERY, AbortSignal.abort()));
  assert.equal(lab.desk.asked.length, 0);
});

test('after a restart the disk answers, without a network', async () => {
  const lab = await createLab();
  await (await lab.open()).tdx(QUERY, lab.signal);
  const asked = lab.desk.asked.length;
  const restarted = await lab.open({ offline: true });
  assert.ok(isAccepted(lab, await restarted.tdx(QUERY, lab.signal)));
  assert.equal(lab.desk.asked.length, asked);
});

test('offline, what is not at hand is said to be that, and final', async () => {
  const lab = await createLab();
  const store = await lab.open({ offline: true });
  await assert.rejects(
    store.tdx(QUERY, lab.signal),
    (error) => hasCode(error, 'collateral.offline') && !isRetry(error),
  );
});

test('without a disk the store works all the same, until it ends', async () => {
  const lab = await createLab();
  const store = await lab.open({ forgetful: true });
  await store.tdx(QUERY, lab.signal);
  await store.tdx(QUERY, lab.signal);
  assert.equal(lab.desk.asked.length, 4);
  await (await lab.open({ forgetful: true })).tdx(QUERY, lab.signal);
  assert.equal(lab.desk.asked.length, 8);
});

test('a disk that fails is told of and does no harm', async () => {
  const lab = await createLab();
  const store = await lab.open();
  lab.blobs.isBroken = true;
  assert.ok(isAccepted(lab, await store.tdx(QUERY, lab.signal)));
  assert.ok(lab.events.some(({ kind }) => kind === 'storage_failed'));
  await (await lab.open()).tdx(QUERY, lab.signal);
  assert.ok(lab.events.some(({ kind }) => kind === 'floors_lost'));
});

test('what came with the evidence is used when it holds, and nobody is asked', async () => {
  const lab = await createLab();
  const store = await lab.open();
  const offered = lab.sound.collateral;
  const collateral = await store.tdx({ ...QUERY, offered }, lab.signal);
  assert.ok(isAccepted(lab, collateral));
  assert.equal(lab.desk.asked.length, 0);
  // The lists are worth keeping; which edition the documents belong to is not written in them.
  assert.deepEqual(await store.tdx(QUERY, lab.signal), collateral);
  assert.deepEqual(
    lab.desk.asked.map(({ path }) => path),
    ['/tdx/certification/v4/tcb?fmspc=c0ffee000000', '/tdx/certification/v4/qe/identity'],
  );
});

test('by evaluation number, everything that came with the evidence is worth keeping', async () => {
  const lab = await createLab();
  const store = await lab.open({ edition: 19 });
  const offered = lab.sound.collateral;
  await store.tdx({ ...QUERY, offered }, lab.signal);
  await store.tdx(QUERY, lab.signal);
  assert.equal(lab.desk.asked.length, 0);
});

test('documents that were only ever shown are looked for when there is time', async () => {
  const lab = await createLab();
  const store = await lab.open();
  const offered = lab.sound.collateral;
  await store.tdx({ ...QUERY, offered }, lab.signal);
  assert.equal(lab.desk.asked.length, 0);
  const newer = await lab.make({
    collateral: {
      tcbInfoInput: { evaluationNumber: 20 },
      qeIdentityInput: { evaluationNumber: 20 },
    },
  });
  lab.intel.shown = newer.collateral;
  const report = await store.refreshDue(lab.time.now(), lab.signal);
  assert.deepEqual([report.refreshed, report.failed], [2, 0]);
  const { tcbInfo, qeIdentity } = await store.tdx({ ...QUERY, offered }, lab.signal);
  assert.deepEqual(tcbInfo, newer.collateral.tcbInfo);
  assert.deepEqual(qeIdentity, newer.collateral.qeIdentity);
});

const SPOILT: readonly (readonly [what: keyof TdxCollateral, asked: RegExp])[] = [
  ['tcbInfo', /\/tcb\?/],
  ['qeIdentity', /\/qe\/identity/],
  ['pckCrl', /\/pckcrl/],
  ['rootCaCrl', /RootCA/],
];

for (const [part, asked] of SPOILT) {
  test(`a spoilt ${part} that came with the evidence is replaced by the store's own`, async () => {
    const lab = await createLab();
    const store = await lab.open();
    const sound = lab.sound.collateral;
    const offered: TdxCollateral = { ...sound, [part]: utf8('{}') };
    const collateral = await store.tdx({ ...QUERY, offered }, lab.signal);
    assert.ok(isAccepted(lab, collateral));
    assert.equal(lab.desk.asked.length, lab.desk.count(asked));
    assert.equal(lab.desk.asked.length, 1);
  });
}

test('members that nobody signed are not kept and not passed on', async () => {
  const lab = await createLab();
  const store = await lab.open();
  const { tcbInfo } = lab.sound.collateral;
  const padded = utf8(fromUtf8(tcbInfo).replace(/\}$/, `,"ballast":"${'x'.repeat(1000)}"}`));
  lab.intel.shown = { ...lab.sound.collateral, tcbInfo: padded };
  const collateral = await store.tdx(QUERY, lab.signal);
  assert.deepEqual(collateral.tcbInfo, tcbInfo);
});

test('the vendor not knowing a platform is final, and remembered for a minute', async () => {
  const lab = await createLab();
  const store = await lab.open();
  const unknown = { fmspc: 'deadbeef0000', ca: 'platform' } as const;
  const notFound = (error: unknown) => hasCode(error, 'collateral.not_found') && !isRetry(error);
  await assert.rejects(store.tdx(unknown, lab.signal), notFound);
  await assert.rejects(store.tdx(unknown, lab.signal), notFound);
  assert.equal(lab.desk.count(/deadbeef/), 1);
  await lab.time.advance(59_999);
  await assert.rejects(store.tdx(unknown, lab.signal), notFound);
  assert.equal(lab.desk.count(/deadbeef/), 1);
  await lab.time.advance(1);
  await assert.rejects(store.tdx(unknown, lab.signal), notFound);
  assert.equal(lab.desk.count(/deadbeef/), 2);
  // Somebody else's machine is not kept waiting by it.
  assert.ok(isAccepted(lab, await store.tdx(QUERY, lab.signal)));
});

test('a withdrawn evaluation number is final', async () => {
  const lab = await createLab();
  const store = await lab.open({ edition: 17 });
  lab.desk.misbehave(/tcb\?/, { kind: 'status', status: 410 });
  await assert.rejects(store.tdx(QUERY, lab.signal), (error) =>
    hasCode(error, 'collateral.not_found'),
  );
  assert.equal(lab.desk.count(/fmspc=c0ffee000000&tcbEvaluationDataNumber=17$/), 1);
});

test('a second source is asked when the first fails or has nothing', async () => {
  const lab = await createLab();
  const sources = [pcsAt('https://near.test'), pcsAt('https://far.test')];
  for (const status of [404, 500, 429]) {
    lab.desk.asked.length = 0;
    const fetch: typeof lab.desk.fetch = async (request) =>
      request.origin === 'https://near.test'
        ? { status, headers: {}, body: new Uint8Array() }
        : await lab.desk.fetch(request);
    const both = await lab.open({ sources, forgetful: true, ports: { fetch } });
    assert.ok(isAccepted(lab, await both.tdx(QUERY, lab.signal)), String(status));
    assert.equal(lab.desk.asked.length, 4);
  }
});

test('one source failing and another having nothing may pass, so it is worth another try', async () => {
  const lab = await createLab();
  const answers: Readonly<Record<string, number>> = {
    'https://a.test': 500,
    'https://b.test': 404,
  };
  const store = await lab.open({
    sources: [pcsAt('https://a.test'), pcsAt('https://b.test')],
    ports: {
      fetch: async ({ origin }) => ({
        status: answers[origin] ?? 0,
        headers: {},
        body: new Uint8Array(),
      }),
    },
  });
  await assert.rejects(store.tdx(QUERY, lab.signal), isRetry);
});

test('the newest edition and one by number are asked for as such, never both', async () => {
  const lab = await createLab();
  await (await lab.open({ edition: 'early' })).tdx(QUERY, lab.signal);
  assert.equal(lab.desk.count(/\?fmspc=c0ffee000000&update=early$/), 1);
  assert.equal(lab.desk.count(/identity\?update=early$/), 1);
  lab.desk.asked.length = 0;
  await (await lab.open({ edition: 19 })).tdx(QUERY, lab.signal);
  assert.equal(lab.desk.count(/\?fmspc=c0ffee000000&tcbEvaluationDataNumber=19$/), 1);
  assert.equal(lab.desk.count(/identity\?tcbEvaluationDataNumber=19$/), 1);
  assert.equal(lab.desk.count(/update=/), 0);
});

test('a site that wants the newest edition asks for it, whatever came with the evidence', async () => {
  const lab = await createLab();
  const store = await lab.open({ edition: 'early' });
  const offered = lab.sound.collateral;
  const newer = await lab.make({
    collateral: {
      tcbInfoInput: { evaluationNumber: 20 },
      qeIdentityInput: { evaluationNumber: 20 },
    },
  });
  lab.intel.shown = newer.collateral;
  const { tcbInfo } = await store.tdx({ ...QUERY, offered }, lab.signal);
  assert.deepEqual(tcbInfo, newer.collateral.tcbInfo);
});

test('what came with the evidence stands in where the newest edition cannot be had', async () => {
  const lab = await createLab();
  const store = await lab.open({ edition: 'early' });
  lab.desk.misbehave(/./, { kind: 'unreachable' });
  const offered = lab.sound.collateral;
  const collateral = await store.tdx({ ...QUERY, offered }, lab.signal);
  assert.ok(isAccepted(lab, collateral));
  // But it is not kept as the newest.
  assert.equal(lab.blobs.files.has('tdx.tcb-info.early.c0ffee000000'), false);
});

test('a value of the evidence in another form asks nobody for anything', async () => {
  const lab = await createLab();
  const store = await lab.open();
  await store.tdx(QUERY, lab.signal);
  const before = lab.desk.asked.length;
  for (const fmspc of ['', 'C0FFEE000000', 'c0ffee00000', '../../secrets', 'c0ffee000000&x=y']) {
    await assert.rejects(store.tdx({ fmspc, ca: 'platform' }, lab.signal), (error) =>
      hasCode(error, 'collateral.evidence'),
    );
  }
  assert.equal(lab.desk.asked.length, before);
});

test('both ends of a life belong to it, and a millisecond later the document is not used', async () => {
  const lab = await createLab();
  const store = await lab.open();
  await store.tdx(QUERY, lab.signal);
  const endMs = Date.UTC(2026, 6, 1);
  await lab.time.advance(endMs - NOW_MS);
  lab.desk.misbehave(/./, { kind: 'unreachable' });
  assert.ok(isAccepted(lab, await store.tdx(QUERY, lab.signal), endMs));
  await lab.time.advance(1);
  await assert.rejects(store.tdx(QUERY, lab.signal), isRetry);
  await assert.rejects((await lab.open({ offline: true })).tdx(QUERY, lab.signal), (error) =>
    hasCode(error, 'collateral.offline'),
  );
});

test('a document ends with its signer', async () => {
  const lab = await createLab();
  const short = await lab.make({
    certificates: { tcbSigner: (profile) => ({ ...profile, notAfterMs: NOW_MS + DAY_MS }) },
  });
  lab.intel.shown = short.collateral;
  const store = await lab.open({ intel: intelAuthorityOf(short.collateral) });
  await store.tdx(QUERY, lab.signal);
  await lab.time.advance(DAY_MS);
  await store.tdx(QUERY, lab.signal);
  await lab.time.advance(1);
  await assert.rejects(store.tdx(QUERY, lab.signal), (error) =>
    hasCode(error, 'collateral.expired'),
  );
});

test('the list of evaluation numbers is signed like any document', async () => {
  const lab = await createLab();
  const times = { issueMs: NOW_MS - DAY_MS, nextUpdateMs: NOW_MS + DAY_MS };
  const { body } = await numbersDocument(lab.pki, times, [20, 19, 18]);
  lab.intel.numbers = body;
  const store = await lab.open();
  const numbers = await store.evaluationNumbers(lab.signal);
  assert.deepEqual(
    numbers.map(({ number }) => number),
    [20, 19, 18],
  );
  lab.intel.numbers = utf8(
    fromUtf8(body).replace('"tcbEvaluationDataNumber":20', '"tcbEvaluationDataNumber":21'),
  );
  await assert.rejects(
    (await lab.open({ forgetful: true })).evaluationNumbers(lab.signal),
    (error) => hasCode(error, 'collateral.invalid'),
  );
});

test('what one caller judged with an older root list is not handed to one who knows a newer', async () => {
  const lab = await createLab();
  const gate = Promise.withResolvers<void>();
  const store = await lab.open({
    ports: {
      fetch: async (request) => {
        if (/\/tcb\?/.test(request.path)) await gate.promise;
        return await lab.desk.fetch(request);
      },
    },
  });
  const { rootCaCrl } = (
    await lab.make({
      collateral: {
        rootCrl: (profile) => ({
          ...profile,
          thisUpdateMs: NOW_MS - DAY_MS,
          revoked: [{ serial: lab.pki.sound.tcbSigner.profile.serial, revokedMs: NOW_MS - DAY_MS }],
        }),
      },
    })
  ).collateral;
  const early = store.tdx(QUERY, lab.signal);
  await lab.time.advance(0);
  const offered = { ...lab.sound.collateral, rootCaCrl, tcbInfo: utf8('{}') };
  const late = store.tdx({ ...QUERY, offered }, lab.signal);
  const refused = assert.rejects(late, (error) => hasCode(error, 'collateral.invalid'));
  await lab.time.advance(0);
  gate.resolve();
  await early;
  await refused;
  // Nobody gets it from now on.
  await assert.rejects(store.tdx(QUERY, lab.signal));
});

test('a file under the key of another edition is not that edition', async () => {
  const lab = await createLab();
  await (await lab.open({ edition: 'early' })).tdx(QUERY, lab.signal);
  const { files } = lab.blobs;
  for (const [key, bytes] of files) files.set(key.replace('.early', '.standard'), bytes);
  const store = await lab.open({ offline: true });
  await assert.rejects(store.tdx(QUERY, lab.signal), (error) =>
    hasCode(error, 'collateral.offline'),
  );
});
