/** JettonPayChannel: what is its own beside the rules it shares with PayChannel. Spec: ton-settlement §4.14. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address, beginCell, Cell } from '@ton/core';
import {
  CHANNEL_EXIT,
  JETTON_EXIT,
  TVM_EXIT,
} from '../../../settlement/ton/contracts/exit-codes.ts';
import { initJettonBody } from '../../../settlement/ton/contracts/jetton-pay-channel.ts';
import {
  cancelWithdrawBody,
  claimBody,
  claimExternalBody,
  destroyBody,
  finalizeWithdrawBody,
  requestWithdrawBody,
} from '../../../settlement/ton/contracts/pay-channel.ts';
import { amount } from '../../../settlement/money.ts';
import { signVoucher } from '../../../settlement/voucher.ts';
import {
  DELAY_S,
  PAYEE,
  PAYER,
  STRANGER,
  STRANGER_SEED,
  TON,
} from '../../support/ton/channel-lab.ts';
import {
  JettonLab,
  jettonWallet,
  MINTER,
  takeWalletAddress,
  transferNotification,
} from '../../support/ton/jetton-lab.ts';

const USDT = 1_000_000n;

test('the minter names the wallet, and transfers to it are deposits', async () => {
  const lab = await JettonLab.create();
  assert.equal((await lab.init()).exitCode, 0);
  const { minter, wallet } = await lab.asset();
  assert.equal(minter.toString(), MINTER.toString());
  assert.equal(wallet?.toString(), jettonWallet(lab.address).toString());
  assert.equal((await lab.deposit(100n * USDT)).exitCode, 0);
  const { status, deposited } = await lab.state();
  assert.deepEqual([status, deposited], ['open', 100n * USDT]);
  assert.equal(await lab.jettons(lab.address), 100n * USDT);
});

test('a forged notification deposits nothing', async () => {
  const lab = await JettonLab.open();
  const before = await lab.state();
  for (const from of [STRANGER, PAYER, PAYEE, MINTER, jettonWallet(PAYER)]) {
    const { exitCode } = await lab.send(transferNotification(USDT), from);
    assert.equal(exitCode, JETTON_EXIT.notWallet);
  }
  assert.deepEqual(await lab.state(), before);
});

test('only the minter names the wallet, only one that can be, only once', async () => {
  const lab = await JettonLab.create({ minter: STRANGER });
  await lab.init();
  const mine = takeWalletAddress(PAYER);
  assert.equal((await lab.send(mine, PAYER)).exitCode, JETTON_EXIT.notMinter);
  assert.equal((await lab.send(transferNotification(1n))).exitCode, JETTON_EXIT.walletUnknown);
  const claim = claimBody(lab.signed({ charged: 1n }), 1n);
  assert.equal((await lab.send(claim)).exitCode, JETTON_EXIT.walletUnknown);
  for (const wallet of [null, lab.address, new Address(-1, PAYER.hash)]) {
    assert.equal((await lab.send(takeWalletAddress(wallet), STRANGER)).exitCode, JETTON_EXIT.asset);
  }
  assert.equal((await lab.send(takeWalletAddress(PAYEE), STRANGER)).exitCode, 0);
  assert.equal((await lab.send(mine, STRANGER)).exitCode, JETTON_EXIT.walletKnown);
  assert.equal((await lab.send(initJettonBody(1n))).exitCode, JETTON_EXIT.walletKnown);
  assert.equal((await lab.asset()).wallet?.toString(), PAYEE.toString());
});

test('opening needs rent, and everybody in workchain 0', async () => {
  const poor = await JettonLab.create();
  assert.equal((await poor.init(TON / 20n)).exitCode, CHANNEL_EXIT.value);
  const away = new Address(-1, PAYEE.hash);
  for (const change of [{ payer: away }, { payee: away }, { minter: away }]) {
    const lab = await JettonLab.create(change);
    assert.equal((await lab.init()).exitCode, CHANNEL_EXIT.workchain);
  }
});

test('claims pay jettons, whoever brings them, and the rest of the coins returns', async () => {
  const lab = await JettonLab.open();
  const claim = await lab.claim({ charged: 30n * USDT, ceiling: 50n * USDT });
  assert.deepEqual([claim.exitCode, claim.skippedActions], [0, 0]);
  assert.equal(await lab.jettons(PAYEE), 30n * USDT);
  assert.equal((await lab.claim({ charged: 30n * USDT })).exitCode, CHANNEL_EXIT.stale);
  assert.equal((await lab.claim({ charged: 101n * USDT })).exitCode, CHANNEL_EXIT.available);
  assert.ok(claim.fees < TON / 50n, `${claim.fees}`);
});

test('both locks hold', async () => {
  const lab = await JettonLab.open();
  const signed = lab.signed({ charged: USDT });
  const promise = { channel: lab.id, epoch: 0, ceiling: amount(USDT) };
  const voucherSignature = signVoucher(STRANGER_SEED, promise).signature;
  const forged = claimBody({ ...signed, voucherSignature }, 1n);
  assert.equal((await lab.send(forged)).exitCode, CHANNEL_EXIT.payerSignature);
  const uncharged = claimBody({ ...signed, chargeSignature: voucherSignature }, 1n);
  assert.equal((await lab.send(uncharged)).exitCode, CHANNEL_EXIT.chargeSignature);
  assert.equal((await lab.claim({ charged: USDT, epoch: 1 })).exitCode, CHANNEL_EXIT.epoch);
  assert.equal((await lab.claim({ charged: USDT, ceiling: 1n })).exitCode, CHANNEL_EXIT.ceiling);
});

test('what does not pay for all its transfers moves no counter', async () => {
  const lab = await JettonLab.open();
  const before = await lab.state();
  for (const value of [TON / 50n, (8n * TON) / 100n]) {
    assert.equal((await lab.claim({ charged: USDT }, value)).exitCode, CHANNEL_EXIT.value);
  }
  assert.deepEqual(await lab.state(), before);
});

test('a final claim pays both and begins a new epoch', async () => {
  const lab = await JettonLab.open();
  const closed = await lab.claim({ charged: 30n * USDT, ends: 'final' });
  assert.deepEqual([closed.exitCode, closed.skippedActions], [0, 0]);
  assert.equal(await lab.jettons(PAYEE), 30n * USDT);
  assert.equal(await lab.jettons(PAYER), 970n * USDT);
  assert.equal(await lab.jettons(lab.address), 0n);
  const { status, epoch } = await lab.state();
  assert.deepEqual([status, epoch], ['idle', 1]);
  await lab.deposit(10n * USDT);
  const again = await lab.claim({ charged: 30n * USDT, ends: 'final' });
  assert.equal(again.exitCode, CHANNEL_EXIT.epoch);
});

test('the payer withdraws after the delay, without anybody', async () => {
  const lab = await JettonLab.open();
  const request = requestWithdrawBody(0n, 1n);
  assert.equal((await lab.send(request, STRANGER)).exitCode, CHANNEL_EXIT.sender);
  assert.equal((await lab.send(request)).exitCode, 0);
  assert.equal((await lab.send(finalizeWithdrawBody(1n))).exitCode, CHANNEL_EXIT.locked);
  assert.equal((await lab.send(cancelWithdrawBody(1n), STRANGER)).exitCode, CHANNEL_EXIT.sender);
  assert.equal((await lab.send(cancelWithdrawBody(1n))).exitCode, 0);
  assert.equal((await lab.send(request)).exitCode, 0);
  await lab.claim({ charged: 5n * USDT });
  lab.chain.pass(DELAY_S);
  assert.equal((await lab.send(finalizeWithdrawBody(1n), STRANGER)).exitCode, 0);
  assert.equal(await lab.jettons(PAYER), 995n * USDT);
  assert.equal((await lab.send(destroyBody(1n), STRANGER)).exitCode, CHANNEL_EXIT.sender);
  assert.equal((await lab.send(destroyBody(1n))).exitCode, 0);
  assert.equal((await lab.init()).exitCode, JETTON_EXIT.walletKnown);
});

test('after years of rent the sender puts it back', async () => {
  const lab = await JettonLab.open();
  const usual = (9n * TON) / 100n;
  assert.equal((await lab.claim({ charged: USDT }, usual)).exitCode, 0);
  lab.chain.pass(8 * 365 * DELAY_S);
  assert.equal((await lab.claim({ charged: 2n * USDT }, usual)).exitCode, CHANNEL_EXIT.value);
  assert.equal((await lab.claim({ charged: 2n * USDT }, TON / 2n)).exitCode, 0);
  assert.equal(await lab.jettons(PAYEE), 2n * USDT);
});

test('no external messages, no unknown ones, nothing left over, nothing from a bounce', async () => {
  const lab = await JettonLab.open();
  const signed = lab.signed({ charged: USDT });
  const external = await lab.chain.external(lab.address, claimExternalBody(signed));
  assert.notEqual(external.exitCode, 0);
  const body = claimBody(signed, 1n);
  const longer = beginCell().storeSlice(body.beginParse()).storeBit(0).endCell();
  const fuller = beginCell().storeSlice(body.beginParse()).storeRef(Cell.EMPTY).endCell();
  for (const cell of [longer, fuller]) {
    assert.equal((await lab.send(cell)).exitCode, TVM_EXIT.bodyForm);
  }
  const unknown = beginCell().storeUint(0x76670001, 32).storeUint(1, 64).endCell();
  assert.equal((await lab.send(unknown)).exitCode, TVM_EXIT.unknownOp);
  const before = await lab.state();
  const bounced = { from: jettonWallet(lab.address), to: lab.address, value: TON, bounced: true };
  await lab.chain.send({ ...bounced, body: transferNotification(USDT) });
  assert.deepEqual(await lab.state(), before);
});
