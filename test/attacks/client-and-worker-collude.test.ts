/**
 * A client and a worker are one: it asks itself for answers, signs the dearest receipts, is paid by the gateway as a worker,
 * and takes its deposit back as a client. It gets back less than it brought, and the gateway its fee. Only what a gateway
 * gives away itself, credit that nobody paid in, can be carried off.
 * Spec: ton-settlement §4.12 (client + worker → gateway: 0 except promotional credit).
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address } from '@ton/core';
import { randomBytes } from '#primitives';
import { creditBalance } from '../../gateway/payments/balances.ts';
import { amount } from '../../settlement/money.ts';
import {
  finalizeWithdrawBody,
  requestWithdrawBody,
} from '../../settlement/ton/contracts/pay-channel.ts';
import { reserveOf, settleOf, WORKER } from '../support/ledger-lab.ts';
import { OWNER, PAYEES, TON, withSettler, type SettlerLab } from '../support/settler-lab.ts';

const OPTIONS = { providers: 2, payees: PAYEES } as const;
const DEPOSIT = 5n * TON;
const USED = 2n * TON;
/** One payout, and the claim that pays its own gas. */
const FEES_MAX = TON / 20n;

async function treasury(lab: SettlerLab): Promise<bigint> {
  return await lab.balanceOf(lab.treasury.address);
}

async function paidOut(lab: SettlerLab): Promise<boolean> {
  return (await lab.ledger.findWorker(WORKER, 'TON')).paid > 0n;
}

test('whoever is both loses the fee, and the gateway nothing', async (context) => {
  await withSettler(OPTIONS, async (lab) => {
    await lab.devnet.faucet(Address.parse(lab.treasury.address), 10n * TON);
    const before = await treasury(lab);
    const channel = await lab.open(DEPOSIT);
    await lab.use(channel, USED);
    const body = requestWithdrawBody(0n, 0n);
    await lab.pay({ to: channel.address, nanoton: TON / 10n, body });
    await lab.rounds(() => paidOut(lab));
    await lab.rounds(async () => (await lab.onChain(channel)).claimed === USED);
    await lab.devnet.forward(3700);
    const finish = finalizeWithdrawBody(0n);
    await lab.pay({ to: channel.address, nanoton: TON / 10n, body: finish });
    const gain = (await treasury(lab)) - before;
    const { refunded, deposited } = await lab.onChain(channel);
    const colluders = refunded + (await lab.balanceOf(OWNER)) - deposited;
    context.diagnostic(`gateway ${gain}, colluders ${colluders}`);
    const fee = USED / 20n;
    assert.ok(gain > 0n && gain <= fee && gain > fee - FEES_MAX, `${gain}`);
    assert.ok(colluders <= -fee, `${colluders}`);
  });
});

test('credit that was given away is what can be carried off, and no more', async (context) => {
  await withSettler(OPTIONS, async (lab) => {
    await lab.devnet.faucet(Address.parse(lab.treasury.address), 10n * TON);
    const before = await treasury(lab);
    const account = randomBytes(32);
    const promised = amount(2n * TON);
    await creditBalance(lab.ledger, {
      account,
      asset: 'TON',
      amount: promised,
      reference: 'a welcome',
      nowMs: lab.now(),
    });
    let used = 0n;
    for (let again = 0; again < 4; again++) {
      const request = reserveOf(account, TON);
      if ((await lab.ledger.reserve(request)).outcome !== 'reserved') continue;
      assert.equal((await lab.ledger.settle(settleOf(request.requestId, TON))).outcome, 'settled');
      used += TON;
    }
    assert.equal(used, promised);
    await lab.rounds(() => paidOut(lab));
    const lost = before - (await treasury(lab));
    const carried = await lab.balanceOf(OWNER);
    context.diagnostic(`given ${promised}, lost ${lost}, carried off ${carried}`);
    assert.ok(lost > 0n && lost <= promised);
    assert.ok(carried > 0n && carried <= (promised * 95n) / 100n);
  });
});
