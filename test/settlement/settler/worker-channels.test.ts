/** Workers that are paid through channels of the treasury's: who gets one, how much, and what transfers leave out. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address } from '@ton/core';
import { amount } from '../../../settlement/money.ts';
import { addressOfId } from '../../../settlement/ton/channels/place.ts';
import {
  CHANNEL_FEES,
  finalizeWithdrawBody,
  requestWithdrawBody,
} from '../../../settlement/ton/contracts/pay-channel.ts';
import { openTreasury } from '../../../settlement/ton/treasury.ts';
import { openHighloadWallet } from '../../../settlement/ton/wallet/highload.ts';
import { verifyVoucher } from '../../../settlement/voucher.ts';
import { WORKER } from '../../support/ledger-lab.ts';
import {
  OWNER,
  PAYEES,
  seed,
  TIMEOUT_S,
  TON,
  withSettler,
  type PaidChannel,
  type SettlerLab,
  type SettlerLabOptions,
} from '../../support/settler-lab.ts';
import { until } from '../../support/until.ts';
import {
  cashIn,
  channelPolicy,
  channelsOf,
  DEPOSIT,
  earn,
  fill,
  holds,
  RESERVE,
  show,
} from '../../support/worker-channel-lab.ts';

const AMPLE = 100n * TON;
const DAY_S = 86_400;
const OPTIONS = {
  providers: 2,
  payees: PAYEES,
  rampCap: AMPLE,
  policy: channelPolicy(),
} as const satisfies SettlerLabOptions;
const NO_PAYOUTS = { amount: amount(1000n * TON), ageMs: 1e15, agedAmount: amount(1n) };

/** A worker that has earned more than a deposit, and the channel that it gets. */
async function withChannel(
  options: SettlerLabOptions,
  work: (lab: SettlerLab, payer: PaidChannel) => Promise<void>,
): Promise<void> {
  await withSettler(options, async (lab) => {
    await fill(lab, 20n * TON);
    const payer = await lab.open(40n * TON);
    await earn(lab, payer, 3n * TON);
    await lab.rounds(() => (channelsOf(lab)[0]?.deposited ?? '0') !== '0');
    await work(lab, payer);
  });
}

async function worker(lab: SettlerLab) {
  return await lab.ledger.findWorker(WORKER, 'TON');
}

test('a worker that has earned a deposit gets a channel, vouchers that the chain pays, and no transfer of the same', async () => {
  const policy = channelPolicy({ payouts: NO_PAYOUTS });
  await withChannel({ ...OPTIONS, policy }, async (lab, payer) => {
    const shown = await show(lab);
    assert.ok(shown);
    const earned = (TON * 285n) / 100n;
    assert.equal(shown.voucher.ceiling, earned);
    assert.equal((await holds(lab, shown.channel))?.deposited, earned + DEPOSIT);
    assert.ok(verifyVoucher(shown.voucher, lab.treasury.publicKey));
    assert.deepEqual([shown.terms.payee, shown.terms.payer], [OWNER, lab.treasury.address]);
    assert.ok(await cashIn(lab, shown.voucher));
    await until(async () => (await lab.balanceOf(OWNER)) > earned - TON / 100n);
    await earn(lab, payer, TON);
    assert.equal((await show(lab))?.voucher.ceiling, (TON * 38n) / 10n);
    const { paid, planned } = await worker(lab);
    assert.deepEqual([paid, planned], [0n, 0n]);
    const [row] = channelsOf(lab);
    assert.deepEqual([row?.promised, row?.status], [((TON * 38n) / 10n).toString(), 'open']);
  });
});

test('one unit less than a deposit earned, and there is no channel', async () => {
  const policy = channelPolicy({ payouts: NO_PAYOUTS });
  await withSettler({ ...OPTIONS, policy }, async (lab) => {
    await fill(lab, 20n * TON);
    const payer = await lab.open(40n * TON);
    // 95 of a hundred are the worker's.
    await earn(lab, payer, (DEPOSIT * 100n) / 95n);
    const { earned } = await worker(lab);
    assert.equal(earned, DEPOSIT - 1n);
    for (let more = 0; more < 3; more++) await lab.settler.round();
    assert.deepEqual(channelsOf(lab), []);
    await earn(lab, payer, 10n);
    await lab.rounds(() => channelsOf(lab).length === 1);
  });
});

