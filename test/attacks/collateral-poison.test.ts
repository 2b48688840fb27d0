/**
 * A mirror of a vendor answers with whatever it likes. Nothing of it is kept, nobody is admitted by it, and once an
 * honest answer comes everything works: a bad body can delay, never poison.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRetry } from '../../attestation/collateral/errors.ts';
import type { TdxCollateral } from '../../attestation/tdx/collateral.ts';
import { verifyTdx } from '../../attestation/tdx/verify.ts';
import { utf8 } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { damage } from '../support/changes.ts';
import { DAY_MS, NOW_MS } from '../support/tdx/pki.ts';
import type { Answer, Misbehaviour } from '../support/vendors/desk.ts';
import { createLab, type Lab } from '../support/vendors/lab.ts';

const QUERY = { fmspc: 'c0ffee000000', ca: 'platform' } as const;
const PARTS = [/\/tcb\?/, /\/qe\/identity/, /\/pckcrl/, /RootCA/] as const;

function withBody(body: Uint8Array): Misbehaviour {
  return { kind: 'instead', change: (answer) => ({ ...answer, body }) };
}

const EVERYWHERE: readonly (readonly [what: string, fault: Misbehaviour])[] = [
  ['nothing', withBody(new Uint8Array())],
  ['a web page', withBody(utf8('<html>Sign in to the network</html>'))],
  ['other JSON', withBody(utf8('{}'))],
  ['deep JSON', withBody(utf8('['.repeat(100_000)))],
  ['404', { kind: 'status', status: 404 }],
  ['410', { kind: 'status', status: 410 }],
  ['429', { kind: 'status', status: 429, headers: { 'retry-after': '1' } }],
  ['500', { kind: 'status', status: 500 }],
  ['204', { kind: 'status', status: 204 }],
  ['a redirect', { kind: 'status', status: 302, headers: { location: 'https://evil.test/' } }],
  ['silence', { kind: 'silent' }],
  ['half an answer', { kind: 'truncated' }],
  ['too large an answer', { kind: 'oversize' }],
  ['no connection', { kind: 'unreachable' }],
  [
    'a body that is too large, from a way out that did not notice',
    withBody(new Uint8Array(3 * 1024 * 1024).fill(0x30)),
  ],
  ['no issuer chain', { kind: 'instead', change: (answer) => ({ ...answer, headers: {} }) }],
];

async function withstands(lab: Lab, part: RegExp, fault: Misbehaviour): Promise<void> {
  const store = await lab.open();
  const back = lab.desk.misbehave(part, fault);
  await assert.rejects(store.tdx(QUERY, lab.signal), (error) => {
    assert.ok(error instanceof VeilError && error.code.startsWith('collateral.'), String(error));
    return true;
  });
  for (const key of lab.blobs.files.keys()) {
    assert.doesNotMatch(part.source, new RegExp(KEY_OF[key.split('.')[1] ?? ''] ?? '^$'), key);
  }
  back();
  // Long enough for every memory of bad answers to fade.
  await lab.time.advance(3_600_000);
  const collateral = await store.tdx(QUERY, lab.signal);
  assert.ok(verifyTdx({ ...lab.sound, collateral, nowMs: lab.time.now() }).accepted);
}

/** Which part a blob belongs to, to see that it is not there. */
const KEY_OF: Readonly<Record<string, string>> = {
  'tcb-info': 'tcb',
  'qe-identity': 'qe',
  'pck-crl': 'pckcrl',
  'root-crl': 'RootCA',
};

for (const [what, fault] of EVERYWHERE) {
  test(`a vendor that answers with ${what} delays and nothing else`, async () => {
    for (const part of PARTS) {
      // The root's list needs no chain beside it.
      if (what === 'no issuer chain' && part === PARTS[3]) continue;
      await withstands(await createLab(), part, fault);
    }
  });
}

test('genuine parts of another issue, platform or kind are not taken for the one asked for', async () => {
  const lab = await createLab();
  const other = await lab.make({
    certificates: { facts: { fmspc: Uint8Array.of(1, 2, 3, 4, 5, 6) } },
    collateral: { tcbInfoInput: { fmspc: Uint8Array.of(1, 2, 3, 4, 5, 6) } },
  });
  const { collateral } = lab.sound;
  const swapped: readonly (readonly [RegExp, Uint8Array])[] = [
    [PARTS[0], other.collateral.tcbInfo],
    [PARTS[0], collateral.qeIdentity],
    [PARTS[1], collateral.tcbInfo],
    [PARTS[2], collateral.rootCaCrl],
    [PARTS[3], collateral.pckCrl],
  ];
  for (const [part, body] of swapped) await withstands(await sameKeys(lab), part, withBody(body));
});

/** A fresh lab over the same hierarchy: labs of one process share their keys. */
async function sameKeys(lab: Lab): Promise<Lab> {
  const next = await createLab();
  next.intel.shown = lab.sound.collateral;
  return { ...next, sound: lab.sound };
}

