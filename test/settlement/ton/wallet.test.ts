/** Our wallets on the devnet: single payments, batches, keys. @module */

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixed } from '../../../core/bytes.ts';
import { DEVNET, MAINNET } from '../../../settlement/ton/network.ts';
import { openWallet } from '../../../settlement/ton/wallet.ts';
import { openHighloadWallet, queryIdOf } from '../../../settlement/ton/wallet/highload.ts';
import { loadOrMakeSeed, loadSeed } from '../../../settlement/ton/wallet/seed-file.ts';
import { until } from '../../support/until.ts';
import { addressOf, clientOf, MODES, TON, walletOf } from './devnet/wallets.ts';
import { withLab } from './lab.ts';

function seedOf(byte: number) {
  return fixed(new Uint8Array(32).fill(byte), 32);
}

test('the wallet is the one that other software makes of the same key', async () => {
  await withLab({}, async ({ devnet }) => {
    const other = walletOf(clientOf(devnet), 1);
    assert.ok(openWallet(seedOf(1), DEVNET).address.equals(other.address));
    assert.ok(!openWallet(seedOf(1), MAINNET).address.equals(other.address));
  });
});

for (const { mode, blockTimeMs } of MODES) {
  test(`a payment deploys the wallet, happens once, and not after its time (${mode})`, async () => {
    await withLab({ blockTimeMs }, async ({ devnet, chain }) => {
      const wallet = openWallet(seedOf(2), DEVNET);
      assert.deepEqual(await wallet.readState(chain), { seqno: 0, balanceNanoton: 0n });
      await devnet.faucet(wallet.address, 5n * TON);
      await until(async () => (await wallet.readState(chain)).balanceNanoton > 0n);
      const payments = [{ to: addressOf(9), nanoton: TON }];
      const validUntilS = devnet.nowS() + 60;
      const order = await wallet.order({ payments, seqno: 0, validUntilS });
      await chain.send(order);
      await until(async () => (await wallet.readState(chain)).seqno === 1);
      await assert.rejects(chain.send(order, { deadlineMs: 3000 }), { code: 'ton.not_accepted' });
      const late = await wallet.order({ payments, seqno: 1, validUntilS: devnet.nowS() - 1 });
      await assert.rejects(chain.send(late, { deadlineMs: 3000 }), { code: 'ton.not_accepted' });
      await until(async () => (await chain.readAccount(addressOf(9))).balanceNanoton > 0n);
      assert.ok((await chain.readAccount(addressOf(9))).balanceNanoton <= TON);
    });
  });

  test(`a batch of 254 payments happens once (${mode})`, async () => {
    await withLab({ blockTimeMs }, async ({ devnet, chain }) => {
      const wallet = openHighloadWallet(seedOf(3), { timeoutS: 3600 });
      await devnet.faucet(wallet.address, 30n * TON);
      await until(async () => (await chain.readAccount(wallet.address)).balanceNanoton > 0n);
      const payments = Array.from({ length: 254 }, (_, i) => ({
        to: addressOf(i + 1),
        nanoton: TON / 20n,
      }));
      const createdAtS = devnet.nowS() - 5;
      const batch = { number: 1023, payments, createdAtS, wallet: 'new' as const };
      const { message, queryId, expiresAtS } = wallet.batch(batch);
      assert.equal(queryId, 1024);
      assert.equal(expiresAtS, createdAtS + 3600);
      assert.equal(await wallet.outcome(chain, { number: 1023, sinceLt: 0n }), 'none');
      // The emulator runs 254 contracts before it says yes.
      await chain.send(message, { deadlineMs: 60_000 });
      await until(
        async () => (await wallet.outcome(chain, { number: 1023, sinceLt: 0n })) === 'paid',
      );
      assert.equal(await wallet.isProcessed(chain, 1023), true);
      assert.equal(await wallet.isProcessed(chain, 1024), false);
      await until(async () => (await chain.readAccount(addressOf(254))).balanceNanoton > 0n);
      const again = wallet.batch({ ...batch, wallet: 'deployed' });
      await assert.rejects(chain.send(again.message, { deadlineMs: 3000 }), {
        code: 'ton.not_accepted',
        facts: { exitCode: 36 },
      });
    });
  });
}

test('a batch that the coins do not suffice for pays nobody, and says so', async () => {
  await withLab({}, async ({ devnet, chain }) => {
    const wallet = openHighloadWallet(seedOf(4), { timeoutS: 60 });
    await devnet.faucet(wallet.address, 2n * TON);
    const payments = [1, 2, 3].map((byte) => ({ to: addressOf(byte), nanoton: TON }));
    const createdAtS = devnet.nowS() - 5;
    await chain.send(wallet.batch({ number: 0, payments, createdAtS, wallet: 'new' }).message);
    assert.equal(await wallet.outcome(chain, { number: 0, sinceLt: 0n }), 'failed');
    assert.equal(await wallet.isProcessed(chain, 0), true);
    for (const { to } of payments) {
      assert.equal((await chain.readAccount(to)).balanceNanoton, 0n);
    }
  });
});

test('a batch cannot happen after its timeout', async () => {
  await withLab({}, async ({ devnet, chain }) => {
    const wallet = openHighloadWallet(seedOf(5), { timeoutS: 60 });
    await devnet.faucet(wallet.address, 2n * TON);
    const payments = [{ to: addressOf(1), nanoton: TON }];
    const createdAtS = devnet.nowS();
    const { message, expiresAtS } = wallet.batch({
      number: 0,
      payments,
      createdAtS,
      wallet: 'new',
    });
    await devnet.forward(60);
    assert.ok(devnet.nowS() >= expiresAtS);
    await assert.rejects(chain.send(message, { deadlineMs: 3000 }), {
      code: 'ton.not_accepted',
      facts: { exitCode: 35 },
    });
  });
});

test('orders and batches have their limits', async () => {
  const wallet = openWallet(seedOf(6), DEVNET);
  await assert.rejects(wallet.order({ payments: [], seqno: 0, validUntilS: 1 }), {
    code: 'ton.wallet',
  });
  const payment = { to: addressOf(1), nanoton: 1n };
  const many = Array.from({ length: 256 }, () => payment);
  await assert.rejects(wallet.order({ payments: many, seqno: 0, validUntilS: 1 }), {
    code: 'ton.wallet',
  });
  const highload = openHighloadWallet(seedOf(6), { timeoutS: 60 });
  const batch = { number: 0, payments: many, createdAtS: 1, wallet: 'new' as const };
  assert.throws(() => highload.batch(batch));
  assert.throws(() => openHighloadWallet(seedOf(6), { timeoutS: 0 }), { code: 'ton.wallet' });
  for (const number of [-1, 0.5, 8_380_415]) {
    assert.throws(() => queryIdOf(number), { code: 'ton.wallet' });
  }
  assert.equal(queryIdOf(8_380_414), (8191 << 10) | 1021);
});

test('a seed is made once, and is its owner’s alone', () => {
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-seed-'));
  try {
    const path = join(folder, 'wallet.seed');
    assert.throws(() => loadSeed(path), { code: 'ton.wallet' });
    const seed = loadOrMakeSeed(path);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(loadOrMakeSeed(path), seed);
    chmodSync(path, 0o644);
    assert.throws(() => loadSeed(path), { code: 'file.private' });
    const short = join(folder, 'short.seed');
    writeFileSync(short, new Uint8Array(31), { mode: 0o600 });
    assert.throws(() => loadSeed(short), { code: 'ton.wallet' });
    writeFileSync(short, new Uint8Array(33));
    assert.throws(() => loadSeed(short), { code: 'file.private' });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
