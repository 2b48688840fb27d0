/**
 * `veilgate worker`: an owner sees what was earned and gets it, on a devnet with the real contract: a channel that the
 * gateway has filled, a voucher that the worker has kept, and one message that anybody may send. @module
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Address } from '@ton/core';
import { z } from 'zod';
import { randomBytes } from '#primitives';
import { fixed, toHex, utf8 } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { parseJson } from '../../core/json.ts';
import { runClaim } from '../../cli/worker/claim.ts';
import { columnsOf } from '../../cli/worker/columns.ts';
import { runEarnings } from '../../cli/worker/earnings.ts';
import { openEarnings } from '../../enclave-worker/earnings/sqlite.ts';
import { ChainHoldings } from '../../enclave-worker/earnings/holdings.ts';
import { WORKER_EVENTS } from '../../enclave-worker/events.ts';
import { createLog } from '../../core/node/log.ts';
import { amount } from '../../settlement/money.ts';
import type { ChannelTerms } from '../../settlement/channel-terms.ts';
import {
  channelAddress,
  channelInit,
  depositBody,
} from '../../settlement/ton/contracts/pay-channel.ts';
import { openDevnet, type Devnet } from '../../settlement/ton/devnet/devnet.ts';
import { DEVNET } from '../../settlement/ton/network.ts';
import { openToncenter } from '../../settlement/ton/toncenter.ts';
import { openWallet } from '../../settlement/ton/wallet.ts';
import { channelOfTerms } from '../../settlement/ton/worker-channel.ts';
import { encodeVoucher, signVoucher } from '../../settlement/voucher.ts';
import { PAYOUT_KEY, termsOf } from '../enclave-worker/paid-worker.ts';
import { BOOK } from '../support/earnings-book.ts';
import { until } from '../support/until.ts';

const TON = 1_000_000_000n;
const DAY_MS = 86_400_000;
const { signal } = new AbortController();
let root: string;
let devnet: Devnet;
let terms: ChannelTerms;

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'veilgate-owner-'));
  devnet = await openDevnet({});
  terms = termsOf({ salt: 5n });
  await fund(terms, 2n * TON);
});

after(async () => {
  await devnet.close();
  await rm(root, { recursive: true, force: true });
});

let wallets = 0;

async function fund(of: ChannelTerms, nanoton: bigint): Promise<void> {
  const chain = openToncenter({
    network: DEVNET,
    providers: [{ name: 'a', url: devnet.endpoint }],
    quorum: 1,
    now: systemClock,
  });
  const wallet = openWallet(fixed(new Uint8Array(32).fill(60 + wallets++), 32), DEVNET);
  await devnet.faucet(wallet.address, 10n * TON);
  const contract = {
    payer: Address.parseRaw(of.payer),
    payee: Address.parseRaw(of.payee),
    payerKey: of.payerKey,
    payeeKey: 'single-lock',
    withdrawDelayS: of.withdrawDelayS,
    networkId: DEVNET.globalId,
    salt: of.salt,
  } as const;
  const deposit = { to: channelAddress(contract), nanoton, init: channelInit(contract) };
  const validUntilS = devnet.nowS() + 60;
  const payments = [{ ...deposit, body: depositBody(0n) }];
  await chain.send(await wallet.order({ payments, seqno: 0, validUntilS }));
  await until(async () => (await chain.readAccount(channelAddress(contract))).state === 'active');
  await chain.close();
}

/** A worker's directory with two days of work, and a voucher of this ceiling. */
function earned(name: string, ceiling: bigint | undefined, of = terms, epoch = 0): string {
  const dir = join(root, name);
  const store = openEarnings(dir, systemClock());
  const statementHash = randomBytes(32);
  for (const [seq, model, day] of [
    [1n, 'small', 20_000],
    [2n, 'small', 20_000],
    [3n, 'large/model', 20_001],
  ] as const) {
    store.addReceipt(BOOK, {
      atMs: day * DAY_MS,
      model,
      statementHash,
      workerSeq: seq,
      inputTokens: 100,
      outputTokens: 20,
      amount: TON,
      part: (9n * TON) / 10n,
    });
  }
  const channel = channelOfTerms(of);
  const acknowledged = { statementHash, workerSeq: 3n, earned: 2n * TON, paid: TON / 2n, atMs: 1 };
  const voucher =
    ceiling === undefined
      ? undefined
      : {
          channel,
          terms: of,
          epoch,
          ceiling,
          voucher: encodeVoucher(
            signVoucher(PAYOUT_KEY, { channel, epoch, ceiling: amount(ceiling) }),
          ),
        };
  store.addNotice(BOOK, { acknowledged, before: 0n, voucher });
  store.close();
  return dir;
}

