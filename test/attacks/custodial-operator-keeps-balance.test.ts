/**
 * An API key's balance is money that the operator holds: no signature of its owner is needed to charge it, and no contract
 * gives it back. The operator can take all of it, and not one unit more; that is the price of paying without a channel, and
 * why the mode is off unless the operator writes that it holds balances.
 * Spec: ton-settlement D8, §4.12 (custodial operator → API-key user: whole prepaid balance).
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomBytes } from '#primitives';
import { GATEWAY_CONFIG } from '../../gateway/config.ts';
import { creditBalance } from '../../gateway/payments/balances.ts';
import { LEDGERS } from '../../settlement/ledger/ledgers.ts';
import { amount } from '../../settlement/money.ts';
import { NOW_MS, openLab, reserveOf, settleOf } from '../support/ledger-lab.ts';

const PREPAID = amount(1_000_000_000n);
const STEP = 70_000_000n;

test('an operator takes the whole balance, and nothing beyond it', async (context) => {
  const lab = await openLab(LEDGERS[0]);
  context.after(() => lab.end());
  const ledger = lab.ledger();
  const account = randomBytes(32);
  const credit = { account, asset: 'TON', amount: PREPAID, nowMs: NOW_MS } as const;
  await creditBalance(ledger, { ...credit, reference: 'a top-up' });
  await creditBalance(ledger, { ...credit, reference: 'a top-up' });
  let lost = 0n;
  for (let step = STEP; step > 0n;) {
    // Receipts that no worker signed: whoever has the ledger needs none.
    const request = reserveOf(account, step);
    if ((await ledger.reserve(request)).outcome !== 'reserved') {
      step /= 2n;
      continue;
    }
    assert.equal((await ledger.settle(settleOf(request.requestId, step))).outcome, 'settled');
    lost += step;
    assert.ok(lost <= PREPAID);
  }
  context.diagnostic(`prepaid ${PREPAID}, lost ${lost}`);
  assert.equal(lost, PREPAID);
});

test('nobody’s balance is held unless the operator says so in words', () => {
  const { settlement } = GATEWAY_CONFIG.parse({ dataDir: 'x' });
  assert.equal(settlement.custodial, 'refuse');
  const vague = { dataDir: 'x', settlement: { custodial: true } };
  assert.equal(GATEWAY_CONFIG.safeParse(vague).success, false);
});
