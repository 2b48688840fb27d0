/** The worker card: its strict reader and the names derived from it. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#primitives';
import {
  cardDigestOf,
  encodeCard,
  ownerSignatureInput,
  parseCard,
  workerIdOf,
} from '../../attestation/card.ts';
import { fromUtf8, utf8 } from '../../core/bytes.ts';
import { VeilError, hasCode } from '../../core/errors.ts';
import { testCard } from '../support/worker-evidence.ts';

test('a card comes back as it was written', () => {
  for (const payout of [null, `0:${'ab'.repeat(32)}`, 'E'.repeat(48)]) {
    const card = testCard({ payout });
    assert.deepEqual(parseCard(encodeCard(card)), { fmt: 'veilgate.card/1', ...card });
  }
});

test('the worker’s name and the price digest follow the specification', () => {
  const card = testCard();
  assert.deepEqual(
    workerIdOf(card.owner),
    sha256(utf8('veilgate.worker/1'), Uint8Array.of(0), card.owner),
  );
  assert.deepEqual(cardDigestOf(encodeCard(card)), sha256(encodeCard(card)));
  assert.deepEqual(ownerSignatureInput(card.owner), card.owner);
});

const WRONG_EDITS: readonly (readonly [
  what: string,
  edit: (text: string) => string,
  code: string,
])[] = [
  ['a fractional price', (t) => t.replace('"base":1000', '"base":0.5'), 'card.malformed'],
  ['a repeated member', (t) => t.replace('{', '{"payout":null,'), 'card.malformed'],
  ['another format', (t) => t.replace('card/1', 'card/2'), 'card.format'],
  ['an unknown member', (t) => t.replace('{', '{"a":1,'), 'card.schema'],
  ['a negative price', (t) => t.replace('"base":1000', '"base":-1'), 'card.schema'],
  ['no price for cached tokens', (t) => t.replace('"cached":1,', ''), 'card.schema'],
  ['another asset', (t) => t.replace('"TON"', '"BTC"'), 'card.schema'],
  ['a limit of nothing', (t) => t.replace('"maxConcurrent":4', '"maxConcurrent":0'), 'card.schema'],
  [
    'a limit beyond u32',
    (t) => t.replace('"maxOutputTokens":1024', '"maxOutputTokens":4294967296'),
    'card.schema',
  ],
  ['a model id with a space', (t) => t.replace('test/model', 'test model'), 'card.schema'],
  ['a capability twice', (t) => t.replace('["chat"]', '["chat","chat"]'), 'card.schema'],
  [
    'a payout that is no address',
    (t) => t.replace('"payout":null', '"payout":"me"'),
    'card.schema',
  ],
  ['a short owner key', (t) => t.replace(/"owner":"[^"]*"/, '"owner":"AAAA"'), 'card.schema'],
  ['no member at all', () => '{}', 'card.schema'],
];

for (const [what, edit, code] of WRONG_EDITS) {
  test(`a card with ${what} is refused with ${code}`, () => {
    const before = fromUtf8(encodeCard(testCard()));
    const after = edit(before);
    assert.notEqual(after, before);
    assert.throws(
      () => parseCard(utf8(after)),
      (error) => hasCode(error, code),
    );
  });
}

test('a price that JSON integers cannot hold is not written', () => {
  const prices = { ...testCard().prices, base: 2n ** 53n };
  assert.throws(
    () => encodeCard(testCard({ prices })),
    (error) => hasCode(error, 'card.schema'),
  );
});

test('cached tokens cost no more than others, so that nobody gains by calling them cached', () => {
  const prices = { ...testCard().prices, prompt: 2n, cached: 3n };
  assert.throws(
    () => encodeCard(testCard({ prices })),
    (error) => hasCode(error, 'card.schema'),
  );
  const alike = { ...prices, cached: 2n };
  assert.equal(parseCard(encodeCard(testCard({ prices: alike }))).prices.cached, 2n);
});

test('every truncation of a card ends in a coded error', () => {
  const bytes = encodeCard(testCard());
  for (let size = 0; size < bytes.length; size++) {
    assert.throws(
      () => parseCard(bytes.slice(0, size)),
      (error) => error instanceof VeilError && error.code.startsWith('card.'),
    );
  }
});
