/** The devnet between two runs. @module */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { manualClock } from '../../../../core/clock.ts';
import { openDevnet } from '../../../../settlement/ton/devnet/devnet.ts';
import { until } from '../../../support/until.ts';
import { addressOf, clientOf, TON, transfer, walletOf, withDevnet } from './wallets.ts';

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-devnet-'));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const START_MS = Date.UTC(2026, 0, 1);

test('a reopened devnet goes on where it was: accounts, transactions and time', async () => {
  await withFolder(async (folder) => {
    const statePath = join(folder, 'devnet.json');
    const { now } = manualClock(START_MS);
    let seen = { nowS: 0, seqno: 0, lt: 0n };
    await withDevnet({ statePath, now }, async (devnet) => {
      const wallet = walletOf(clientOf(devnet), 31);
      await devnet.faucet(wallet.address, 5n * TON);
      await wallet.send([transfer(addressOf(2), TON)]);
      await devnet.forward(5000);
      const [newest] = await clientOf(devnet).getTransactions(wallet.address, { limit: 1 });
      seen = { nowS: devnet.nowS(), seqno: devnet.seqno(), lt: newest?.lt ?? 0n };
    });
    assert.equal(statSync(statePath).mode & 0o777, 0o600);
    await withDevnet({ statePath, now, blockTimeMs: 40 }, async (devnet) => {
      const client = clientOf(devnet);
      const wallet = walletOf(client, 31);
      assert.equal(devnet.nowS(), seen.nowS);
      assert.ok(devnet.seqno() > seen.seqno);
      assert.equal(await wallet.opened.getSeqno(), 1);
      const [newest] = await client.getTransactions(wallet.address, { limit: 9 });
      assert.equal(newest?.lt, seen.lt);
      await wallet.send([transfer(addressOf(3), TON)]);
      const after = await client.getTransactions(wallet.address, { limit: 9 });
      assert.equal(after.length, 3);
      assert.equal(after[0]?.prevTransactionLt, seen.lt);
    });
  });
});

test('a devnet that was killed gives no place twice', async () => {
  await withFolder(async (folder) => {
    const statePath = join(folder, 'devnet.json');
    const copy = join(folder, 'copy.json');
    let seen = { seqno: 0, lt: 0n };
    await withDevnet({ statePath }, async (devnet) => {
      await devnet.faucet(addressOf(1), TON);
      await until(() => existsSync(statePath));
      // What a kill would leave: the file as it is now.
      writeFileSync(copy, readFileSync(statePath), { mode: 0o600 });
      await devnet.faucet(addressOf(1), TON);
      await devnet.mine(5);
      const [newest] = await clientOf(devnet).getTransactions(addressOf(1), { limit: 1 });
      seen = { seqno: devnet.seqno(), lt: newest?.lt ?? 0n };
    });
    await withDevnet({ statePath: copy }, async (devnet) => {
      assert.ok(devnet.seqno() > seen.seqno);
      await devnet.faucet(addressOf(1), TON);
      const [newest] = await clientOf(devnet).getTransactions(addressOf(1), { limit: 1 });
      assert.ok((newest?.lt ?? 0n) > seen.lt);
    });
  });
});

test('two devnets do not share a file', async () => {
  await withFolder(async (folder) => {
    const statePath = join(folder, 'devnet.json');
    await withDevnet({ statePath }, async () => {
      await assert.rejects(openDevnet({ statePath }), { code: 'writer_lock.held' });
    });
    await withDevnet({ statePath }, async () => undefined);
  });
});

test('a file that is not one is refused and stays as it is', async () => {
  await withFolder(async (folder) => {
    const statePath = join(folder, 'devnet.json');
    for (const text of ['', '{}', '{"format":"veilgate.ton-devnet/1"}']) {
      writeFileSync(statePath, text, { mode: 0o600 });
      await assert.rejects(openDevnet({ statePath }), { code: 'devnet.state' });
      assert.equal(readFileSync(statePath, 'utf8'), text);
    }
  });
});

test('a port that is taken gives the file back', async () => {
  await withFolder(async (folder) => {
    const statePath = join(folder, 'devnet.json');
    await withDevnet({}, async ({ port }) => {
      await assert.rejects(openDevnet({ statePath, port }), /EADDRINUSE/);
    });
    await withDevnet({ statePath }, async () => undefined);
  });
});

test('time stands still without a clock, and only goes forwards', async () => {
  const { now, advance } = manualClock(START_MS);
  await withDevnet({ now }, async (devnet) => {
    assert.equal(devnet.nowS(), START_MS / 1000);
    assert.equal(await devnet.forward(60), START_MS / 1000 + 60);
    advance(10_000);
    assert.equal(devnet.nowS(), START_MS / 1000 + 70);
    advance(-100_000);
    assert.ok(devnet.nowS() >= START_MS / 1000 + 60);
    await assert.rejects(devnet.forward(-1), { code: 'devnet.request' });
  });
});
