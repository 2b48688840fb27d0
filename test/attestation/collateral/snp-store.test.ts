/** AMD's certificates and lists: from where, at what pace, and what a machine is judged with. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAmdAuthority } from '../../../attestation/collateral/amd-judge.ts';
import type { SnpQuery } from '../../../attestation/collateral/amd-authority.ts';
import { isRetry } from '../../../attestation/collateral/errors.ts';
import { kdsMirror } from '../../../attestation/collateral/kds.ts';
import { toHex, utf8 } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import { DAY_MS, PRODUCTS } from '../../support/snp/pki.ts';
import { KDS_ORIGIN, kdsAt } from '../../support/vendors/lab.ts';
import { createSnpLab, endorsementsOf, type SnpLab } from '../../support/vendors/snp-lab.ts';

type Product = keyof typeof PRODUCTS;

function queryOf(product: Product = 'Genoa'): SnpQuery {
  const { hwId, tcb } = PRODUCTS[product];
  const names = { Milan: 'milan', Genoa: 'genoa', Turin: 'turin' } as const;
  return { product: names[product], signer: 'vcek', chip: { hwid: toHex(hwId), tcb } };
}

for (const product of ['Milan', 'Genoa', 'Turin'] as const) {
  test(`a machine of ${product} verifies with what KDS serves, one request in ten seconds`, async () => {
    const lab = await createSnpLab({ product });
    const store = await lab.open();
    const startMs = lab.time.now();
    const endorsements = await lab.time.settle(store.snp(queryOf(product), lab.signal));
    assert.ok(lab.accepts(endorsements));
    assert.equal(lab.desk.asked.length, 3);
    assert.equal(lab.time.now() - startMs, 20_000);
    assert.deepEqual(await store.snp(queryOf(product), lab.signal), endorsements);
    assert.equal(lab.desk.asked.length, 3);
  });
}

test('the chain is asked for before the chip, and lists before chips', async () => {
  const lab = await createSnpLab();
  const store = await lab.open();
  await lab.time.settle(store.snp(queryOf(), lab.signal));
  assert.deepEqual(
    lab.desk.asked.map(({ path }) => path.replace(/\/[0-9a-f]{128}\?.*/, '/chip')),
    ['/vcek/v1/Genoa/cert_chain', '/vcek/v1/Genoa/crl', '/vcek/v1/Genoa/chip'],
  );
});

test('everything that came with the evidence and holds needs nobody', async () => {
  const lab = await createSnpLab();
  // The chain is the program's own, as it is for AMD's real products.
  const { intermediate, root } = endorsementsOf(lab.sound);
  const chain = { body: new Uint8Array(), chain: pem(intermediate, root) };
  const amd = {
    ...lab.authority,
    builtIn: (item: { readonly kind: string }) => (item.kind === 'amd-chain' ? chain : undefined),
  };
  const store = await lab.open({ amd });
  const offered = endorsementsOf(lab.sound);
  assert.ok(lab.accepts(await store.snp({ ...queryOf(), offered }, lab.signal)));
  assert.equal(lab.desk.asked.length, 0);
  // Chip and list are kept for the next time, the disk included.
  const later = await lab.open({ amd, offline: true });
  assert.ok(lab.accepts(await later.snp(queryOf(), lab.signal)));
});

function pem(...certificates: readonly Uint8Array[]): string {
  return certificates
    .map(
      (der) =>
        `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`,
    )
    .join('');
}

for (const part of ['vek', 'crl', 'intermediate'] as const) {
  test(`a spoilt ${part} that came with the evidence is replaced by the store's own`, async () => {
    const lab = await createSnpLab();
    const store = await lab.open();
    await lab.time.settle(store.snp(queryOf(), lab.signal));
    const offered = { ...endorsementsOf(lab.sound), [part]: utf8('spoilt') };
    assert.ok(lab.accepts(await store.snp({ ...queryOf(), offered }, lab.signal)));
    assert.equal(lab.desk.asked.length, 3);
  });
}

