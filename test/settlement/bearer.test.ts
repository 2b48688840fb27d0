/** Vouchers as bearer tokens, and what narrowing one allows. Spec: ton-settlement §4.4. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519, randomBytes } from '#primitives';
import { toBase64Url } from '../../core/bytes.ts';
import {
  forbiddenBy,
  formatBearer,
  isNarrowedFrom,
  narrow,
  parseBearerUnverified,
  type Bearer,
  type Caveat,
} from '../../settlement/bearer.ts';
import { amount } from '../../settlement/money.ts';
import { signVoucher } from '../../settlement/voucher.ts';

const REFUSED = { code: 'settlement.artefact' };
const PAYER = generateEd25519();
const VOUCHER = signVoucher(PAYER.secretKey, {
  channel: randomBytes(32),
  epoch: 1,
  ceiling: amount(1000n),
});
const WHOLE: Bearer = { kind: 'whole', voucher: VOUCHER };
const CAVEATS: readonly Caveat[] = [
  { kind: 'expiry', notAfterMs: 5000 },
  { kind: 'models', models: ['a/b', 'c'] },
  { kind: 'request-cap', cap: amount(10n) },
];

function narrowed(caveats: readonly Caveat[], from: Bearer = WHOLE) {
  const bearer = caveats.reduce(narrow, from);
  assert.ok(bearer.kind === 'narrowed');
  return bearer;
}

test('whole and narrowed tokens come back from their text', () => {
  assert.deepEqual(parseBearerUnverified(formatBearer(WHOLE)), WHOLE);
  const bearer = narrowed(CAVEATS);
  const back = parseBearerUnverified(formatBearer(bearer));
  assert.deepEqual(back, bearer);
  assert.ok(back.kind === 'narrowed' && isNarrowedFrom(back, VOUCHER.signature));
});

test('caveats that were dropped, changed, added or put in another order break the tag', () => {
  const bearer = narrowed(CAVEATS);
  const [a, b, c] = CAVEATS;
  assert.ok(a && b && c);
  const laxer: Caveat = { kind: 'expiry', notAfterMs: 5001 };
  for (const caveats of [[a, b], [b, c], [], [a, c, b], [laxer, b, c], [...CAVEATS, a]]) {
    assert.ok(!isNarrowedFrom({ ...bearer, caveats }, VOUCHER.signature));
  }
  const terms = { ...bearer.terms, ceiling: amount(1001n) };
  assert.ok(!isNarrowedFrom({ ...bearer, terms }, VOUCHER.signature));
  assert.ok(!isNarrowedFrom(bearer, randomBytes(64)));
});

test('a holder of a narrowed token can narrow it further', () => {
  const bearer = narrowed([{ kind: 'models', models: ['c'] }], narrowed(CAVEATS));
  assert.ok(isNarrowedFrom(bearer, VOUCHER.signature));
});

test('all caveats hold at once, and exactly the broken one is named', () => {
  const use = { nowMs: 5000, model: 'c', need: 10n };
  assert.deepEqual(forbiddenBy(CAVEATS, use), []);
  assert.deepEqual(forbiddenBy(CAVEATS, { ...use, nowMs: 5001 }), ['expiry']);
  assert.deepEqual(forbiddenBy(CAVEATS, { ...use, model: 'a' }), ['models']);
  assert.deepEqual(forbiddenBy(CAVEATS, { ...use, need: 11n }), ['request-cap']);
  const both: readonly Caveat[] = [...CAVEATS, { kind: 'models', models: ['a/b'] }];
  assert.deepEqual(forbiddenBy(both, use), ['models']);
});

test('loose forms are refused', () => {
  const text = formatBearer(narrowed(CAVEATS));
  const [, terms = '', caveats = '', tag = ''] = text.split('.');
  const coded = (...bytes: number[]) => toBase64Url(Uint8Array.from(bytes));
  for (const wrong of [
    '',
    'sk-key',
    `vgv2${text.slice(4)}`,
    `${text}.x`,
    `vgv1.${terms}`,
    `vgv1.${terms}.${caveats}`,
    `vgv1.${terms}..${tag}`,
    `vgv1.${terms}.${coded(9, 1, 0)}.${tag}`,
    `vgv1.${terms}.${coded(1, 8, 0)}.${tag}`,
    `vgv1.${terms}.${coded(1, 8, 255, 255, 255, 255, 255, 255, 255, 255)}.${tag}`,
    `vgv1.${terms}.${coded(1, 7, 0, 0, 0, 0, 0, 0, 0)}.${tag}`,
    `vgv1.${terms}.${coded(2, 1, 255)}.${tag}`,
    `vgv1.${terms}.${coded(2, 0)}.${tag}`,
    `vgv1.${terms}.${caveats}.${tag.slice(1)}`,
    `vgv1.${terms}.${caveats}.${tag.slice(4)}`,
    `vgv1.${'A'.repeat(3000)}`,
  ]) {
    assert.throws(() => parseBearerUnverified(wrong), REFUSED, wrong.slice(0, 60));
  }
});

test('more caveats, or longer ones, than a reader takes are not made', () => {
  const [first] = CAVEATS;
  assert.ok(first);
  assert.throws(() => narrowed(Array.from({ length: 17 }, () => first)), REFUSED);
  const models = Array.from({ length: 16 }, (_, i) => `m${i}${'x'.repeat(30)}`);
  assert.throws(() => narrowed([{ kind: 'models', models }]), REFUSED);
  for (const bad of [[], ['a,b'], ['']]) {
    assert.throws(() => narrowed([{ kind: 'models', models: bad }]), REFUSED);
  }
});
