/** What workers are told of their channels by a gateway on a devnet, and what its operator sees. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { equalPublic, toHex } from '../../../core/bytes.ts';
import { parseJson } from '../../../core/json.ts';
import type { PriceList } from '../../../attestation/verdict.ts';
import { keyHashOf } from '../../../gateway/accounts.ts';
import { creditBalance } from '../../../gateway/payments/balances.ts';
import type { Settled } from '../../../protocol/settled.ts';
import { amount } from '../../../settlement/money.ts';
import { channelOfTerms } from '../../../settlement/ton/worker-channel.ts';
import { parseVoucherUnverified, verifyVoucher } from '../../../settlement/voucher.ts';
import { exchange, post } from '../../support/gateway-lab.ts';
import { answering, type SxWorker } from '../../support/sx-worker.ts';
import { openPaidLab, TON, type PaidLab } from '../../support/ton/paid-gateway.ts';
import { until } from '../../support/until.ts';

/** Nothing but a base: whatever is asked costs half a TON. */
const PRICE = TON / 2n;
const PRICES: PriceList = {
  asset: 'TON',
  base: PRICE,
  prompt: 0n,
  cached: 0n,
  completion: 0n,
  reasoning: 0n,
};
const PART = (PRICE * 95n) / 100n;
const PAYOUTS = { amount: amount(1000n * TON), ageMs: 1e15, agedAmount: amount(1n) };

let lab: PaidLab;

before(async () => {
  lab = await openPaidLab({
    settlement: { custodial: 'operator-holds-balances' },
    ton: { workerChannelDeposit: '1', treasuryReserve: '0.5', workerChannelsMax: 3 },
    deps: { settlerPolicy: { roundMs: 20, settleMs: 0, payouts: PAYOUTS } },
  });
  await lab.devnet.faucet(lab.payee.address, 30n * TON);
  await creditBalance(lab.gateway.ledger, {
    account: keyHashOf(lab.apiKey),
    asset: 'TON',
    amount: amount(100n * TON),
    reference: 'a test',
    nowMs: lab.gateway.clock(),
  });
});
after(() => lab.close());

let addresses = 0;
const address = (): string => `0:${(++addresses).toString(16).padStart(64, '0')}`;

async function ask(worker: SxWorker, times = 1): Promise<void> {
  for (let time = 0; time < times; time++) {
    const { bytes } = lab.seal(lab.keysOf(worker), '{}', { maxAmount: PRICE });
    assert.equal((await exchange(lab, bytes)).status, 200);
  }
}

const channelsIn = (worker: SxWorker) =>
  worker.notices.flatMap(({ channel }) => (channel === null ? [] : [channel]));

test('a worker that has earned a deposit is shown its channel and a voucher for all of it, also when it is filled', async () => {
  const payout = address();
  const worker = await lab.worker(answering('hello'), { prices: PRICES, payout });
  await ask(worker, 2);
  await until(() => worker.notices.length > 0);
  assert.deepEqual(channelsIn(worker), [], 'it has earned less');
  await ask(worker);
  // Nobody asks anything: the notice comes because the deposit did.
  await until(() => channelsIn(worker).length > 0);
  await ask(worker);
  const earned = 4n * PART;
  await until(() => ceilingOf(worker.notices.at(-1)) === earned);
  const shown = channelsIn(worker).at(-1);
  assert.ok(shown?.voucher);
  assert.equal(shown.terms.payee, payout);
  assert.equal(shown.terms.payer, lab.payee.address);
  assert.ok(equalPublic(channelOfTerms(shown.terms), shown.channel));
  const voucher = parseVoucherUnverified(shown.voucher);
  assert.ok(verifyVoucher(voucher, shown.terms.payerKey));
  const { paid, earned: said } = worker.notices.at(-1) ?? {};
  assert.deepEqual([paid, said], [0n, earned]);
});

function ceilingOf(notice: Settled | undefined): bigint | undefined {
  const bytes = notice?.channel?.voucher;
  return bytes === null || bytes === undefined ? undefined : parseVoucherUnverified(bytes).ceiling;
}

test('a worker without an address gets none', async () => {
  const worker = await lab.worker(answering('hello'), { prices: PRICES });
  await ask(worker, 4);
  await until(() => worker.notices.at(-1)?.earned === 4n * PART);
  assert.deepEqual(channelsIn(worker), []);
});

test('a worker that refuses its channel is told of its sums without it, and the settler knows', async () => {
  const worker = await lab.worker(answering('hello'), {
    prices: PRICES,
    payout: address(),
    onNotice: ({ channel }) => (channel === null ? 204 : 400),
  });
  await ask(worker, 3);
  await until(() => channelsIn(worker).length === 2);
  await ask(worker);
  await until(() => {
    const last = worker.notices.at(-1);
    return last?.channel === null && last.earned === 4n * PART;
  });
  assert.equal(channelsIn(worker).length, 2);
  const said = lab.logLines.filter((line) => line.includes('settlement.channel_refused'));
  assert.equal(said.length, 1);
  const [key] = lab.keysOf(worker);
  assert.ok(key);
  const refused = (await operatorsPage()).shown.filter(({ isRefused }) => isRefused);
  assert.deepEqual(
    refused.map(({ worker: id }) => id),
    [toHex(key.workerId)],
  );
});

const PAGE = z.looseObject({
  chain: z.looseObject({
    workerChannels: z.looseObject({
      max: z.literal(3),
      known: z.int(),
      promised: z.string(),
      shown: z.array(
        z.looseObject({ worker: z.string(), promised: z.string(), isRefused: z.boolean() }),
      ),
    }),
  }),
});

async function operatorsPage() {
  const answer = await post({ port: lab.adminPort }, '/settlement', new Uint8Array(), {}, 'GET');
  return PAGE.parse(parseJson(answer.body, 65_536)).chain.workerChannels;
}

test('the operator sees every channel, and what is promised on it', async () => {
  const workerChannels = await operatorsPage();
  assert.equal(workerChannels.known, workerChannels.shown.length);
  assert.ok(BigInt(workerChannels.promised) >= 4n * PART);
});

test('a deposit that fees would eat is refused at the start', async () => {
  const ton = { workerChannelDeposit: '0.099999999' };
  await assert.rejects(openPaidLab({ devnet: lab.devnet, ton }), { code: 'settler.config' });
});
