/**
 * Workers are paid exactly once, whatever becomes of messages and processes: dropped, held, doubled, late, failed; and a
 * crash between any two steps. Spec: ton-settlement §4.7, §4.11, §7 L8.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address } from '@ton/core';
import type { Ledger } from '../../../settlement/ledger/ledger.ts';
import { amount } from '../../../settlement/money.ts';
import type { SettlerPolicy } from '../../../settlement/settler/policy.ts';
import type { TonChain } from '../../../settlement/ton/chain.ts';
import { openHighloadWallet } from '../../../settlement/ton/wallet/highload.ts';
import type { Fault } from '../../../settlement/ton/devnet/devnet.ts';
import { fragile } from '../../support/fragile.ts';
import { WORKER } from '../../support/ledger-lab.ts';
import {
  OWNER,
  PAYEES,
  seed,
  TIMEOUT_S,
  TON,
  withSettler,
  type SettlerLab,
} from '../../support/settler-lab.ts';
import { MODES } from '../ton/devnet/wallets.ts';

const NEVER_MS = 1_000_000_000_000_000;
/** Only by amount: a sweep would pay what these tests leave owed. */
const POLICY: Partial<SettlerPolicy> = {
  payouts: { amount: amount(TON), ageMs: NEVER_MS, agedAmount: amount(1n) },
};
const AMPLE = 100n * TON;
/** 2 TON charged, five hundredths of which the gateway keeps. */
const EARNED = (TON * 19n) / 10n;

async function earn(lab: SettlerLab): Promise<void> {
  const channel = await lab.open(5n * TON);
  await lab.devnet.faucet(Address.parse(lab.treasury.address), 10n * TON);
  await lab.use(channel, 2n * TON);
}

async function owed(ledger: Ledger) {
  const { earned, planned, paid } = await ledger.findWorker(WORKER, 'TON');
  return { earned, planned, paid };
}

async function assertPaidOnce(lab: SettlerLab): Promise<void> {
  assert.deepEqual(await owed(lab.ledger), { earned: EARNED, planned: 0n, paid: EARNED });
  const got = await lab.balanceOf(OWNER);
  assert.ok(got > EARNED - TON / 100n && got <= EARNED, `${got}`);
  for (let more = 0; more < 3; more++) await lab.settler.round();
  assert.equal(await lab.balanceOf(OWNER), got);
  assert.equal(lab.settler.status().isHalted, false);
}

async function isPaid(lab: SettlerLab): Promise<boolean> {
  return (await owed(lab.ledger)).paid > 0n;
}

for (const { mode, blockTimeMs } of MODES) {
  test(`a worker that is owed enough is paid, once (${mode})`, async () => {
    const options = { blockTimeMs, providers: 2, payees: PAYEES, policy: POLICY } as const;
    await withSettler(options, async (lab) => {
      await earn(lab);
      await lab.rounds(() => isPaid(lab));
      await assertPaidOnce(lab);
    });
  });
}

const TROUBLES: readonly (readonly [what: string, faults: readonly Fault[]])[] = [
  ['lost', [{ kind: 'drop', times: 2 }]],
  ['doubled', [{ kind: 'duplicate' }]],
  ['held back', [{ kind: 'hold', blocks: 3, times: 1 }]],
  ['sent to a provider that hangs up', [{ kind: 'hang_up', method: 'sendBoc', times: 3 }]],
  ['followed by old answers', [{ kind: 'stale', blocks: 2, times: 6 }]],
];

for (const [what, faults] of TROUBLES) {
  test(`a payout that is ${what} is paid once`, async () => {
    await withSettler({ payees: PAYEES, policy: POLICY, rampCap: AMPLE }, async (lab) => {
      await earn(lab);
      for (const fault of faults) lab.devnet.inject(fault);
      await lab.rounds(async () => {
        await lab.devnet.mine(1);
        return await isPaid(lab);
      });
      lab.devnet.faults.clear();
      await assertPaidOnce(lab);
      assert.equal(lab.named('settler.payouts_planned').length, 1);
    });
  });
}

test('a payout whose message never arrived is planned again once its time is over, and not before', async () => {
  await withSettler({ payees: PAYEES, policy: POLICY, rampCap: AMPLE }, async (lab) => {
    await earn(lab);
    lab.devnet.inject({ kind: 'drop' });
    await lab.settler.round();
    await lab.devnet.forward(TIMEOUT_S);
    await lab.settler.round();
    assert.equal((await owed(lab.ledger)).planned, EARNED);
    await lab.devnet.forward(120);
    await lab.settler.round();
    assert.equal(lab.named('settler.order_failed')[0]?.fields['why'], 'expired');
    lab.devnet.faults.clear();
    await lab.rounds(() => isPaid(lab));
    await assertPaidOnce(lab);
    assert.equal(lab.named('settler.payouts_planned').length, 2);
  });
});

