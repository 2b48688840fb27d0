/**
 * Somebody who sees the treasury's messages plays them again, sends them late, or writes to the treasury as if it were the
 * wallet itself; and an operator loses the books between plan and payment. No worker is paid twice, and no plan is taken
 * for paid that was not. Spec: ton-settlement §4.7, §7 L8.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address, beginCell, Cell } from '@ton/core';
import { amount } from '../../settlement/money.ts';
import type { TonChain } from '../../settlement/ton/chain.ts';
import { openHighloadWallet } from '../../settlement/ton/wallet/highload.ts';
import { WORKER } from '../support/ledger-lab.ts';
import {
  OWNER,
  PAYEES,
  seed,
  TIMEOUT_S,
  TON,
  withSettler,
  type SettlerLab,
} from '../support/settler-lab.ts';

const OPTIONS = {
  payees: PAYEES,
  rampCap: 100n * TON,
  policy: {
    payouts: { amount: amount(TON), ageMs: 1_000_000_000_000_000, agedAmount: amount(1n) },
  },
} as const;
const EARNED = (TON * 19n) / 10n;

async function earn(lab: SettlerLab): Promise<void> {
  const channel = await lab.open(5n * TON);
  await lab.devnet.faucet(Address.parse(lab.treasury.address), 10n * TON);
  await lab.use(channel, 2n * TON);
}

async function worker(lab: SettlerLab) {
  return await lab.ledger.findWorker(WORKER, 'TON');
}

/** Keeps what was sent. */
function recording(chain: TonChain, sent: Cell[]): TonChain {
  return new Proxy(chain, {
    get: (of, name) => {
      const member: unknown = Reflect.get(of, name);
      if (typeof member !== 'function') return member;
      return (...parameters: unknown[]): unknown => {
        if (name === 'send' && parameters[0] instanceof Cell) sent.push(parameters[0]);
        return Reflect.apply(member, of, parameters);
      };
    },
  });
}

test('every message of the treasury, played again at any time, pays nobody again', async () => {
  await withSettler(OPTIONS, async (lab) => {
    const sent: Cell[] = [];
    await lab.restart({ chain: recording(lab.chain, sent) });
    await earn(lab);
    await lab.rounds(async () => (await worker(lab)).paid === EARNED);
    const got = await lab.balanceOf(OWNER);
    assert.ok(sent.length > 0);
    for (const wait of [0, TIMEOUT_S / 2, TIMEOUT_S, 3 * TIMEOUT_S]) {
      await lab.devnet.forward(wait);
      for (const message of sent) {
        await lab.chain.send(message, { deadlineMs: 300 }).catch(() => undefined);
      }
      await lab.settler.round();
      assert.equal(await lab.balanceOf(OWNER), got);
    }
    assert.equal((await worker(lab)).paid, EARNED);
  });
});

test('a message that only looks like the wallet’s own order makes no plan paid', async () => {
  await withSettler(OPTIONS, async (lab) => {
    await earn(lab);
    lab.devnet.inject({ kind: 'drop' });
    await lab.settler.round();
    const { order } = lab.settler.status();
    assert.ok(order);
    const body = beginCell()
      .storeUint(0xae42e5a4, 32)
      .storeUint(lab.treasury.queryIdOf(order.createdAtS), 64)
      .storeRef(Cell.EMPTY)
      .endCell();
    lab.devnet.faults.clear();
    const to = Address.parse(lab.treasury.address);
    await lab.pay({ to, nanoton: TON / 10n, body });
    lab.devnet.inject({ kind: 'drop' });
    await lab.settler.round();
    const { paid, planned } = await worker(lab);
    assert.deepEqual([paid, planned], [0n, EARNED]);
    assert.equal(lab.settler.status().isHalted, false);
  });
});

test('an order that no book explains stops payouts until somebody has looked', async () => {
  await withSettler(OPTIONS, async (lab) => {
    await earn(lab);
    await lab.settler.round();
    await lab.rounds(async () => (await worker(lab)).paid === EARNED);
    const wallet = openHighloadWallet(seed(43), { timeoutS: TIMEOUT_S });
    const { message } = wallet.batch({
      number: 77,
      payments: [{ to: Address.parse(OWNER), nanoton: TON }],
      createdAtS: lab.devnet.nowS() - 60,
      wallet: 'deployed',
    });
    await lab.chain.send(message);
    await lab.settler.round();
    assert.equal(lab.settler.status().isHalted, true);
    assert.ok(lab.named('settler.foreign_order').length > 0);
    assert.equal((await worker(lab)).paid, EARNED);
  });
});
