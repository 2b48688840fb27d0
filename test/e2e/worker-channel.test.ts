/**
 * A worker is paid through a channel, all the way: requests through the gateway, its own receipts, a deposit of the
 * gateway's treasury, vouchers with each settlement; and its owner sees them with `veilgate worker earnings` and has the
 * coins with `veilgate worker claim`. The gateway's books, the worker's and the chain say the same. @module
 */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Address } from '@ton/core';
import { z } from 'zod';
import { fixed, fromHex, utf8 } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { parseJson } from '../../core/json.ts';
import { runClaim } from '../../cli/worker/claim.ts';
import { runEarnings } from '../../cli/worker/earnings.ts';
import { amount } from '../../settlement/money.ts';
import type { TonChain } from '../../settlement/ton/chain.ts';
import { openDevnet, type Devnet } from '../../settlement/ton/devnet/devnet.ts';
import { DEVNET } from '../../settlement/ton/network.ts';
import { openToncenter } from '../../settlement/ton/toncenter.ts';
import { STACK_MODEL, startStack, type Stack } from '../support/stack.ts';
import { until } from '../support/until.ts';

const TON = 1_000_000_000n;
const PAYOUT = `0:${'5a'.repeat(32)}`;
/** A request costs this, whatever is in it; five hundredths are the gateway's. */
const PRICE = (TON * 3n) / 10n;
const PART = (PRICE * 95n) / 100n;
const PAYOUTS = { amount: amount(1000n * TON), ageMs: 1e15, agedAmount: amount(1n) };
const { signal } = new AbortController();

let dir: string;
let devnet: Devnet;
let chain: TonChain;
let stack: Stack;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'veilgate-paid-worker-'));
  devnet = await openDevnet();
  const ton = {
    network: 'devnet' as const,
    providers: [{ name: 'devnet', url: devnet.endpoint }],
    settlementKeyFile: join(dir, 'settlement.key'),
    treasuryKeyFile: join(dir, 'treasury.key'),
    anchor: 'off' as const,
    workerChannelDeposit: '1',
  };
  chain = openToncenter({
    network: DEVNET,
    quorum: 1,
    now: systemClock,
    providers: [{ name: 'test', url: devnet.endpoint }],
  });
  const free = { prompt: 0n, cached: 0n, completion: 0n, reasoning: 0n };
  stack = await startStack({
    payout: PAYOUT,
    prices: { asset: 'TON', base: PRICE, ...free },
    gateway: { settlement: { feeBps: 500, custodial: 'operator-holds-balances', ton } },
    settlerPolicy: { roundMs: 20, settleMs: 0, payouts: PAYOUTS },
    workerConfig: () => ({
      earnings: { dir: join(dir, 'earnings') },
      settlement: {
        network: 'devnet',
        creditMax: '2',
        paidCounts: 'never',
        chain: { providers: [{ name: 'devnet', url: devnet.endpoint }], quorum: 1 },
      },
    }),
  });
  const { chain: page } = await settlementPage();
  await devnet.faucet(Address.parse(page.treasury.address), 10n * TON);
});

after(async () => {
  await stack.close();
  await chain.close();
  await devnet.close();
  rmSync(dir, { recursive: true });
});

const PAGE = z.looseObject({
  chain: z.looseObject({
    treasury: z.looseObject({ address: z.string() }),
    workerChannels: z.looseObject({
      shown: z.array(
        z.looseObject({
          worker: z.string(),
          payee: z.string(),
          deposited: z.string(),
          promised: z.string(),
          claimed: z.string(),
        }),
      ),
    }),
  }),
});

async function settlementPage() {
  return PAGE.parse(await (await fetch(`${stack.adminUrl}/settlement`)).json());
}

async function ask(times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    await stack.sealed().chat.completions.create({
      model: STACK_MODEL,
      messages: [{ role: 'user', content: 'What is remote attestation?' }],
      max_tokens: 4,
    });
  }
}

async function run(command: typeof runEarnings): Promise<unknown> {
  const lines: string[] = [];
  const io = { output: (line: string) => void lines.push(line), error: () => assert.fail() };
  const options = {
    dir: join(dir, 'earnings'),
    providers: [devnet.endpoint],
    format: 'json',
  } as const;
  assert.equal(await command(options, io, signal), 0);
  return parseJson(utf8(lines.join('\n')), 100_000);
}

const EARNINGS = z.looseObject({
  books: z.tuple([
    z.looseObject({
      worker: z.string(),
      earned: z.string(),
      vouchered: z.string(),
      claimed: z.string().nullable(),
      paid: z.string(),
      unpaid: z.string(),
    }),
  ]),
});

async function earnings() {
  return EARNINGS.parse(await run(runEarnings)).books[0];
}

test('requests become a voucher, the voucher becomes coins, and all books agree', async () => {
  await ask(4);
  // Four parts are more than a deposit: a channel is made, and the worker hears of it.
  await until(async () => BigInt((await earnings()).vouchered) > 0n);
  await ask(2);
  const earned = 6n * PART;
  await until(async () => BigInt((await earnings()).vouchered) === earned);
  const before = await earnings();
  assert.deepEqual(
    [before.earned, before.paid, before.unpaid, before.claimed],
    [earned.toString(), '0', '0', '0'],
  );

  const CLAIM = z.looseObject({
    claims: z.tuple([
      z.looseObject({ outcome: z.literal('claimed'), moved: z.string(), received: z.string() }),
    ]),
  });
  const [claim] = CLAIM.parse(await run(runClaim)).claims;
  assert.equal(claim.moved, earned.toString());
  const wallet = (await chain.readAccount(Address.parse(PAYOUT))).balanceNanoton;
  assert.ok(wallet > earned - TON / 100n && wallet <= earned + TON / 100n, `${wallet}`);
  assert.equal((await earnings()).claimed, earned.toString());

  const { worker } = before;
  const books = await stack.gateway.ledger.findWorker(fixed(fromHex(worker), 32), 'TON');
  assert.deepEqual([books.earned, books.paid, books.planned], [earned, 0n, 0n]);
  // What is earned after a claim goes on where it stopped.
  await ask(1);
  await until(async () => BigInt((await earnings()).vouchered) === earned + PART);
  const [row] = (await settlementPage()).chain.workerChannels.shown;
  assert.deepEqual([row?.worker, row?.payee], [worker, PAYOUT]);
  assert.equal(row?.promised, (earned + PART).toString());
  assert.ok(BigInt(row.deposited) - earned - PART <= TON, 'a deposit beyond what was earned');
});
