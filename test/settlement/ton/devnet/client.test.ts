/** The devnet under the unmodified `TonClient`, in both modes: what works here must work on a real network. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginCell, Cell, external, SendMode, storeMessage } from '@ton/core';
import { keyPairFromSeed } from '@ton/crypto';
import { WalletContractV4 } from '@ton/ton';
import { fixed } from '../../../../core/bytes.ts';
import { openHighloadWallet } from '../../../../settlement/ton/wallet/highload.ts';
import { until } from '../../../support/until.ts';
import { addressOf, clientOf, MODES, TON, transfer, walletOf, withDevnet } from './wallets.ts';

for (const { mode, blockTimeMs } of MODES) {
  test(`a W5R1 wallet deploys itself with its first transfer (${mode})`, async () => {
    await withDevnet({ blockTimeMs }, async (devnet) => {
      const client = clientOf(devnet);
      const wallet = walletOf(client, 1);
      const before = await client.getContractState(wallet.address);
      assert.equal(before.state, 'uninitialized');
      assert.equal(before.lastTransaction, null);
      await devnet.faucet(wallet.address, 5n * TON);
      await until(async () => (await client.getBalance(wallet.address)) > 0n);
      assert.equal(await wallet.opened.getSeqno(), 0);
      await wallet.send([transfer(addressOf(7), TON)]);
      assert.equal((await client.getContractState(wallet.address)).state, 'active');
      assert.equal(await wallet.opened.getSeqno(), 1);
      await until(async () => (await client.getBalance(addressOf(7))) > 0n);
      // Everything that wants a list is told the truth about it.
      const [newest, first] = await client.getTransactions(wallet.address, { limit: 10 });
      assert.equal(newest?.outMessagesCount, 1);
      assert.equal(first?.inMessage?.info.type, 'internal');
    });
  });

  test(`transactions are paged to the end, and each can be found by where it stands (${mode})`, async () => {
    await withDevnet({ blockTimeMs }, async (devnet) => {
      const client = clientOf(devnet);
      const wallet = walletOf(client, 2);
      await devnet.faucet(wallet.address, 9n * TON);
      await until(async () => (await client.getBalance(wallet.address)) > 0n);
      for (let i = 0; i < 4; i++) await wallet.send([transfer(addressOf(8), TON / 10n)]);
      const seen: bigint[] = [];
      let page = await client.getTransactions(wallet.address, { limit: 2 });
      while (page.length > 0) {
        seen.push(...page.map(({ lt }) => lt));
        const last = page.at(-1);
        if (last === undefined) break;
        page = await client.getTransactions(wallet.address, {
          limit: 2,
          lt: last.lt.toString(),
          hash: last.hash().toString('base64'),
        });
      }
      assert.equal(seen.length, 5);
      assert.deepEqual(
        seen,
        [...seen].sort((a, b) => Number(b - a)),
      );
      const state = await client.getContractState(wallet.address);
      const { lt = '', hash = '' } = state.lastTransaction ?? {};
      const found = await client.getTransaction(wallet.address, lt, hash);
      assert.equal(found?.lt, seen[0]);
      assert.equal(await client.getTransaction(addressOf(9), lt, hash), null);
    });
  });

  test(`blocks name their shards, and shards their transactions (${mode})`, async () => {
    await withDevnet({ blockTimeMs }, async (devnet) => {
      const client = clientOf(devnet);
      await devnet.faucet(addressOf(3), TON);
      await until(async () => (await client.getBalance(addressOf(3))) > 0n);
      const info = await client.getMasterchainInfo();
      assert.equal(info.workchain, -1);
      const seen: string[] = [];
      for (let seqno = 1; seqno <= info.latestSeqno; seqno++) {
        for (const { workchain, shard, seqno: number } of await client.getWorkchainShards(seqno)) {
          const transactions = await client.getShardTransactions(workchain, number, shard);
          seen.push(...transactions.map(({ account }) => account.toString()));
        }
      }
      assert.deepEqual(seen, [addressOf(3).toString()]);
    });
  });

  test(`a message is followed from its sender to its receiver and back (${mode})`, async () => {
    await withDevnet({ blockTimeMs }, async (devnet) => {
      const client = clientOf(devnet);
      const wallet = walletOf(client, 4);
      await devnet.faucet(wallet.address, 3n * TON);
      await until(async () => (await client.getBalance(wallet.address)) > 0n);
      await wallet.send([transfer(addressOf(5), TON)]);
      const [sent] = await client.getTransactions(wallet.address, { limit: 1 });
      const out = sent?.outMessages.get(0);
      assert.equal(out?.info.type, 'internal');
      const lt = out?.info.type === 'internal' ? out.info.createdLt.toString() : '';
      await until(async () => (await client.getBalance(addressOf(5))) > 0n);
      const result = await client.tryLocateResultTx(wallet.address, addressOf(5), lt);
      assert.equal(result.inMessage?.body.hash().equals(out?.body.hash() ?? Buffer.alloc(0)), true);
      const source = await client.tryLocateSourceTx(wallet.address, addressOf(5), lt);
      assert.equal(source.lt, sent?.lt);
      await assert.rejects(client.tryLocateResultTx(addressOf(1), addressOf(2), '5'));
    });
  });

  test(`one W5R1 message makes a hundred transfers (${mode})`, async () => {
    await withDevnet({ blockTimeMs }, async (devnet) => {
      const client = clientOf(devnet);
      const wallet = walletOf(client, 5);
      await devnet.faucet(wallet.address, 20n * TON);
      await until(async () => (await client.getBalance(wallet.address)) > 0n);
      const targets = Array.from({ length: 100 }, (_, i) => addressOf(100 + i));
      await wallet.send(targets.map((to) => transfer(to, TON / 20n)));
      await until(async () => (await client.getBalance(addressOf(199))) > 0n);
      for (const to of [targets[0], targets[50], targets[99]]) {
        assert.ok(to !== undefined && (await client.getBalance(to)) > 0n);
      }
    });
  });

  test(`a highload batch goes through, and its wallet remembers (${mode})`, async () => {
    await withDevnet({ blockTimeMs }, async (devnet) => {
      const client = clientOf(devnet);
      const seed = fixed(new Uint8Array(32).fill(12), 32);
      const wallet = openHighloadWallet(seed, { timeoutS: 3600 });
      await devnet.faucet(wallet.address, 5n * TON);
      await until(async () => (await client.getBalance(wallet.address)) > 0n);
      const payments = [1, 2, 3].map((byte) => ({ to: addressOf(byte), nanoton: TON }));
      const createdAtS = devnet.nowS() - 5;
      const batch = wallet.batch({ number: 5, payments, createdAtS, wallet: 'new' });
      await client.sendFile(batch.message.toBoc());
      await until(async () => (await client.getBalance(addressOf(3))) > 0n);
      const { stack } = await client.runMethod(wallet.address, 'processed?', [
        { type: 'int', value: 5n },
        { type: 'int', value: 0n },
      ]);
      assert.equal(stack.readBoolean(), true);
    });
  });

  test(`a V4 wallet sends too (${mode})`, async () => {
    await withDevnet({ blockTimeMs }, async (devnet) => {
      const client = clientOf(devnet);
      const keys = keyPairFromSeed(Buffer.alloc(32, 6));
      const wallet = WalletContractV4.create({ workchain: 0, publicKey: keys.publicKey });
      await devnet.faucet(wallet.address, 2n * TON);
      await until(async () => (await client.getBalance(wallet.address)) > 0n);
      const opened = client.open(wallet);
      await opened.sendTransfer({
        seqno: 0,
        secretKey: keys.secretKey,
        messages: [transfer(addressOf(6), TON)],
      });
      await until(async () => (await client.getBalance(addressOf(6))) > 0n);
      assert.equal(await opened.getSeqno(), 1);
    });
  });
}

test('in timed mode sendBoc answers before anything has happened', async () => {
  await withDevnet({ blockTimeMs: 60_000 }, async (devnet) => {
    const client = clientOf(devnet);
    const wallet = walletOf(client, 7);
    await devnet.faucet(wallet.address, 3n * TON);
    assert.equal(await client.getBalance(wallet.address), 0n);
    await devnet.mine(1);
    await wallet.opened.sendTransfer({
      seqno: 0,
      secretKey: wallet.keys.secretKey,
      messages: [transfer(addressOf(7), TON)],
      sendMode: SendMode.PAY_GAS_SEPARATELY,
    });
    assert.equal(await client.getBalance(addressOf(7)), 0n);
    await devnet.mine(1);
    assert.ok((await client.getBalance(addressOf(7))) > 0n);
  });
});

test('a refused external message is an error that names the exit code, and costs nothing', async () => {
  await withDevnet({}, async (devnet) => {
    const client = clientOf(devnet);
    const wallet = walletOf(client, 8);
    await devnet.faucet(wallet.address, 3n * TON);
    await wallet.send([transfer(addressOf(7), TON)]);
    const balance = await client.getBalance(wallet.address);
    const again = wallet.opened.sendTransfer({
      seqno: 0,
      secretKey: wallet.keys.secretKey,
      messages: [transfer(addressOf(7), TON)],
      sendMode: SendMode.PAY_GAS_SEPARATELY,
    });
    await assert.rejects(again, /status code 500/);
    assert.equal(await client.getBalance(wallet.address), balance);
    const boc = beginCell()
      .store(storeMessage(external({ to: addressOf(9), body: Cell.EMPTY })))
      .endCell()
      .toBoc();
    await assert.rejects(client.sendFile(boc), /status code 500/);
  });
});

test('a fee is estimated without a trace', async () => {
  await withDevnet({}, async (devnet) => {
    const client = clientOf(devnet);
    const wallet = walletOf(client, 9);
    await devnet.faucet(wallet.address, 3n * TON);
    const body = wallet.contract.createTransfer({
      seqno: 0,
      secretKey: wallet.keys.secretKey,
      messages: [transfer(addressOf(7), TON)],
      sendMode: SendMode.PAY_GAS_SEPARATELY,
    });
    const { init } = wallet.contract;
    const fees = await client.estimateExternalMessageFee(wallet.address, {
      body,
      initCode: init.code,
      initData: init.data,
      ignoreSignature: true,
    });
    assert.ok(fees.source_fees.gas_fee > 0 && fees.source_fees.in_fwd_fee > 0);
    // Nothing was left behind that would run with the next message.
    await devnet.faucet(addressOf(1), TON);
    assert.equal(await client.getBalance(addressOf(7)), 0n);
    assert.equal((await client.getContractState(wallet.address)).state, 'uninitialized');
  });
});

test('a get-method that is not there, and one of an account that is not, have their own exit codes', async () => {
  await withDevnet({}, async (devnet) => {
    const client = clientOf(devnet);
    const wallet = walletOf(client, 10);
    await devnet.faucet(wallet.address, 3n * TON);
    await wallet.send([transfer(addressOf(7), TON)]);
    assert.equal(
      (await client.runMethodWithError(wallet.address, 'nothing_like_it')).exit_code,
      11,
    );
    assert.equal((await client.runMethodWithError(addressOf(77), 'seqno')).exit_code, -13);
    const key = await client.runMethod(wallet.address, 'get_public_key');
    assert.equal(
      key.stack.readBigNumber().toString(16).padStart(64, '0'),
      wallet.keys.publicKey.toString('hex'),
    );
  });
});