test("AMD's own chains come with the program: a real product never asks for one", async () => {
  const lab = await createSnpLab();
  const store = await lab.open({ amd: createAmdAuthority() });
  // This test's chip is no real one, so the vendor's answer does not hold under AMD's roots.
  await assert.rejects(lab.time.settle(store.snp(queryOf(), lab.signal)));
  assert.equal(lab.desk.count(/cert_chain/), 0);
});

test('a VLEK comes with the evidence or not at all', async () => {
  const lab = await createSnpLab({ signer: 'vlek' });
  const store = await lab.open();
  const query = { product: 'genoa', signer: 'vlek' } as const;
  await assert.rejects(
    lab.time.settle(store.snp(query, lab.signal)),
    (error) => hasCode(error, 'collateral.not_found') && !isRetry(error),
  );
  const { vek } = endorsementsOf(lab.sound);
  const endorsements = await lab.time.settle(store.snp({ ...query, offered: { vek } }, lab.signal));
  assert.ok(lab.accepts(endorsements));
  assert.equal(lab.desk.count(/^\/vcek/), 0);
});

test('without a list nothing is handed out, unless the operator says so', async () => {
  const lab = await createSnpLab();
  lab.desk.misbehave(/\/crl$/, { kind: 'status', status: 404 });
  const strict = await lab.open({ forgetful: true });
  await assert.rejects(lab.time.settle(strict.snp(queryOf(), lab.signal)));
  await lab.time.advance(60_000);
  const lenient = await lab.open({ forgetful: true, amdList: 'if-available' });
  const endorsements = await lab.time.settle(lenient.snp(queryOf(), lab.signal));
  assert.equal(endorsements.crl, undefined);
  // The policy of the verifier still asks for one.
  assert.equal(lab.accepts(endorsements), false);
});

test('a mirror is asked first, and at no pace', async () => {
  const lab = await createSnpLab();
  const mirror = kdsMirror({ origin: 'https://mirror.test', prefix: '/amd' });
  const startMs = lab.time.now();
  const store = await lab.open({
    sources: [mirror, kdsAt(KDS_ORIGIN)],
    ports: {
      fetch: async (request) => {
        const path = request.path.replace(/^\/amd/, '');
        return await lab.desk.fetch({ ...request, path });
      },
    },
  });
  assert.ok(lab.accepts(await store.snp(queryOf(), lab.signal)));
  assert.equal(lab.time.now(), startMs);
  assert.ok(lab.desk.asked.every(({ origin }) => origin === 'https://mirror.test'));
});

test('made-up chips are remembered as such, and a real one gets its turn among them', async () => {
  const lab = await createSnpLab();
  const store = await lab.open();
  await lab.time.settle(store.snp(queryOf(), lab.signal));
  const fake = (at: number): SnpQuery => ({
    ...queryOf(),
    chip: { hwid: at.toString(16).padStart(128, '0'), tcb: PRODUCTS.Genoa.tcb },
  });
  const crowd = Promise.allSettled(
    Array.from({ length: 200 }, (_, at) => store.snp(fake(at), lab.signal)),
  );
  // A machine that is known is not touched by it.
  assert.ok(lab.accepts(await store.snp(queryOf(), lab.signal)));
  // Of the crowd a handful is let in line, the others are told at once to come again.
  const outcomes = await lab.time.settle(crowd);
  const codes = outcomes.map(
    (outcome) =>
      outcome.status === 'rejected' && hasCode(outcome.reason, 'collateral.rate_limited'),
  );
  assert.ok(codes.filter((isLimited) => isLimited).length > 190);
  const asked = lab.desk.asked.length;
  assert.ok(asked < 13, String(asked));
});

test('KDS saying 429 stops everybody until it may be asked again', async () => {
  const lab = await createSnpLab();
  const store = await lab.open();
  const headers = { 'retry-after': '90' };
  const back = lab.desk.misbehave(/./, { kind: 'status', status: 429, headers });
  await assert.rejects(lab.time.settle(store.snp(queryOf(), lab.signal)), (error) =>
    hasCode(error, 'collateral.rate_limited'),
  );
  back();
  await lab.time.advance(89_999);
  await assert.rejects(lab.time.settle(store.snp(queryOf(), lab.signal)), isRetry);
  assert.equal(lab.desk.asked.length, 1);
  await lab.time.advance(1);
  assert.ok(lab.accepts(await lab.time.settle(store.snp(queryOf(), lab.signal))));
});