test('a batch that the wallet could not carry out is paid by another, after its time', async () => {
  await withSettler({ payees: PAYEES, policy: POLICY, rampCap: AMPLE }, async (lab) => {
    await earn(lab);
    // The wallet has less than the books believe when they plan.
    const account = Address.parse(lab.treasury.address);
    const wallet = openHighloadWallet(seed(43), { timeoutS: TIMEOUT_S });
    const { balanceNanoton } = await lab.chain.readAccount(account);
    lab.devnet.inject({ kind: 'drop' });
    await lab.settler.round();
    lab.devnet.faults.clear();
    const away = wallet.batch({
      number: 5,
      payments: [{ to: lab.wallet.address, nanoton: balanceNanoton - TON }],
      createdAtS: lab.devnet.nowS() - 100,
      wallet: 'new',
    });
    await lab.chain.send(away.message);
    await lab.settler.round();
    assert.equal(lab.named('settler.foreign_order').length > 0, true);
    assert.equal(await lab.balanceOf(OWNER), 0n);
    await lab.devnet.faucet(account, 10n * TON);
    await lab.devnet.forward(TIMEOUT_S + 120);
    await lab.settler.round();
    assert.equal((await owed(lab.ledger)).planned, 0n);
    await lab.settler.round();
    assert.equal((await owed(lab.ledger)).planned, 0n, 'it pays nobody until somebody has looked');
    await lab.restart();
    await lab.rounds(() => isPaid(lab));
    await assertPaidOnce(lab);
  });
});

test('nobody is paid what the treasury does not have, nor without an address', async () => {
  const payees = [{ workerId: seed(1), destination: 'nowhere' }, ...PAYEES];
  await withSettler({ payees, policy: POLICY, rampCap: AMPLE }, async (lab) => {
    const channel = await lab.open(5n * TON);
    await lab.use(channel, TON + TON / 10n);
    await lab.settler.round();
    assert.equal(lab.named('settler.payouts_planned').length, 0);
    assert.ok(lab.named('settler.treasury_low').length > 0);
  });
});

test('who is owed a little is paid once a period', async () => {
  const payouts = { amount: amount(TON), ageMs: 86_400_000, agedAmount: amount(TON / 20n) };
  await withSettler({ payees: PAYEES, policy: { payouts }, rampCap: AMPLE }, async (lab) => {
    await lab.rounds(() => lab.settler.status().state === 'running');
    const channel = await lab.open(5n * TON);
    await lab.devnet.faucet(Address.parse(lab.treasury.address), 10n * TON);
    await lab.use(channel, TON / 10n);
    await lab.settler.round();
    assert.equal((await owed(lab.ledger)).paid, 0n);
    await lab.devnet.forward(86_400);
    await lab.rounds(() => isPaid(lab));
    assert.equal((await owed(lab.ledger)).paid, (TON * 95n) / 1000n);
  });
});

/** Paid, and nothing more to be done about it. */
async function isOver(lab: SettlerLab): Promise<boolean> {
  const page = { kind: 'order', after: undefined, limit: 1 };
  return (await isPaid(lab)) && (await lab.ledger.listNotes(page)).length === 0;
}

/** Of a payout from the start of a settler on: if it takes fewer, crashes are missed. */
const STEPS_MIN = 15;

for (const moment of ['before', 'after'] as const) {
  test(`a crash ${moment} any step of a payout changes nothing about what is paid`, async () => {
    await withSettler({ payees: PAYEES, policy: POLICY, rampCap: AMPLE }, async (lab) => {
      await earn(lab);
      await lab.settler.close();
      let calls = 0;
      // One step further with each life, until one goes all the way.
      for (; calls < 200 && !(await isOver(lab)); calls++) {
        const left = { calls };
        const ledger: Ledger = fragile<Ledger>(lab.ledger, left, moment);
        const chain: TonChain = fragile<TonChain>(lab.chain, left, moment);
        const settler = await lab.start({ ledger, chain }).catch((error: unknown) => error);
        if (!(settler instanceof Error)) await lab.settler.round();
        await lab.crash();
      }
      assert.ok(calls > STEPS_MIN, `${calls}`);
      await lab.start();
      await lab.rounds(() => isPaid(lab));
      await assertPaidOnce(lab);
    });
  });
}