test('a stale document, a stale list and one by a stranger are not kept', async () => {
  const past = { issueMs: NOW_MS - 40 * DAY_MS, nextUpdateMs: NOW_MS - 10 * DAY_MS };
  const old = { thisUpdateMs: past.issueMs, nextUpdateMs: past.nextUpdateMs };
  for (const [part, faults] of [
    [PARTS[0], { tcbInfoInput: past }],
    [PARTS[1], { qeIdentityInput: past }],
    [PARTS[2], { pckCrl: (profile: object) => ({ ...profile, ...old }) }],
    [PARTS[3], { rootCrl: (profile: object) => ({ ...profile, ...old }) }],
    [PARTS[0], { tcbInfoKey: 'stranger' }],
    [PARTS[1], { qeIdentityKey: 'stranger' }],
    [PARTS[2], { pckCrlKey: 'stranger' }],
    [PARTS[3], { rootCrlKey: 'stranger' }],
  ] as const) {
    const lab = await createLab();
    const keyed = Object.fromEntries(
      Object.entries(faults).map(([name, value]) => [
        name,
        value === 'stranger' ? lab.pki.strangerKeys.privateKey : value,
      ]),
    );
    const bad = (await lab.make({ collateral: keyed })).collateral;
    await withstands(lab, part, withBody(bodyOf(bad, part)));
  }
});

function bodyOf(collateral: TdxCollateral, part: RegExp): Uint8Array {
  if (part === PARTS[0]) return collateral.tcbInfo;
  if (part === PARTS[1]) return collateral.qeIdentity;
  return part === PARTS[2] ? collateral.pckCrl : collateral.rootCaCrl;
}

test('damage of any kind to any answer is noticed, or changes nothing', async () => {
  const lab = await createLab();
  const honest = await (await lab.open({ forgetful: true })).tdx(QUERY, lab.signal);
  for (let round = 0; round < 200; round++) {
    const part = PARTS[round % PARTS.length] ?? PARTS[0];
    const back = lab.desk.misbehave(part, {
      kind: 'instead',
      change: (answer): Answer => ({ ...answer, body: damage(answer.body, `poison ${round}`) }),
    });
    const store = await lab.open({ forgetful: true });
    try {
      assert.deepEqual(await store.tdx(QUERY, lab.signal), honest, `round ${round}`);
    } catch (error) {
      assert.ok(isRetry(error), `round ${round}: ${String(error)}`);
    }
    back();
  }
});

test('damage of any kind to any issuer chain is noticed, or changes nothing', async () => {
  const lab = await createLab();
  const honest = await (await lab.open({ forgetful: true })).tdx(QUERY, lab.signal);
  for (let round = 0; round < 150; round++) {
    const part = PARTS[round % 3] ?? PARTS[0];
    const back = lab.desk.misbehave(part, {
      kind: 'instead',
      change: (answer): Answer => ({
        ...answer,
        headers: Object.fromEntries(
          Object.entries(answer.headers).map(([name, value]) => [
            name,
            // Header text is bytes of one character each.
            String.fromCharCode(...damage(utf8(String(value)), `chain ${round}`)),
          ]),
        ),
      }),
    });
    const store = await lab.open({ forgetful: true });
    try {
      assert.deepEqual(await store.tdx(QUERY, lab.signal), honest, `round ${round}`);
    } catch (error) {
      assert.ok(isRetry(error), `round ${round}: ${String(error)}`);
    }
    back();
  }
});

test('the newest edition, genuine, shown by a worker, does not become the mandatory one for others', async () => {
  const lab = await createLab();
  const store = await lab.open();
  await store.tdx(QUERY, lab.signal);
  const newest = await lab.make({
    collateral: {
      tcbInfoInput: {
        evaluationNumber: 25,
        levels: [
          {
            sgx: Array.from({ length: 16 }, () => 200),
            tdx: Array.from({ length: 16 }, () => 200),
            pceSvn: 100,
            tcbStatus: 'UpToDate',
            tcbDay: '2026-05-01',
          },
        ],
      },
    },
  });
  await store.tdx({ ...QUERY, offered: newest.collateral }, lab.signal);
  const collateral = await store.tdx(QUERY, lab.signal);
  assert.ok(verifyTdx({ ...lab.sound, collateral, nowMs: NOW_MS }).accepted);
  await lab.time.advance(DAY_MS);
  const { failed } = await store.refreshDue(lab.time.now(), lab.signal);
  assert.equal(failed, 0);
});

test('what was asked for never comes from an address in a document or an answer', async () => {
  const lab = await createLab();
  const store = await lab.open();
  lab.desk.misbehave(/RootCA/, {
    kind: 'instead',
    change: (answer) => ({
      ...answer,
      headers: { location: 'https://evil.test/', link: '<https://evil.test/>; rel=next' },
      body: utf8('https://evil.test/root.crl'),
    }),
  });
  await assert.rejects(store.tdx(QUERY, lab.signal));
  assert.ok(lab.desk.asked.every(({ origin }) => origin === 'https://pcs.test'));
});