async function run(
  command: typeof runEarnings,
  dir: string,
  options: { readonly providers?: readonly string[]; readonly format?: 'text' | 'json' } = {},
) {
  const lines: string[] = [];
  const { providers = [], format = 'text' } = options;
  const io = { output: (line: string) => void lines.push(line), error: () => assert.fail() };
  const exit = await command({ dir, providers, format }, io, signal);
  return { exit, text: lines.join('\n') };
}

const json = (text: string): unknown => parseJson(utf8(text), 100_000);

test('earnings in numbers, by day and by model', async () => {
  const dir = earned('shown', TON);
  const { exit, text } = await run(runEarnings, dir);
  assert.equal(exit, 0);
  assert.match(text, /^earned +2\.7 TON {2}by its own receipts/m);
  assert.match(text, /^acknowledged +2\.0 TON/m);
  assert.match(text, /^vouchered +1\.0 TON {2}on 1 channel$/m);
  assert.match(text, /^claimed +– TON {2}ask with --provider$/m);
  assert.match(text, /^paid +0\.5 TON/m);
  assert.match(text, /^unpaid +1\.2 TON/m);
  assert.match(text, /^2024-10-04 +2 +200 +40 +1\.8$/m);
  assert.match(text, /^2024-10-05 +1 +100 +20 +0\.9$/m);
  assert.match(text, /^large\/model +1 +100 +20 +0\.9$/m);
});

const BOOKS = z.looseObject({
  books: z.tuple([
    z.looseObject({
      earned: z.literal('2700000000'),
      claimed: z.string().nullable(),
      unpaid: z.literal('1200000000'),
      channels: z.tuple([z.looseObject({ status: z.string().nullable() })]),
      days: z.array(z.looseObject({ day: z.string() })).length(2),
    }),
  ]),
});

test('earnings as JSON, with what the chain says', async () => {
  const dir = earned('json', TON);
  const blind = BOOKS.parse(json((await run(runEarnings, dir, { format: 'json' })).text));
  assert.equal(blind.books[0].claimed, null);
  const providers = [devnet.endpoint];
  const seen = BOOKS.parse(json((await run(runEarnings, dir, { format: 'json', providers })).text));
  assert.equal(seen.books[0].claimed, '0');
  assert.equal(seen.books[0].channels[0].status, 'open');
});

test('a claim moves what the voucher is good for, says what it cost, and moves nothing twice', async (t) => {
  const own = termsOf({ salt: 6n });
  await fund(own, TON);
  const dir = earned('claimed', TON / 2n, own);
  const providers = [devnet.endpoint];
  const first = await run(runClaim, dir, { providers });
  assert.equal(first.exit, 0);
  const said =
    /claimed 0\.5 TON, the transaction cost (0\.\d+) TON, (0\.\d+) TON were paid out/.exec(
      first.text,
    );
  assert.ok(said !== null, first.text);
  assert.ok(Number(said[1]) > 0.001 && Number(said[1]) < 0.01);
  assert.ok(Number(said[2]) > 0.49 && Number(said[2]) < 0.5);
  t.diagnostic(first.text);
  const again = await run(runClaim, dir, { providers });
  assert.deepEqual([again.exit, /nothing new: 0\.5 TON/.test(again.text)], [0, true]);
  const { text } = await run(runEarnings, dir, { providers });
  assert.match(text, /^claimed +0\.5 TON {2}on chain$/m);
});

test('of a channel that holds less than it promised, all that there is', async () => {
  const own = termsOf({ salt: 7n });
  await fund(own, TON);
  const dir = earned('short', 5n * TON, own);
  const { exit, text } = await run(runClaim, dir, { providers: [devnet.endpoint] });
  assert.equal(exit, 0);
  assert.match(text, /claimed 0\.945 TON.*the channel held no more than that/);
});

