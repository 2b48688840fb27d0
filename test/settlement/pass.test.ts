/** Passes and tokens: their texts, and what each caveat allows. Spec: ton-settlement §4.4. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519, randomBytes } from '#primitives';
import { toBase64Url } from '../../core/bytes.ts';
import {
  endOf,
  forbiddenBy,
  formatPass,
  isPassSigned,
  parsePassUnverified,
  signPass,
  type Caveat,
} from '../../settlement/pass.ts';
import { amount } from '../../settlement/money.ts';
import { formatToken, isToken, parseTokenUnverified, signToken } from '../../settlement/token.ts';
import { signVoucher } from '../../settlement/voucher.ts';

const REFUSED = { code: 'settlement.artefact' };
const PAYER = generateEd25519();
const CHANNEL = randomBytes(32);
const VOUCHER = signVoucher(PAYER.secretKey, {
  channel: CHANNEL,
  epoch: 1,
  ceiling: amount(1000n),
});
const CAVEATS: readonly Caveat[] = [
  { kind: 'expiry', notAfterMs: 5000 },
  { kind: 'models', models: ['a/b', 'c'] },
  { kind: 'request-cap', cap: amount(10n) },
];

const passWith = (caveats: readonly Caveat[]) => signPass(PAYER.secretKey, CHANNEL, caveats);

test('passes and tokens come back from their text', () => {
  const pass = passWith(CAVEATS);
  const back = parsePassUnverified(formatPass(pass));
  assert.deepEqual(back, pass);
  assert.ok(isPassSigned(back, CHANNEL, PAYER.publicKey));
  assert.ok(!isPassSigned(back, CHANNEL, generateEd25519().publicKey));
  const token = signToken(PAYER.secretKey, VOUCHER, CAVEATS);
  const text = formatToken(token);
  assert.ok(isToken(text) && !isToken('vg_key'));
  assert.deepEqual(parseTokenUnverified(text), token);
  assert.deepEqual(token.pass.caveats.at(-1), { kind: 'ceiling', epoch: 1, ceiling: 1000n });
});

test('all caveats hold at once, and exactly the broken one is named', () => {
  const { caveats } = signToken(PAYER.secretKey, VOUCHER, CAVEATS).pass;
  const use = { nowMs: 5000, model: 'c', need: 10n, epoch: 1, ceiling: 1000n };
  assert.deepEqual(forbiddenBy(caveats, use), []);
  assert.deepEqual(forbiddenBy(caveats, { ...use, nowMs: 5001 }), ['expiry']);
  assert.deepEqual(forbiddenBy(caveats, { ...use, model: 'a' }), ['models']);
  assert.deepEqual(forbiddenBy(caveats, { ...use, need: 11n }), ['request-cap']);
  assert.deepEqual(forbiddenBy(caveats, { ...use, ceiling: 1001n }), ['ceiling']);
  assert.deepEqual(forbiddenBy(caveats, { ...use, epoch: 2 }), ['ceiling']);
  const both: readonly Caveat[] = [...caveats, { kind: 'models', models: ['a/b'] }];
  assert.deepEqual(forbiddenBy(both, use), ['models']);
  assert.equal(endOf([...caveats, { kind: 'expiry', notAfterMs: 4000 }]), 4000);
});

test('loose forms are refused', () => {
  const text = formatToken(signToken(PAYER.secretKey, VOUCHER, CAVEATS));
  const [, voucher = '', caveats = '', signature = ''] = text.split('.');
  const coded = (...bytes: number[]) => toBase64Url(Uint8Array.from(bytes));
  const end = [1, 8, 0, 0, 0, 0, 0, 0, 0, 1];
  for (const wrong of [
    '',
    'sk-key',
    `vgv2${text.slice(4)}`,
    `${text}.x`,
    `vgv1.${voucher}`,
    `vgv1.${voucher}.${caveats}`,
    `vgv1.${voucher}..${signature}`,
    // No end.
    `vgv1.${voucher}.${coded(2, 1, 97)}.${signature}`,
    `vgv1.${voucher}.${coded(...end, 9, 1, 0)}.${signature}`,
    `vgv1.${voucher}.${coded(...end, 4, 1, 0)}.${signature}`,
    `vgv1.${voucher}.${coded(1, 8, 0)}.${signature}`,
    `vgv1.${voucher}.${coded(1, 8, 255, 255, 255, 255, 255, 255, 255, 255)}.${signature}`,
    `vgv1.${voucher}.${coded(1, 7, 0, 0, 0, 0, 0, 0, 0)}.${signature}`,
    `vgv1.${voucher}.${coded(...end, 2, 1, 255)}.${signature}`,
    `vgv1.${voucher}.${coded(...end, 2, 0)}.${signature}`,
    `vgv1.${voucher}.${caveats}.${signature.slice(1)}`,
    `vgv1.${voucher}.${caveats}.${signature.slice(4)}`,
    `vgv1.${voucher.slice(1)}.${caveats}.${signature}`,
    `vgv1.${'A'.repeat(3000)}`,
  ]) {
    assert.throws(() => parseTokenUnverified(wrong), REFUSED, wrong.slice(0, 60));
  }
});

test('more caveats, or longer ones, than a reader takes are not signed, and none without an end', () => {
  const [first] = CAVEATS;
  assert.ok(first);
  assert.throws(() => passWith([]), REFUSED);
  assert.throws(() => passWith([{ kind: 'models', models: ['c'] }]), REFUSED);
  assert.throws(() => passWith(Array.from({ length: 17 }, () => first)), REFUSED);
  const models = Array.from({ length: 16 }, (_, i) => `m${i}${'x'.repeat(30)}`);
  assert.throws(() => passWith([first, { kind: 'models', models }]), REFUSED);
  for (const bad of [[], ['a,b'], ['']]) {
    assert.throws(() => passWith([first, { kind: 'models', models: bad }]), REFUSED);
  }
});
