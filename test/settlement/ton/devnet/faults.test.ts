/** Each trouble the devnet can make, seen from where it hurts. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SendMode } from '@ton/core';
import type { Devnet, Fault } from '../../../../settlement/ton/devnet/devnet.ts';
import {
  addressOf,
  call,
  clientOf,
  post,
  TON,
  transfer,
  walletOf,
  withDevnet,
  type TestWallet,
} from './wallets.ts';

async function withWallet(
  work: (devnet: Devnet, wallet: TestWallet) => Promise<void>,
): Promise<void> {
  await withDevnet({}, async (devnet) => {
    const wallet = walletOf(clientOf(devnet), 21);
    await devnet.faucet(wallet.address, 10n * TON);
    await wallet.send([transfer(addressOf(1), TON)]);
    await work(devnet, wallet);
  });
}

async function pay(wallet: TestWallet, byte: number): Promise<void> {
  await wallet.opened.sendTransfer({
    seqno: await wallet.opened.getSeqno(),
    secretKey: wallet.keys.secretKey,
    messages: [transfer(addressOf(byte), TON)],
    sendMode: SendMode.PAY_GAS_SEPARATELY,
    // By the clock of the devnet, which some tests move.
    timeout: 4_000_000_000,
  });
}

async function balanceOf(devnet: Devnet, byte: number): Promise<bigint> {
  return await clientOf(devnet).getBalance(addressOf(byte));
}

test('a dropped message is accepted and never happens', async () => {
  await withWallet(async (devnet, wallet) => {
    devnet.inject({ kind: 'drop', times: 1 });
    await pay(wallet, 2);
    await devnet.mine(3);
    assert.equal(await balanceOf(devnet, 2), 0n);
    await pay(wallet, 2);
    assert.ok((await balanceOf(devnet, 2)) > 0n);
  });
});

test('a held message happens so many blocks later', async () => {
  await withWallet(async (devnet, wallet) => {
    devnet.inject({ kind: 'hold', blocks: 2, times: 1 });
    await pay(wallet, 2);
    await devnet.mine(2);
    assert.equal(await balanceOf(devnet, 2), 0n);
    await devnet.mine(1);
    assert.ok((await balanceOf(devnet, 2)) > 0n);
  });
});

test('a message that arrives twice is paid once by a wallet that counts', async () => {
  await withWallet(async (devnet, wallet) => {
    devnet.inject({ kind: 'duplicate', times: 1 });
    await pay(wallet, 2);
    assert.ok((await balanceOf(devnet, 2)) <= TON);
    assert.equal(await wallet.opened.getSeqno(), 2);
  });
});

test('stale reads tell the state, the code and the history of before', async () => {
  await withWallet(async (devnet, wallet) => {
    await pay(wallet, 2);
    devnet.inject({ kind: 'stale', blocks: 1 });
    assert.equal(await balanceOf(devnet, 2), 0n);
    assert.equal(await wallet.opened.getSeqno(), 1);
    const client = clientOf(devnet);
    assert.deepEqual(await client.getTransactions(addressOf(2), { limit: 5 }), []);
    const { latestSeqno } = await client.getMasterchainInfo();
    assert.equal(latestSeqno, devnet.seqno() - 1);
  });
});

test('a lie about a balance is told about that account only', async () => {
  await withWallet(async (devnet) => {
    devnet.inject({ kind: 'balance', address: addressOf(2).toString(), nanoton: '77', times: 2 });
    assert.ok((await balanceOf(devnet, 1)) > 0n);
    assert.equal(await balanceOf(devnet, 2), 77n);
    assert.equal(await balanceOf(devnet, 2), 77n);
    assert.equal(await balanceOf(devnet, 2), 0n);
  });
});

test('a provider that limits its rate says when to come back', async () => {
  await withDevnet({}, async (devnet) => {
    devnet.inject({ kind: 'rate_limit', retryAfterS: 7, times: 1 });
    const response = await fetch(devnet.endpoint, {
      method: 'POST',
      body: JSON.stringify({ id: '1', jsonrpc: '2.0', method: 'getMasterchainInfo', params: {} }),
    });
    assert.equal(response.status, 429);
    assert.equal(response.headers.get('retry-after'), '7');
    await response.body?.cancel();
    assert.equal((await call(devnet, 'getMasterchainInfo', {})).status, 200);
  });
});

const UNANSWERED: readonly Fault[] = [
  { kind: 'hang_up', times: 1 },
  { kind: 'html', status: 502, times: 1 },
  { kind: 'html', status: 200, times: 1 },
];

for (const fault of UNANSWERED) {
  test(`${JSON.stringify(fault)} is an error for the client, once`, async () => {
    await withDevnet({}, async (devnet) => {
      devnet.inject(fault);
      await assert.rejects(clientOf(devnet).getMasterchainInfo());
      await clientOf(devnet).getMasterchainInfo();
    });
  });
}

test('a delay is for the method it names', async () => {
  await withDevnet({}, async (devnet) => {
    devnet.inject({ kind: 'delay', ms: 60_000, method: 'runGetMethod' });
    await call(devnet, 'getMasterchainInfo', {});
    const late = fetch(devnet.endpoint, {
      method: 'POST',
      body: JSON.stringify({ method: 'runGetMethod', params: {} }),
      signal: AbortSignal.timeout(100),
    });
    await assert.rejects(late);
  });
});

test('a huge answer is cut by whoever has enough of it', async () => {
  await withDevnet({}, async (devnet) => {
    devnet.inject({ kind: 'huge', times: 1 });
    const response = await fetch(devnet.endpoint, {
      method: 'POST',
      body: JSON.stringify({ method: 'getMasterchainInfo' }),
    });
    await response.body?.cancel();
    assert.equal((await call(devnet, 'getMasterchainInfo', {})).status, 200);
  });
});

test('a reorganisation takes the last blocks back, and their messages are lost', async () => {
  await withWallet(async (devnet, wallet) => {
    const seqno = devnet.seqno();
    await pay(wallet, 2);
    await pay(wallet, 3);
    await devnet.reorganise(2, 'lost');
    assert.equal(devnet.seqno(), seqno + 2);
    assert.equal(await balanceOf(devnet, 2), 0n);
    assert.equal(await wallet.opened.getSeqno(), 1);
    assert.ok((await balanceOf(devnet, 1)) > 0n);
    await pay(wallet, 3);
    assert.ok((await balanceOf(devnet, 3)) > 0n);
    assert.equal((await clientOf(devnet).getTransactions(addressOf(3), { limit: 5 })).length, 1);
  });
});

test('or happen again, at another place', async () => {
  await withWallet(async (devnet, wallet) => {
    await pay(wallet, 2);
    const [before] = await clientOf(devnet).getTransactions(addressOf(2), { limit: 1 });
    await devnet.reorganise(1, 'again');
    const [after] = await clientOf(devnet).getTransactions(addressOf(2), { limit: 1 });
    assert.ok((after?.lt ?? 0n) > (before?.lt ?? 0n));
    assert.ok((await balanceOf(devnet, 2)) > 0n);
  });
});

test('a snapshot brings the accounts back; time and blocks go on', async () => {
  await withWallet(async (devnet, wallet) => {
    await devnet.snapshot('one');
    const nowS = await devnet.forward(1000);
    await pay(wallet, 2);
    const seqno = devnet.seqno();
    await devnet.restore('one');
    assert.equal(await balanceOf(devnet, 2), 0n);
    assert.ok(devnet.nowS() >= nowS);
    assert.equal(devnet.seqno(), seqno + 1);
    await pay(wallet, 2);
    assert.ok((await balanceOf(devnet, 2)) > 0n);
    await assert.rejects(devnet.restore('two'), { code: 'devnet.unknown' });
  });
});

test('providers in front of one chain have their own troubles', async () => {
  await withWallet(async (devnet) => {
    const other = await devnet.openProvider({ apiKey: 'k' });
    other.faults.add({ kind: 'balance', address: addressOf(2).toString(), nanoton: '5' });
    assert.equal(await balanceOf(devnet, 2), 0n);
    assert.equal(await clientOf(other, 'k').getBalance(addressOf(2)), 5n);
    await assert.rejects(clientOf(other).getBalance(addressOf(2)), /401/);
  });
});

test('everything is within reach of curl', async () => {
  await withDevnet({}, async (devnet) => {
    const base = devnet.endpoint.replace('/api/v2/jsonRPC', '/devnet');
    const address = addressOf(4).toString();
    assert.equal((await post(`${base}/faucet`, { address, nanoton: '5000000000' })).status, 200);
    assert.ok((await balanceOf(devnet, 4)) > 4n * TON);
    const { json } = await post(`${base}/time`, { forwardS: 100 });
    assert.equal(json['nowS'], devnet.nowS());
    assert.equal((await post(`${base}/mine`, { blocks: 2 })).status, 200);
    assert.equal((await post(`${base}/snapshot`, { name: 'a' })).status, 200);
    assert.equal((await post(`${base}/restore`, { name: 'a' })).status, 200);
    assert.equal((await post(`${base}/reorg`, { blocks: 1 })).status, 400);
    assert.equal((await post(`${base}/mine`, { blocks: 1 })).status, 200);
    assert.equal((await post(`${base}/reorg`, { blocks: 1 })).status, 200);
    const faults = await post(`${base}/faults`, { kind: 'drop' });
    assert.deepEqual(faults.json, { faults: [{ kind: 'drop' }] });
    const cleared = await fetch(`${base}/faults`, { method: 'DELETE' });
    assert.deepEqual(await cleared.json(), { faults: [] });
    const status: unknown = await (await fetch(`${base}/status`)).json();
    assert.equal(Object(status).network, 'devnet');
  });
});
