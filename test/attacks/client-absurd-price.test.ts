/**
 * A worker whose card asks a TON for each token, and a gateway that shows no other: one signature for one request covers all
 * that a channel may hold. @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { paidGateway, payingApp } from '../support/paying.ts';

const TON = 1_000_000_000n;

test('no voucher is signed for a price that nobody agreed to', async (context) => {
  const dear = TON * 1_000_000n;
  const prices = {
    asset: 'TON',
    base: 0n,
    prompt: dear,
    cached: dear,
    completion: dear,
    reasoning: dear,
  } as const;
  const gateway = await paidGateway(context, { prices });
  const app = payingApp(gateway);
  await assert.rejects(app.ask());
  const [ceiling = 0n] = gateway.books.vouchers;
  context.diagnostic(`first ceiling ${ceiling / TON} TON`);
  assert.equal(gateway.books.vouchers.length, 0);
});