test('beyond what its channel holds a worker is paid by transfers, when channels are not filled any more', async () => {
  await withChannel(OPTIONS, async (lab, payer) => {
    await lab.restart({ policy: channelPolicy({ workerChannels: 'off' }) });
    const held = (TON * 285n) / 100n + DEPOSIT;
    await earn(lab, payer, 6n * TON);
    assert.equal((await show(lab))?.voucher.ceiling, held, 'as far as the channel goes');
    const rest = (9n * TON * 95n) / 100n - held;
    await lab.rounds(async () => (await worker(lab)).paid === rest);
    for (let more = 0; more < 3; more++) await lab.settler.round();
    assert.equal((await worker(lab)).paid, rest);
    assert.equal((await show(lab))?.voucher.ceiling, held);
    assert.equal(channelsOf(lab)[0]?.deposited, held.toString());
  });
});

test('it is filled again up to one deposit when less than half of one is still to be earned', async () => {
  const policy = channelPolicy({ payouts: NO_PAYOUTS });
  await withSettler({ ...OPTIONS, policy }, async (lab) => {
    await fill(lab, 40n * TON);
    const payer = await lab.open(60n * TON);
    await earn(lab, payer, (DEPOSIT * 100n) / 95n + 10n);
    const depositedIs = (sum: bigint) =>
      lab.rounds(() => channelsOf(lab)[0]?.deposited === sum.toString());
    const first = (await worker(lab)).earned + DEPOSIT;
    await depositedIs(first);
    await earn(lab, payer, TON);
    for (let more = 0; more < 4; more++) await lab.settler.round();
    assert.equal(channelsOf(lab)[0]?.deposited, first.toString(), 'more than a half left');
    await earn(lab, payer, TON / 10n);
    await depositedIs((await worker(lab)).earned + DEPOSIT);
  });
});

test('a rest that storage has eaten is not paid in again: no contract takes so little', async () => {
  const policy = channelPolicy({ payouts: NO_PAYOUTS });
  await withSettler({ ...OPTIONS, policy }, async (lab) => {
    await fill(lab, 40n * TON);
    const payer = await lab.open(60n * TON);
    await earn(lab, payer, (DEPOSIT * 100n) / 95n + 10n);
    await lab.rounds(() => (channelsOf(lab)[0]?.deposited ?? '0') !== '0');
    await lab.devnet.forward(90 * DAY_S);
    await earn(lab, payer, TON + TON / 10n);
    const orders = () => lab.named('settler.order_sent').length;
    const before = orders();
    const wanted = (await worker(lab)).earned + DEPOSIT;
    const short = (sum: bigint) => sum - BigInt(channelsOf(lab)[0]?.deposited ?? '0');
    await lab.rounds(() => short(wanted) < CHANNEL_FEES.minDeposit);
    for (let more = 0; more < 6; more++) await lab.settler.round();
    assert.equal(orders() - before, 1);
    assert.ok(short(wanted) > 0n, 'in all and never more');
    await earn(lab, payer, TON + TON / 10n);
    const next = (await worker(lab)).earned + DEPOSIT;
    await lab.rounds(() => short(next) < CHANNEL_FEES.minDeposit);
  });
});

test('of two workers only as many as were allowed get one; the other is paid by transfers', async () => {
  const other = { workerId: seed(8), destination: `0:${'88'.repeat(32)}` };
  const workerChannels = { deposit: amount(DEPOSIT), reserve: amount(RESERVE), max: 1 };
  const policy = channelPolicy({ workerChannels });
  await withChannel({ ...OPTIONS, payees: [...PAYEES, other], policy }, async (lab, payer) => {
    await earn(lab, payer, 3n * TON, other.workerId);
    const part = (TON * 285n) / 100n;
    await lab.rounds(
      async () => (await lab.ledger.findWorker(other.workerId, 'TON')).paid === part,
    );
    assert.equal(channelsOf(lab).length, 1);
    assert.equal(await show(lab, other.workerId, other.destination), undefined);
    assert.deepEqual(
      lab.named('settler.worker_channels_full').map(({ fields }) => fields),
      [{ max: 1 }],
    );
  });
});