test('a chip whose answers are bad does not keep the others from KDS', async () => {
  const lab = await createSnpLab();
  const store = await lab.open();
  lab.desk.misbehave(/0000\?/, { kind: 'status', status: 500 });
  const bad = { ...queryOf(), chip: { hwid: '00'.repeat(64), tcb: PRODUCTS.Genoa.tcb } };
  await assert.rejects(lab.time.settle(store.snp(bad, lab.signal)), isRetry);
  assert.ok(lab.accepts(await lab.time.settle(store.snp(queryOf(), lab.signal))));
});

const WRONG: readonly (readonly [
  what: string,
  reason: string,
  query: (lab: SnpLab) => SnpQuery,
])[] = [
  [
    'another chip',
    'another chip',
    () => ({ ...queryOf(), chip: { hwid: 'ee'.repeat(64), tcb: PRODUCTS.Genoa.tcb } }),
  ],
  [
    'another TCB',
    'another TCB',
    () => ({
      ...queryOf(),
      chip: { hwid: toHex(PRODUCTS.Genoa.hwId), tcb: { ...PRODUCTS.Genoa.tcb, microcode: 85 } },
    }),
  ],
];

for (const [what, reason, query] of WRONG) {
  test(`the certificate of ${what} is not kept for the one asked for`, async () => {
    const lab = await createSnpLab();
    const store = await lab.open();
    const { vek } = lab.shelf.shown;
    lab.desk.misbehave(/\?/, {
      kind: 'instead',
      change: () => ({ status: 200, headers: {}, body: vek }),
    });
    await assert.rejects(
      lab.time.settle(store.snp(query(lab), lab.signal)),
      (error) => hasCode(error, 'collateral.invalid') && error.facts['reason'] === reason,
    );
    assert.ok([...lab.blobs.files.keys()].every((key) => !key.startsWith('amd.vcek')));
  });
}

test('a chain of another length is not kept', async () => {
  const lab = await createSnpLab();
  const { root } = lab.shelf.shown;
  for (const certificates of [[], [root], [root, root, root]]) {
    const body = utf8(pem(...certificates));
    const back = lab.desk.misbehave(/cert_chain/, {
      kind: 'instead',
      change: () => ({ status: 200, headers: {}, body }),
    });
    const store = await lab.open({ forgetful: true });
    await assert.rejects(
      lab.time.settle(store.snp(queryOf(), lab.signal)),
      (error) => hasCode(error, 'collateral.invalid') && error.facts['kind'] === 'amd-chain',
    );
    back();
  }
});

test('a certificate that names another product than its CAs is not kept', async () => {
  const lab = await createSnpLab();
  const { vek } = endorsementsOf(await lab.make({ chain: { facts: { productName: 'Milan' } } }));
  lab.shelf.shown = { ...lab.shelf.shown, vek };
  const store = await lab.open();
  await assert.rejects(
    lab.time.settle(store.snp(queryOf(), lab.signal)),
    (error) => hasCode(error, 'collateral.invalid') && error.facts['reason'] === 'another product',
  );
});

test('a chain of another product, another signer or another root is not kept', async () => {
  const lab = await createSnpLab();
  const { root, intermediate } = lab.shelf.shown;
  const asvk = endorsementsOf(await lab.make({ signer: 'vlek' }));
  const milan = endorsementsOf(await lab.make({ product: 'Milan' }));
  const unsigned = endorsementsOf(
    await lab.make({ chain: { intermediate: { signedBy: lab.pki.rsa.asvk.privateKey } } }),
  );
  for (const [shown, reason] of [
    [{ intermediate: asvk.intermediate, root }, 'another intermediate'],
    [{ intermediate: milan.intermediate, root: milan.root }, 'another root'],
    [{ intermediate: root, root }, 'another intermediate'],
    [{ intermediate, root: intermediate }, 'another root'],
    [{ intermediate: unsigned.intermediate, root }, 'not of the root'],
  ] as const) {
    lab.shelf.shown = { ...lab.shelf.shown, ...shown };
    const store = await lab.open({ forgetful: true });
    await assert.rejects(
      lab.time.settle(store.snp(queryOf(), lab.signal)),
      (error) => hasCode(error, 'collateral.invalid') && error.facts['reason'] === reason,
    );
  }
});

