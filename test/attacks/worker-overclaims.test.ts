/**
 * A worker wants more than it earned: beyond what was reserved, the same answer twice, answers nobody asked it for, another
 * worker's. Whatever it signs, what it is owed is its part of what a client was charged, and the gateway adds nothing.
 * Spec: ton-settlement §4.7, §4.12 (worker → gateway: 0).
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomBytes } from '#primitives';
import { amount } from '../../settlement/money.ts';
import { AMOUNT_MAX } from '../../settlement/money.ts';
import { LEDGERS } from '../../settlement/ledger/ledgers.ts';
import {
  fundedChannel,
  NOW_MS,
  openLab,
  POLICY,
  receiptOf,
  reserveOf,
  settleOf,
  WORKER,
} from '../support/ledger-lab.ts';

const NEED = 100n;
const GREED = [NEED + 1n, 10n * NEED, AMOUNT_MAX];

test('what a worker is owed is its part of what was charged, whatever its receipts say', async (context) => {
  const lab = await openLab(LEDGERS[0]);
  context.after(() => lab.end());
  const ledger = lab.ledger();
  const channel = await fundedChannel(ledger);
  const stranger = randomBytes(32);
  for (const asked of GREED) {
    const request = reserveOf(channel.id, NEED);
    await ledger.reserve(request);
    const { requestId } = request;
    const foreign = receiptOf(requestId, NEED, { workerId: stranger });
    const refused = await ledger.settle({ receipt: foreign, policyDigest: POLICY, nowMs: NOW_MS });
    assert.equal(refused.outcome, 'refused', 'nobody asked that worker');
    const settled = await ledger.settle(settleOf(requestId, asked));
    assert.ok(settled.outcome === 'settled');
    const again = await ledger.settle(settleOf(requestId, asked));
    assert.ok(again.outcome === 'settled');
    assert.deepEqual(again.statement, settled.statement, 'once');
    const invented = await ledger.settle(settleOf(randomBytes(16), asked));
    assert.equal(invented.outcome, 'refused');
  }
  const account = await ledger.findAccount(channel.id);
  const fair = BigInt(GREED.length) * NEED;
  assert.equal(account?.charged, fair);
  const { earned } = await ledger.findWorker(WORKER, 'TON');
  const plan = {
    queryId: 1n,
    asset: 'TON',
    payees: [WORKER, stranger].map((workerId) => ({ workerId, destination: 'EQ' })),
    minimum: amount(1n),
    validUntilMs: NOW_MS,
  } as const;
  const { payouts } = await ledger.planPayouts(plan);
  const paid = payouts.reduce((sum, { amount: part }) => sum + part, 0n);
  context.diagnostic(`charged ${fair}, owed ${earned}, gateway keeps ${fair - paid}`);
  assert.equal(earned, (fair * 9500n) / 10_000n);
  assert.equal(paid, earned);
  assert.ok(paid <= account.charged, 'the gateway adds nothing of its own');
});