test('a deposit never takes what the treasury keeps, nor what is owed to others by transfers', async () => {
  const other = { workerId: seed(8), destination: `0:${'88'.repeat(32)}` };
  const policy = channelPolicy({ payouts: NO_PAYOUTS });
  const payees = [...PAYEES, other];
  await withSettler({ ...OPTIONS, payees, policy, rampCap: AMPLE }, async (lab) => {
    const payer = await lab.open(40n * TON);
    await earn(lab, payer, 3n * TON);
    // Short of its own deposit: owed 2.85 to the worker itself as long as there is no channel.
    await lab.rounds(async () => (await lab.ledger.findAccount(payer.channel))?.claimed !== 0n);
    const balance = await lab.balanceOf(lab.treasury.address);
    assert.ok(balance < DEPOSIT + RESERVE + TON);
    assert.deepEqual(channelsOf(lab), []);
    assert.equal(lab.named('settler.worker_channels_short').length, 1);
    assert.equal(lab.named('settler.treasury_low').length, 0);
    await earn(lab, payer, TON / 2n, other.workerId);
    await fill(lab, 4n * TON);
    await lab.rounds(() => (channelsOf(lab)[0]?.deposited ?? '0') !== '0');
    const left = await lab.balanceOf(lab.treasury.address);
    assert.ok(left > RESERVE + (TON * 475n) / 1000n, `${left}`);
  });
});

test('nobody gets a channel to no address, to another workchain, or to the treasury itself', async () => {
  for (const destination of ['nowhere', `-1:${'11'.repeat(32)}`, 'treasury']) {
    const address = openTreasury(seed(43), { timeoutS: TIMEOUT_S }).address;
    const to = destination === 'treasury' ? address : destination;
    const payees = [{ workerId: WORKER, destination: to }];
    const policy = channelPolicy({ payouts: NO_PAYOUTS });
    await withSettler({ ...OPTIONS, payees, policy }, async (lab) => {
      await fill(lab, 20n * TON);
      await earn(lab, await lab.open(40n * TON), 3n * TON);
      for (let more = 0; more < 3; more++) await lab.settler.round();
      assert.deepEqual(channelsOf(lab), []);
    });
  }
});

test('to another address than its channel’s a worker is paid by transfers, less what was promised', async () => {
  const elsewhere = `0:${'99'.repeat(32)}`;
  await withChannel(OPTIONS, async (lab, payer) => {
    await earn(lab, payer, TON);
    const promised = (await show(lab))?.voucher.ceiling ?? 0n;
    assert.ok(promised > 0n);
    const moved = [{ workerId: WORKER, destination: elsewhere }];
    await lab.restart({ payees: () => Promise.resolve(moved) });
    assert.equal(await show(lab, WORKER, elsewhere), undefined);
    await earn(lab, payer, 4n * TON);
    await lab.rounds(async () => {
      const { earned, paid } = await worker(lab);
      return paid + promised === earned;
    });
    assert.ok((await lab.balanceOf(elsewhere)) > 3n * TON);
    // The old address may still ask, with the old card: nothing beyond.
    assert.equal((await show(lab))?.voucher.ceiling, promised);
  });
});

test('a worker that takes no vouchers is paid by transfers, less what was promised, until it takes them', async () => {
  await withChannel(OPTIONS, async (lab, payer) => {
    await earn(lab, payer, TON);
    const promised = (await show(lab))?.voucher.ceiling ?? 0n;
    assert.ok(promised > 0n);
    const deposited = channelsOf(lab)[0]?.deposited;
    lab.settler.answeredWorkerChannel(WORKER, 'refused');
    await earn(lab, payer, 4n * TON);
    assert.equal((await show(lab))?.voucher.ceiling, promised);
    await lab.rounds(async () => {
      const { earned, paid } = await worker(lab);
      return paid + promised === earned;
    });
    assert.equal(channelsOf(lab)[0]?.deposited, deposited, 'nothing more went in');
    lab.settler.answeredWorkerChannel(WORKER, 'taken');
    await earn(lab, payer, TON / 10n);
    assert.equal((await show(lab))?.voucher.ceiling, promised + (TON * 95n) / 1000n);
  });
});

test('with another treasury nothing is signed for the old one’s channels, and what they promised stays paid', async () => {
  await withChannel(OPTIONS, async (lab, payer) => {
    await earn(lab, payer, TON);
    const promised = (await show(lab))?.voucher.ceiling ?? 0n;
    const treasury = openTreasury(seed(90), { timeoutS: TIMEOUT_S });
    const { payee } = lab.optionsOf();
    await lab.restart({ treasury, payee: { ...payee, address: treasury.address } });
    await lab.devnet.faucet(Address.parse(treasury.address), 20n * TON);
    assert.equal(await show(lab), undefined);
    await earn(lab, payer, 4n * TON);
    await lab.rounds(async () => {
      const { earned, paid } = await worker(lab);
      return paid + promised === earned;
    });
  });
});

