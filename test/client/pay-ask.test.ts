/** Asking what became of a request: whoever answers too much, too late or something else has said nothing. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519, randomBytes } from '#primitives';
import { toHex } from '../../core/bytes.ts';
import type { Fetch } from '../../client/fetch-bounded.ts';
import { SETTLEMENT_MAX_BYTES } from '../../client/limits.ts';
import { askOver, type SettlementWord } from '../../client/pay/ask.ts';
import { amount } from '../../settlement/money.ts';
import { signPass } from '../../settlement/pass.ts';
import { signVoucher } from '../../settlement/voucher.ts';

const PAYER = generateEd25519();
const CHANNEL = randomBytes(32);
const ID = randomBytes(16);
const requestId = toHex(ID);
const SHOWN = {
  voucher: signVoucher(PAYER.secretKey, { channel: CHANNEL, epoch: 0, ceiling: amount(1n) }),
  pass: signPass(PAYER.secretKey, CHANNEL, [{ kind: 'expiry', notAfterMs: 1 }]),
};

function ask(fetch: Fetch, signal = new AbortController().signal): Promise<SettlementWord> {
  return askOver(fetch, 'https://gateway.test')(ID, SHOWN, signal);
}

const refusing = (status: number, code: string): Response =>
  Response.json({ error: { code } }, { status });

for (const [what, response, state] of [
  ['a word', () => Response.json({ requestId, state: 'released' }), 'released'],
  [
    'a word about another request',
    () => Response.json({ requestId: '00', state: 'released' }),
    'silent',
  ],
  ['a word that is none', () => Response.json({ requestId, state: 'paid' }), 'silent'],
  [
    'too much',
    () => Response.json({ requestId, state: 'released', x: 'x'.repeat(SETTLEMENT_MAX_BYTES) }),
    'silent',
  ],
  [
    'a receipt that is too long',
    () => Response.json({ requestId, state: 'settled', receipt: 'A'.repeat(800), statement: '' }),
    'silent',
  ],
  ['no JSON', () => new Response('x'), 'silent'],
  ['its own 404', () => refusing(404, 'unknown_url'), 'unknown'],
  ['the 404 of somebody on the way', () => refusing(404, 'not_here'), 'silent'],
  ['that it does not know the channel', () => refusing(402, 'channel_unknown'), 'unknown'],
  ['another refusal', () => refusing(403, 'pass_invalid'), 'silent'],
] as const satisfies readonly (readonly [string, () => Response, SettlementWord['state']])[]) {
  test(`${what} is ${state}`, async () => {
    assert.deepEqual(await ask(() => Promise.resolve(response())), { state });
  });
}

test('the question shows voucher and pass, and follows nobody', async () => {
  let asked: Parameters<Fetch> | undefined;
  await ask((...args) => {
    asked = args;
    return Promise.resolve(Response.json({ requestId, state: 'reserved' }));
  });
  assert.equal(asked?.[0], `https://gateway.test/v1/settlements/${requestId}`);
  assert.ok(asked[1].headers['x-vg-voucher'] && asked[1].headers['x-vg-pass']);
  assert.equal(asked[1].redirect, 'error');
});

test('whoever does not answer in time has said nothing', async () => {
  const over = new AbortController();
  const word = ask((_, { signal }) => {
    const { promise, reject } = Promise.withResolvers<Response>();
    signal.addEventListener('abort', () => reject(signal.reason));
    return promise;
  }, over.signal);
  over.abort();
  assert.deepEqual(await word, { state: 'silent' });
});