test('a list that its root did not sign, that is past its end, or from the future is not kept', async () => {
  const lab = await createSnpLab();
  const stranger = await lab.make({ crl: { signedBy: lab.pki.rsa.ask.privateKey } });
  const stale = await lab.make({
    crl: { profile: (profile) => ({ ...profile, nextUpdateMs: lab.time.now() - 1000 }) },
  });
  const future = await lab.make({
    crl: { profile: (profile) => ({ ...profile, thisUpdateMs: lab.time.now() + DAY_MS }) },
  });
  for (const [bad, code] of [
    [stranger, 'collateral.invalid'],
    [stale, 'collateral.expired'],
    [future, 'collateral.invalid'],
  ] as const) {
    lab.shelf.shown = { ...lab.shelf.shown, crl: endorsementsOf(bad).crl };
    const store = await lab.open({ forgetful: true });
    await assert.rejects(lab.time.settle(store.snp(queryOf(), lab.signal)), (error) =>
      hasCode(error, code),
    );
  }
});

test('a list from before an intermediate was taken back is not put in the place of the newer one', async () => {
  const lab = await createSnpLab();
  const store = await lab.open();
  const old = lab.shelf.shown;
  const newer = await lab.make({
    crl: {
      profile: (profile) => ({
        ...profile,
        thisUpdateMs: profile.thisUpdateMs + DAY_MS,
        revoked: [
          {
            serial: lab.sound.certificates.intermediate.profile.serial,
            revokedMs: profile.thisUpdateMs,
          },
        ],
      }),
    },
  });
  lab.shelf.shown = { ...old, crl: endorsementsOf(newer).crl };
  await lab.time.settle(store.snp(queryOf(), lab.signal));
  const endorsements = await store.snp({ ...queryOf(), offered: old }, lab.signal);
  assert.equal(lab.accepts(endorsements), false);
  assert.deepEqual(endorsements.crl, endorsementsOf(newer).crl);
});

test('chips are asked for once in years, lists every day', async () => {
  const lab = await createSnpLab();
  const store = await lab.open();
  await lab.time.settle(store.snp(queryOf(), lab.signal));
  for (let day = 0; day < 5; day++) {
    await lab.time.advance(DAY_MS);
    await lab.time.settle(store.refreshDue(lab.time.now(), lab.signal));
  }
  assert.equal(lab.desk.count(/\?/), 1);
  assert.equal(lab.desk.count(/cert_chain/), 1);
  assert.equal(lab.desk.count(/crl/), 6);
});

test('with a development root that is known by its digest alone, lists cannot be judged', async () => {
  const lab = await createSnpLab();
  const amd = createAmdAuthority(lab.sound.anchors);
  const store = await lab.open({ amd });
  await assert.rejects(
    lab.time.settle(store.snp(queryOf(), lab.signal)),
    (error) => hasCode(error, 'collateral.invalid') && error.facts['kind'] === 'amd-crl',
  );
});

test('a chip whose certificate came with a chain that does not last is asked for again under the right one', async () => {
  const lab = await createSnpLab();
  // The same names and root, an intermediate of its own: as if AMD had taken it back.
  const old = endorsementsOf(
    await lab.make({
      chain: {
        root: { der: () => lab.sound.certificates.root.der },
        intermediate: { keys: lab.pki.rsa.asvk },
      },
    }),
  );
  lab.desk.misbehave(/./, { kind: 'unreachable' });
  const store = await lab.open({ amdList: 'if-available' });
  const first = await lab.time.settle(store.snp({ ...queryOf(), offered: old }, lab.signal));
  assert.deepEqual(first.intermediate, old.intermediate);
  assert.deepEqual(first.vek, old.vek);
  assert.equal(lab.blobs.files.has('amd.chain.genoa.vcek'), false);
  lab.desk.behave();
  await lab.time.advance(3_600_000);
  assert.ok(lab.accepts(await lab.time.settle(store.snp(queryOf(), lab.signal))));
});
