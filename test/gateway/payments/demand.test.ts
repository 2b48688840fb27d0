/** What stands beside a 402. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixed } from '../../../core/bytes.ts';
import { demandHeaders } from '../../../gateway/payments/demand.ts';
import { amount } from '../../../settlement/money.ts';
import { parsePaymentRequired, PAYMENT_REQUIRED_HEADER } from '../../../settlement/x402.ts';

const ZERO = fixed(new Uint8Array(32), 32);
const PAYEE = {
  network: 'tvm:-217',
  address: `0:${'00'.repeat(32)}`,
  key: ZERO,
  codeHash: ZERO,
  withdrawDelayMinS: 600,
  depositMin: amount(1n),
};
const SETTLEMENT = { payee: PAYEE, feeBps: 0, ledgerKeys: [] };
const REFUSAL = { code: 'asset_unsupported', need: amount(5n), account: undefined } as const;

test('a channel is asked for where one would pay, and not for an asset that none is of', () => {
  const headers = demandHeaders(SETTLEMENT, { ...REFUSAL, asset: 'TON' });
  assert.equal(parsePaymentRequired(headers[PAYMENT_REQUIRED_HEADER] ?? '').amount, 5n);
  assert.deepEqual(demandHeaders(SETTLEMENT, { ...REFUSAL, asset: 'USDT' }), {});
  assert.deepEqual(demandHeaders({ ...SETTLEMENT, payee: null }, { ...REFUSAL, asset: 'TON' }), {});
});
