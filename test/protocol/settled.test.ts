/** The notice of settlement: one text for one meaning. Spec: P§15.2. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixed, fromUtf8, utf8 } from '../../core/bytes.ts';
import { parseJson } from '../../core/json.ts';
import {
  encodeSettled,
  parseSettled,
  SETTLED_MAX_BYTES,
  type Settled,
} from '../../protocol/settled.ts';
import { CHANNEL_TERMS, channelTermsJson } from '../../settlement/channel-terms.ts';
import { refuses } from './sx/stage.ts';

const bytesOf = <N extends number>(size: N, fill: number) =>
  fixed(new Uint8Array(size).fill(fill), size);
const TERMS = {
  network: 'tvm:-239',
  payer: `0:${'1'.repeat(64)}`,
  payee: `0:${'2'.repeat(64)}`,
  payerKey: bytesOf(32, 3),
  payeeKey: bytesOf(32, 0),
  withdrawDelayS: 86_400,
  salt: 2n ** 64n - 1n,
};
const SETTLED: Settled = {
  statementHash: bytesOf(32, 4),
  workerSeq: 7n,
  asset: 'TON',
  earned: 2n ** 63n - 1n,
  paid: 0n,
  channel: { channel: bytesOf(32, 5), terms: TERMS, voucher: bytesOf(115, 6) },
  atMs: 1_800_000_000_000,
};
const TEXT = fromUtf8(encodeSettled(SETTLED));

test('what is read is what was said, with a channel and without one', () => {
  assert.deepEqual(parseSettled(encodeSettled(SETTLED)), SETTLED);
  const bare: Settled = { ...SETTLED, channel: null };
  assert.deepEqual(parseSettled(encodeSettled(bare)), bare);
  const promised: Settled = {
    ...SETTLED,
    channel: { channel: bytesOf(32, 5), terms: TERMS, voucher: null },
  };
  assert.deepEqual(parseSettled(encodeSettled(promised)), promised);
  assert.ok(encodeSettled(SETTLED).length < SETTLED_MAX_BYTES / 2);
});

test('the terms are those that a payer announces', () => {
  const announced = JSON.stringify(channelTermsJson(TERMS));
  const { channel } = Object(parseJson(utf8(TEXT), 10_000));
  assert.deepEqual(channel.terms, parseJson(utf8(announced), 10_000));
  assert.deepEqual(CHANNEL_TERMS.parse(channel.terms), TERMS);
});

const CHANGES: readonly (readonly [string, (text: string) => string])[] = [
  ['white space', (text) => text.replace(':', ': ')],
  ['a line at the end', (text) => `${text}\n`],
  [
    'members in another order',
    (text) => text.replace('"asset":"TON",', '').replace(/\}$/, ',"asset":"TON"}'),
  ],
  ['a member more', (text) => text.replace('{', '{"a":0,')],
  ['a member twice', (text) => text.replace('"asset":"TON",', '"asset":"TON","asset":"TON",')],
  ['a member less', (text) => text.replace('"asset":"TON",', '')],
  ['another format', (text) => text.replace('settled/1', 'settled/2')],
  ['another asset', (text) => text.replace('"TON"', '"BTC"')],
  ['a leading zero', (text) => text.replace('"workerSeq":"7"', '"workerSeq":"07"')],
  ['a sign', (text) => text.replace('"paid":"0"', '"paid":"-1"')],
  ['a sum beyond 63 bits', (text) => text.replace('9223372036854775807', '9223372036854775808')],
  ['a salt beyond 64 bits', (text) => text.replace('18446744073709551615', '18446744073709551616')],
  ['a number as number', (text) => text.replace('"workerSeq":"7"', '"workerSeq":7')],
  ['a fraction of a moment', (text) => text.replace('1800000000000', '1800000000000.5')],
  ['upper-case hex', (text) => text.replace('0505', '0A05')],
  ['an address of another chain', (text) => text.replace('"0:222', '"-1:222')],
  ['loose bits in base64url', (text) => text.replace('AwM"', 'AwN"')],
  ['a voucher of another size', (text) => text.replace('"voucher":"BgYG', '"voucher":"BgY')],
];

for (const [what, change] of CHANGES) {
  test(`refused: ${what}`, () => {
    const changed = change(TEXT);
    assert.notEqual(changed, TEXT);
    refuses(() => parseSettled(utf8(changed)), 'settled.format');
  });
}

test('refused: too long, not JSON, not UTF-8', () => {
  refuses(() => parseSettled(new Uint8Array(SETTLED_MAX_BYTES + 1).fill(0x20)), 'settled.format');
  refuses(() => parseSettled(utf8('[]')), 'settled.format');
  refuses(() => parseSettled(Uint8Array.of(0xff)), 'settled.format');
});