/** By somebody with the treasury's key: the settler never does this. */
async function fromTreasury(lab: SettlerLab, number: number, body: 'request' | 'finalize') {
  const wallet = openHighloadWallet(seed(43), { timeoutS: TIMEOUT_S });
  const channel = (await show(lab))?.channel;
  assert.ok(channel);
  const { message } = wallet.batch({
    number,
    payments: [
      {
        to: addressOfId(channel),
        nanoton: TON / 10n,
        body: body === 'request' ? requestWithdrawBody(0n, 0n) : finalizeWithdrawBody(0n),
      },
    ],
    createdAtS: lab.devnet.nowS() - 60,
    wallet: 'deployed',
  });
  await lab.chain.send(message);
  // No order of the books explains it: until somebody has looked, the settler pays nobody.
  await lab.rounds(() => lab.settler.status().isHalted);
  await lab.restart();
}

test('a channel that closes promises nothing more, and what it never paid is paid by transfers', async () => {
  await withChannel(OPTIONS, async (lab, payer) => {
    await earn(lab, payer, TON / 2n);
    const before = await show(lab);
    assert.ok(before);
    const { ceiling } = before.voucher;
    await fromTreasury(lab, 77, 'request');
    assert.ok(lab.named('settler.worker_channel_closing').length > 0);
    assert.equal(channelsOf(lab)[0]?.status, 'closing');
    await earn(lab, payer, 4n * TON);
    assert.equal((await show(lab))?.voucher.ceiling, ceiling);
    await lab.rounds(async () => {
      const { earned, paid } = await worker(lab);
      return paid + ceiling === earned;
    });
    // Not claimed in time: the coins went back, and the voucher is worth nothing any more.
    await lab.devnet.forward(3700);
    await fromTreasury(lab, 78, 'finalize');
    await until(async () => (await holds(lab, before.channel))?.epoch === 1);
    assert.equal(await cashIn(lab, before.voucher), false);
    await lab.rounds(async () => (await worker(lab)).paid === (await worker(lab)).earned);
    assert.equal(await show(lab), undefined);
    assert.equal((await holds(lab, before.channel))?.status, 'idle', 'it is not filled again');
  });
});

test('what was claimed beyond the memory of these books is an alarm, and not paid once more', async () => {
  await withChannel(OPTIONS, async (lab, payer) => {
    await earn(lab, payer, TON);
    const kept = { kind: 'worker-channel', after: undefined, limit: 1 };
    const [note] = await lab.ledger.listNotes(kept);
    assert.ok(note);
    const shown = await show(lab);
    assert.ok(shown);
    assert.ok(await cashIn(lab, shown.voucher));
    await lab.settler.close();
    await lab.ledger.saveNote(note);
    await lab.restart();
    await lab.settler.round();
    const [behind] = lab.named('settler.worker_channel_behind');
    assert.equal(behind?.fields['claimed'], shown.voucher.ceiling);
    await lab.restart({ policy: channelPolicy({ workerChannels: 'off' }) });
    await earn(lab, payer, 4n * TON);
    await lab.rounds(async () => (await worker(lab)).paid > 0n);
    const { earned, paid, planned } = await worker(lab);
    assert.ok(paid + planned + shown.voucher.ceiling <= earned);
  });
});

test('before the books were held against the chain nothing is promised', async () => {
  await withChannel(OPTIONS, async (lab) => {
    assert.ok(await show(lab));
    lab.devnet.inject({ kind: 'hang_up' });
    const policy = channelPolicy({ anchor: { everyMs: 1 }, startMs: 100, roundMs: 50 });
    await lab.restart({ policy });
    assert.equal(await show(lab), undefined);
    lab.devnet.faults.clear();
    await until(async () => (await show(lab)) !== undefined);
  });
});

test('more workers at once than one order holds: every deposit is made, in notes that a ledger holds', async () => {
  const payees = Array.from({ length: 55 }, (_, at) => ({
    workerId: seed(100 + at),
    destination: `0:${(100 + at).toString(16).padStart(64, '0')}`,
  }));
  const deposit = TON / 10n;
  const workerChannels = { deposit: amount(deposit), reserve: amount(RESERVE), max: 55 };
  const policy = channelPolicy({ workerChannels, payouts: NO_PAYOUTS });
  await withSettler({ payees, policy, rampCap: AMPLE }, async (lab) => {
    await fill(lab, 60n * TON);
    const payer = await lab.open(40n * TON);
    for (const { workerId } of payees) await earn(lab, payer, TON / 5n, workerId);
    await lab.rounds(() => channelsOf(lab).every(({ deposited }) => BigInt(deposited) >= deposit));
    assert.equal(channelsOf(lab).length, 55);
    assert.equal(lab.named('settler.duty_failed').length, 0);
  });
});
