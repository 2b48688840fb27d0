/**
 * An owner registers many workers, each of which is to cost the treasury a deposit. Those that have earned nothing cost
 * nothing; those that bring a deposit's worth of paid work lock up no more than the operator allowed, never what the
 * treasury keeps, and nobody else's transfer waits for them. Spec: docs/settlement.md "Worker channels".
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixed, fromHex, toHex } from '../../core/bytes.ts';
import { amount } from '../../settlement/money.ts';
import type { TonChain } from '../../settlement/ton/chain.ts';
import { addressOfId } from '../../settlement/ton/channels/place.ts';
import { tonError } from '../../settlement/ton/errors.ts';
import { seed, TON, withSettler, type SettlerLab } from '../support/settler-lab.ts';
import { toldChain } from '../support/ton/told-chain.ts';
import { channelPolicy, channelsOf, earn, fill } from '../support/worker-channel-lab.ts';

const MANY = 12;
const MAX = 4;
const DEPOSIT = TON;
const KEEP = 2n * TON;
const IDS = Array.from({ length: MANY }, (_, at) => ({
  workerId: seed(120 + at),
  destination: `0:${'77'.repeat(32)}`,
}));
const HONEST = { workerId: seed(9), destination: `0:${'99'.repeat(32)}` };
const OPTIONS = {
  payees: [...IDS, HONEST],
  rampCap: 1000n * TON,
  policy: channelPolicy({
    workerChannels: { deposit: amount(DEPOSIT), reserve: amount(KEEP), max: MAX },
    payouts: { amount: amount(TON), ageMs: 1e15, agedAmount: amount(1n) },
  }),
};

async function locked(lab: SettlerLab): Promise<bigint> {
  return await Promise.resolve(BigInt(lab.settler.status().workerChannels.deposited));
}

test('ids that have earned nothing get nothing, however many', async () => {
  await withSettler(OPTIONS, async (lab) => {
    await fill(lab, 50n * TON);
    const before = await lab.balanceOf(lab.treasury.address);
    for (let more = 0; more < 4; more++) await lab.settler.round();
    assert.deepEqual(channelsOf(lab), []);
    assert.equal(await lab.balanceOf(lab.treasury.address), before);
  });
});

test('ids that bring a deposit’s worth each lock up what was allowed, and nobody waits for them', async () => {
  await withSettler(OPTIONS, async (lab) => {
    await fill(lab, 50n * TON);
    const payer = await lab.open(60n * TON);
    for (const { workerId } of IDS) await earn(lab, payer, (DEPOSIT * 12n) / 10n, workerId);
    await earn(lab, payer, 2n * TON, HONEST.workerId);
    const paid = async () => (await lab.ledger.findWorker(HONEST.workerId, 'TON')).paid > 0n;
    let rounds = 0;
    while (!(await paid())) {
      await lab.settler.round();
      assert.ok(++rounds < 8, 'one order of deposits, and it is the turn of transfers');
    }
    for (let more = 0; more < 8; more++) await lab.settler.round();
    assert.equal(channelsOf(lab).length, MAX);
    const now = await locked(lab);
    const earned = (BigInt(MAX) * DEPOSIT * 114n) / 100n;
    assert.equal(now - earned, BigInt(MAX) * DEPOSIT);
  });
});

test('what the treasury keeps stays there, whatever they earn', async () => {
  await withSettler(OPTIONS, async (lab) => {
    const payer = await lab.open(60n * TON);
    for (const { workerId } of IDS) await earn(lab, payer, (DEPOSIT * 12n) / 10n, workerId);
    const owed = async () => {
      const all = [...IDS].map(({ workerId }) => lab.ledger.findWorker(workerId, 'TON'));
      return (await Promise.all(all)).reduce((sum, { earned, paid }) => sum + earned - paid, 0n);
    };
    await lab.rounds(async () => (await owed()) === 0n);
    assert.deepEqual(channelsOf(lab), [], 'what is owed by transfers goes first');
    assert.equal(lab.named('settler.worker_channels_short').length, 1);
    const left = await lab.balanceOf(lab.treasury.address);
    await fill(lab, KEEP + (DEPOSIT * 16n) / 10n - left);
    for (let more = 0; more < 8; more++) await lab.settler.round();
    assert.equal(await locked(lab), DEPOSIT, 'there was enough for one');
    assert.ok((await lab.balanceOf(lab.treasury.address)) > KEEP);
  });
});

test('an owner that keeps its channel unreadable keeps nobody else from being read and filled', async () => {
  const first = IDS.slice(0, 1);
  await withSettler({ ...OPTIONS, payees: first }, async (lab) => {
    await fill(lab, 50n * TON);
    const payer = await lab.open(60n * TON);
    for (const { workerId } of [...first, HONEST]) {
      await earn(lab, payer, (DEPOSIT * 12n) / 10n, workerId);
    }
    await lab.rounds(() => channelsOf(lab).length === 1);
    const hostile = addressOfId(fixed(fromHex(channelsOf(lab)[0]?.channel ?? ''), 32));
    const chain: TonChain = {
      ...toldChain(lab.chain, () => ({})),
      readAccount: async (address, options) => {
        if (address.equals(hostile)) throw tonError('ton.disagree', 'busy');
        return await lab.chain.readAccount(address, options);
      },
    };
    const payees = [...first, HONEST];
    await lab.restart({ chain, payees: () => Promise.resolve(payees) });
    const [, honest] = payees;
    assert.ok(honest);
    const filled = () =>
      channelsOf(lab).some(
        ({ worker, deposited }) => worker === toHex(honest.workerId) && deposited !== '0',
      );
    let rounds = 0;
    for (; !filled(); rounds++) {
      assert.ok(rounds < 6, 'it waits for somebody else');
      await lab.settler.round();
    }
    assert.ok(
      lab.named('settler.duty_failed').some(({ fields }) => fields['code'] === 'ton.disagree'),
    );
  });
});
