/** The chain through providers that lie, lag, fall silent or are somebody else's. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cell } from '@ton/core';
import { systemClock } from '../../../core/clock.ts';
import type { Fault } from '../../../settlement/ton/devnet/devnet.ts';
import { DEVNET, MAINNET, networkOf } from '../../../settlement/ton/network.ts';
import { openToncenter } from '../../../settlement/ton/toncenter.ts';
import { fixed } from '../../../core/bytes.ts';
import { openWallet } from '../../../settlement/ton/wallet.ts';
import { until } from '../../support/until.ts';
import { addressOf, clientOf, TON, transfer, walletOf, withDevnet } from './devnet/wallets.ts';
import { withLab } from './lab.ts';

const ADDRESS = addressOf(1);
const SHORT_MS = 1500;

test('an account is what the providers say alike', async () => {
  await withLab({}, async ({ devnet, chain, reports }) => {
    const empty = await chain.readAccount(ADDRESS);
    assert.equal(empty.state, 'uninitialized');
    assert.equal(empty.last, undefined);
    await devnet.faucet(ADDRESS, 2n * TON);
    const funded = await chain.readAccount(ADDRESS);
    assert.ok(funded.balanceNanoton > TON);
    assert.equal(funded.seqno, devnet.seqno());
    assert.ok(funded.agreedBy.length >= 2);
    assert.deepEqual(reports, []);
    assert.deepEqual(chain.health(), { kind: 'reachable' });
  });
});

test('a lie about a balance is outvoted and reported', async () => {
  await withLab({}, async ({ devnet, fronts, chain, reports }) => {
    await devnet.faucet(ADDRESS, 2n * TON);
    fronts[1].faults.add({ kind: 'balance', address: ADDRESS.toString(), nanoton: '999' });
    const { balanceNanoton, agreedBy } = await chain.readAccount(ADDRESS);
    assert.ok(balanceNanoton > TON);
    assert.ok(!agreedBy.includes('b'));
    await until(() => reports.length > 0);
    assert.deepEqual(reports[0], { provider: 'b', code: 'contradicts' });
    assert.ok((chain.providers()[1]?.contradictions ?? 0) > 0);
  });
});

test('a lie is reported even when it comes after the decision', async () => {
  await withLab({}, async ({ fronts, chain, reports }) => {
    await chain.readAccount(ADDRESS);
    fronts[2].faults.add({ kind: 'delay', ms: 100 });
    fronts[2].faults.add({ kind: 'balance', address: ADDRESS.toString(), nanoton: '999' });
    await chain.readAccount(ADDRESS);
    assert.deepEqual(reports, []);
    await until(() => reports.some(({ provider }) => provider === 'c'));
  });
});

test('two liars that do not agree leave no answer, and everybody is named', async () => {
  await withLab({}, async ({ fronts, chain, reports }) => {
    fronts[1].faults.add({ kind: 'balance', address: ADDRESS.toString(), nanoton: '1' });
    fronts[2].faults.add({ kind: 'balance', address: ADDRESS.toString(), nanoton: '2' });
    await assert.rejects(chain.readAccount(ADDRESS, { deadlineMs: SHORT_MS }), {
      code: 'ton.disagree',
    });
    assert.deepEqual(new Set(reports.map(({ provider }) => provider)), new Set(['a', 'b', 'c']));
    const health = chain.health();
    assert.equal(health.kind === 'unreachable' && health.code, 'ton.disagree');
  });
});

test('a provider that lags is no liar, and is waited for when it is needed', async () => {
  await withLab({}, async ({ devnet, fronts, chain, reports }) => {
    await devnet.faucet(ADDRESS, TON);
    fronts[1].faults.add({ kind: 'stale', blocks: 1, method: 'getAddressInformation', times: 2 });
    fronts[2].faults.add({ kind: 'hang_up' });
    const { balanceNanoton, agreedBy } = await chain.readAccount(ADDRESS);
    assert.ok(balanceNanoton > 0n);
    assert.deepEqual([...agreedBy].sort(), ['a', 'b']);
    assert.deepEqual(reports, []);
  });
});

test('what was agreed once is never unsaid by two that lag', async () => {
  await withLab({}, async ({ devnet, fronts, chain }) => {
    await devnet.faucet(ADDRESS, TON);
    await chain.readAccount(ADDRESS);
    for (const front of [fronts[1], fronts[2]])
      front.faults.add({ kind: 'stale', blocks: 1, times: 3 });
    const { balanceNanoton } = await chain.readAccount(ADDRESS);
    assert.ok(balanceNanoton > 0n);
  });
});

const SILENCES: readonly Fault[] = [
  { kind: 'hang_up' },
  { kind: 'html', status: 200 },
  { kind: 'html', status: 502 },
  { kind: 'html', status: 429 },
  { kind: 'huge' },
  { kind: 'delay', ms: 60_000 },
  { kind: 'rate_limit', retryAfterS: 60 },
];

for (const fault of SILENCES) {
  test(`one of three with ${JSON.stringify(fault)} does not matter`, async () => {
    await withLab({}, async ({ fronts, chain }) => {
      fronts[0].faults.add(fault);
      const { agreedBy } = await chain.readAccount(ADDRESS, { deadlineMs: SHORT_MS });
      assert.deepEqual([...agreedBy].sort(), ['b', 'c']);
      assert.equal(chain.health().kind, 'reachable');
    });
  });
}

test('without a quorum a read ends at its deadline, and says since when', async () => {
  await withLab({}, async ({ fronts, chain }) => {
    fronts[0].faults.add({ kind: 'delay', ms: 60_000 });
    fronts[1].faults.add({ kind: 'huge' });
    const startMs = performance.now();
    await assert.rejects(chain.readAccount(ADDRESS, { deadlineMs: 600 }), {
      code: 'ton.unreachable',
    });
    assert.ok(performance.now() - startMs < 3000);
    const health = chain.health();
    assert.equal(health.kind, 'unreachable');
    await assert.rejects(chain.readAccount(ADDRESS, { deadlineMs: 100 }));
    assert.deepEqual(chain.health(), health);
    for (const { faults } of fronts) faults.clear();
    await chain.readAccount(ADDRESS);
    assert.equal(chain.health().kind, 'reachable');
  });
});

test('a rate limit is waited out, and the provider is used again', async () => {
  await withLab({ quorum: 3 }, async ({ fronts, chain }) => {
    fronts[0].faults.add({ kind: 'rate_limit', retryAfterS: 1, times: 1 });
    const startMs = performance.now();
    const { agreedBy } = await chain.readAccount(ADDRESS);
    assert.equal(agreedBy.length, 3);
    assert.ok(performance.now() - startMs >= 900);
  });
});

test('a provider of another network is left out for good; too few left is an error at once', async () => {
  await withLab({}, async ({ fronts, chain }) => {
    fronts[0].faults.add({ kind: 'network', name: 'mainnet', times: 1 });
    const { agreedBy } = await chain.readAccount(ADDRESS);
    assert.deepEqual([...agreedBy].sort(), ['b', 'c']);
    await until(() => chain.providers()[0]?.isExcluded === true);
  });
  await withLab({}, async ({ fronts, chain }) => {
    for (const { faults } of fronts) faults.add({ kind: 'network', name: 'testnet' });
    const startMs = performance.now();
    await assert.rejects(chain.readAccount(ADDRESS), { code: 'ton.network' });
    await assert.rejects(chain.send(Cell.EMPTY), { code: 'ton.network' });
    assert.ok(performance.now() - startMs < 3000);
  });
});

test('a head that is too old does not count, whoever says so', async () => {
  await withLab({ now: () => systemClock() + 3_600_000 }, async ({ chain }) => {
    await assert.rejects(chain.readAccount(ADDRESS, { deadlineMs: 600 }), { code: 'ton.disagree' });
  });
});

test('get-methods need a quorum too, and their exit code is an answer', async () => {
  await withLab({}, async ({ devnet, fronts, chain }) => {
    const wallet = walletOf(clientOf(devnet), 3);
    await devnet.faucet(wallet.address, 2n * TON);
    await wallet.send([transfer(ADDRESS, TON / 10n)]);
    fronts[1].faults.add({ kind: 'stale', blocks: 1, method: 'runGetMethod' });
    const [seqno] = await chain.runGetMethod(wallet.address, 'seqno', []);
    assert.deepEqual(seqno, { type: 'int', value: 1n });
    fronts[1].faults.clear();
    await assert.rejects(chain.runGetMethod(wallet.address, 'nothing', []), {
      code: 'ton.get_method',
      facts: { exitCode: 11 },
    });
    await assert.rejects(chain.runGetMethod(addressOf(99), 'seqno', []), {
      code: 'ton.get_method',
    });
    // An answer, whatever it says.
    assert.equal(chain.health().kind, 'reachable');
  });
});

test('transactions come oldest first, page by page, from a point on', async () => {
  await withLab({}, async ({ devnet, chain }) => {
    for (let i = 0; i < 120; i++) await devnet.faucet(ADDRESS, TON);
    const all = await chain.transactionsSince(ADDRESS, 0n);
    assert.equal(all.transactions.length, 120);
    assert.equal(all.isComplete, true);
    const lts = all.transactions.map(({ lt }) => lt);
    assert.deepEqual(
      lts,
      [...lts].sort((a, b) => (a < b ? -1 : 1)),
    );
    const rest = await chain.transactionsSince(ADDRESS, lts[99] ?? 0n);
    assert.deepEqual(
      rest.transactions.map(({ lt }) => lt),
      lts.slice(100),
    );
    const few = await chain.transactionsSince(ADDRESS, 0n, { limit: 7 });
    assert.equal(few.isComplete, false);
    assert.deepEqual(
      few.transactions.map(({ lt }) => lt),
      lts.slice(-7),
    );
    assert.deepEqual(await chain.transactionsSince(addressOf(50), 0n), {
      transactions: [],
      isComplete: true,
    });
  });
});

test('a page that a provider left out or keeps back is fetched from another', async () => {
  await withLab({}, async ({ devnet, fronts, chain }) => {
    for (let i = 0; i < 3; i++) await devnet.faucet(ADDRESS, TON);
    fronts[0].faults.add({ kind: 'stale', blocks: 2, method: 'getTransactions' });
    fronts[1].faults.add({ kind: 'html', status: 502, method: 'getTransactions' });
    const { transactions } = await chain.transactionsSince(ADDRESS, 0n);
    assert.equal(transactions.length, 3);
    fronts[2].faults.add({ kind: 'stale', blocks: 2, method: 'getTransactions' });
    await assert.rejects(chain.transactionsSince(ADDRESS, 0n), { code: 'ton.history' });
  });
});

test('the same provider twice, and a quorum that cannot be, are refused', () => {
  const provider = { name: 'a', url: 'http://127.0.0.1:1/jsonRPC' };
  const base = { network: DEVNET, now: systemClock };
  for (const [providers, quorum] of [
    [[provider, { ...provider, name: 'b' }], 2],
    [[provider], 2],
    [[provider], 0],
    [[], 1],
    [[{ name: 'a', url: 'nonsense' }], 1],
    [[{ name: 'a', url: 'https://x.example/jsonRPC?api_key=1' }], 1],
  ] as const) {
    assert.throws(() => openToncenter({ ...base, providers, quorum }), { code: 'ton.config' });
  }
  const clear = [{ name: 'a', url: 'http://toncenter.example/api/v2/jsonRPC' }];
  assert.throws(() => openToncenter({ ...base, providers: clear, quorum: 1 }), {
    code: 'http.origin',
  });
});

test('nobody there is an error in time, also for a single provider', async () => {
  let url = '';
  await withDevnet({}, async ({ endpoint }) => {
    url = endpoint;
  });
  const chain = openToncenter({
    network: DEVNET,
    quorum: 1,
    now: systemClock,
    providers: [{ name: 'a', url }],
  });
  await assert.rejects(chain.readAccount(ADDRESS, { deadlineMs: 400 }), {
    code: 'ton.unreachable',
  });
  await assert.rejects(chain.send(Cell.EMPTY, { deadlineMs: 400 }), { code: 'ton.unreachable' });
  await chain.close();
  await assert.rejects(chain.readAccount(ADDRESS), { code: 'ton.unreachable' });
});

test('a read that its caller gave up says nothing about the providers', async () => {
  await withLab({}, async ({ fronts, chain }) => {
    for (const { faults } of fronts) faults.add({ kind: 'delay', ms: 60_000 });
    const signal = AbortSignal.timeout(100);
    await assert.rejects(chain.readAccount(ADDRESS, { signal }), { code: 'ton.unreachable' });
    assert.equal(chain.health().kind, 'reachable');
    const gone = assert.rejects(chain.readAccount(ADDRESS), { code: 'ton.unreachable' });
    await chain.close();
    await gone;
    assert.equal(chain.health().kind, 'reachable');
  });
});

test('a message reaches the chain through whoever is there', async () => {
  await withLab({}, async ({ devnet, fronts, chain }) => {
    const wallet = openWallet(fixed(new Uint8Array(32).fill(9), 32), DEVNET);
    await devnet.faucet(wallet.address, 2n * TON);
    fronts[0].faults.add({ kind: 'hang_up', method: 'sendBoc' });
    fronts[1].faults.add({ kind: 'drop' });
    const payments = [{ to: ADDRESS, nanoton: TON }];
    await chain.send(await wallet.order({ payments, seqno: 0, validUntilS: devnet.nowS() + 60 }));
    await until(async () => (await chain.readAccount(ADDRESS)).balanceNanoton > 0n);
  });
});

test('one provider alone cannot say that a contract refuses', async () => {
  await withLab({}, async ({ devnet, fronts, chain }) => {
    const wallet = openWallet(fixed(new Uint8Array(32).fill(8), 32), DEVNET);
    await devnet.faucet(wallet.address, 2n * TON);
    const payments = [{ to: ADDRESS, nanoton: TON }];
    const wrong = await wallet.order({ payments, seqno: 7, validUntilS: devnet.nowS() + 60 });
    for (const front of [fronts[0], fronts[1]])
      front.faults.add({ kind: 'hang_up', method: 'sendBoc' });
    await assert.rejects(chain.send(wrong, { deadlineMs: SHORT_MS }), { code: 'ton.unreachable' });
    fronts[0].faults.clear();
    await assert.rejects(chain.send(wrong), { code: 'ton.not_accepted' });
  });
});

test('networks are known by their first state', () => {
  assert.equal(networkOf(MAINNET.zeroState), MAINNET);
  assert.equal(networkOf({ ...MAINNET.zeroState, rootHash: DEVNET.zeroState.rootHash }), undefined);
});