test('what cannot be claimed is said, and not tried', async () => {
  const providers = [devnet.endpoint];
  const small = await run(runClaim, earned('small', 19_999_999n), { providers });
  assert.equal(small.exit, 1);
  assert.match(
    small.text,
    /0\.019999999 TON could be claimed; the contract takes 0\.02 TON or more/,
  );
  const nowhere = await run(runClaim, earned('nowhere', TON, termsOf({ salt: 8n })), { providers });
  assert.deepEqual([nowhere.exit, /no such contract/.test(nowhere.text)], [1, true]);
  const later = await run(runClaim, earned('later', TON, terms, 3), { providers });
  assert.deepEqual(
    [later.exit, /epoch 0, of which there is no voucher/.test(later.text)],
    [1, true],
  );
  const none = await run(runClaim, earned('none', undefined), { providers });
  assert.deepEqual([none.exit, /no voucher yet/.test(none.text)], [0, true]);
  const asJson = await run(runClaim, earned('small-json', 19_999_999n), {
    providers,
    format: 'json',
  });
  const { claims } = Object(json(asJson.text));
  assert.deepEqual(claims[0], {
    channel: toHex(channelOfTerms(terms)),
    outcome: 'too_small',
    claimable: '19999999',
    minimum: '20000000',
  });
});

test('a provider of another network, or none at all, moves nothing', async () => {
  const dir = earned('lost', TON, termsOf({ network: 'tvm:-3', salt: 9n }));
  await assert.rejects(run(runClaim, dir, { providers: [devnet.endpoint] }), {
    code: 'ton.network',
  });
  await assert.rejects(run(runEarnings, join(root, 'nobody')), { code: 'file.private' });
});

test('a worker that asks the chain sees what its channel holds', async () => {
  const chain = openToncenter({
    network: DEVNET,
    providers: [{ name: 'a', url: devnet.endpoint }],
    quorum: 1,
    now: systemClock,
  });
  const lines: string[] = [];
  const log = createLog({
    events: WORKER_EVENTS,
    part: 'worker',
    destination: { write: (line) => void lines.push(line) },
  });
  let aheadMs = 0;
  const holdings = new ChainHoldings(chain, { clock: () => systemClock() + aheadMs, log });
  const stop = new AbortController();
  const running = holdings.run(60_000, stop.signal);
  const channel = channelOfTerms(terms);
  assert.equal(holdings.of(channel), undefined);
  // Between two rounds: a new channel is looked at at once.
  holdings.watch(channel, terms);
  await until(() => holdings.of(channel) !== undefined);
  assert.deepEqual(holdings.of(channel), { epoch: 0, holds: 1_945_000_000n, claimed: 0n });
  assert.match(lines[0] ?? '', /worker\.channel.*"status":"open","holds":"1945000000"/);
  // In half a delay nobody can have taken it back; after that, somebody could have, unseen.
  aheadMs = 12 * 3_600_000 - 60_000;
  assert.ok(holdings.of(channel) !== undefined);
  aheadMs += 61_000;
  assert.equal(holdings.of(channel), undefined);
  stop.abort();
  await running;
  await chain.close();
});

test('a month of days, and what was before it together', async () => {
  const dir = join(root, 'long');
  const store = openEarnings(dir, 20_000 * DAY_MS);
  for (let day = 0; day < 40; day++) {
    store.addReceipt(BOOK, {
      atMs: (20_000 + day) * DAY_MS,
      model: 'm',
      statementHash: randomBytes(32),
      workerSeq: 1n,
      inputTokens: 1,
      outputTokens: 1,
      amount: 1n,
      part: 1n,
    });
  }
  store.close();
  const { text } = await run(runEarnings, dir);
  assert.match(text, /^earlier +9 +9 +9 +0\.000000009$/m);
  assert.equal([...text.matchAll(/^2024-/gm)].length, 31);
});

test('the command itself: its words, its exit status, and its errors in JSON', () => {
  const veilgate = (...words: readonly string[]) =>
    spawnSync(process.execPath, ['cli/veilgate.ts', 'worker', ...words], { encoding: 'utf8' });
  const dir = earned('process', TON);
  const shown = veilgate('earnings', '--dir', dir, '--json');
  assert.equal(shown.status, 0);
  BOOKS.parse(json(shown.stdout));
  const lost = veilgate('earnings', '--dir', join(root, 'nobody'), '--json');
  assert.equal(lost.status, 3);
  assert.equal(Object(json(lost.stdout)).code, 'file.private');
  assert.equal(veilgate('claim', '--dir', dir).status, 2);
  assert.equal(veilgate('claim', '--dir', dir, '--provider', 'ftp://x').status, 2);
});

test('columns are as wide as their longest cell', () => {
  const columns = [
    { title: 'a', align: 'left' },
    { title: 'bb', align: 'right' },
  ] as const;
  assert.deepEqual(
    columnsOf(columns, [
      ['long', '1'],
      ['x', '22222'],
    ]),
    ['a        bb', 'long      1', 'x     22222'],
  );
});
