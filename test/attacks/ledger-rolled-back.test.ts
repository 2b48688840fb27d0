/**
 * Somebody puts an older copy of the ledger back: requests settled since then would be free, and statements would be signed a
 * second time under numbers that were used. The copy is consistent in itself, so witnesses outside must notice.
 * Spec: ton-settlement §4.11 (5).
 * @module
 */

import assert from 'node:assert/strict';
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Address } from '@ton/core';
import { randomBytes } from '#primitives';
import { LEDGERS } from '../../settlement/ledger/ledgers.ts';
import { amount } from '../../settlement/money.ts';
import { contradictionBetween, parseStatementUnverified } from '../../settlement/statement.ts';
import {
  fundedChannel,
  NOW_MS,
  openLab,
  receiptOf,
  reserveOf,
  POLICY,
} from '../support/ledger-lab.ts';
import { TON, withSettler } from '../support/settler-lab.ts';
import { impatientChain } from '../support/ton/told-chain.ts';

const [SQLITE] = LEDGERS;

test('an anchored head, a worker, a client and the chain each notice it, and their word is taken', async (context) => {
  const lab = await openLab(SQLITE);
  context.after(() => lab.end());
  const channel = await fundedChannel(lab.ledger());
  const settle = async (cost: bigint) => {
    const ledger = lab.ledger();
    const { requestId, ...rest } = reserveOf(channel.id, cost);
    assert.equal((await ledger.reserve({ requestId, ...rest })).outcome, 'reserved');
    const receipt = receiptOf(requestId, cost);
    const settled = await ledger.settle({ receipt, policyDigest: POLICY, nowMs: NOW_MS });
    assert.ok(settled.outcome === 'settled');
    const { statement } = parseStatementUnverified(settled.statement);
    return { statement, receipt: receipt.receipt };
  };
  await settle(10n);
  await lab.ledger().close();
  const file = join(lab.dir, 'ledger.sqlite');
  copyFileSync(file, `${file}.old`);
  await (await lab.reopen()).recordChainState(channel.state());
  const lost = await settle(20n);
  const anchored = await lab.ledger().journalHead();
  await lab.ledger().close();

  copyFileSync(`${file}.old`, file);
  for (const rest of ['-wal', '-shm']) rmSync(`${file}${rest}`, { force: true });
  const ledger = await lab.reopen();
  assert.equal(await ledger.hasHead(anchored), false);
  const { statementHash, workerSeq } = lost.receipt;
  assert.equal(await ledger.hasWorkerSeq({ statementHash, workerSeq }), false);
  const claimed = channel.state({ claimed: amount(30n), blockSeqno: 2 });
  assert.equal((await ledger.recordChainState(claimed)).outcome, 'behind');
  const refused = await ledger.reserve(reserveOf(channel.id, 1n));
  assert.ok(refused.outcome === 'refused' && refused.code === 'account_frozen');

  const { cum, n } = lost.statement;
  const reference = randomBytes(32);
  await ledger.adoptCharge({ account: channel.id, cum, n, reference, nowMs: NOW_MS });
  const next = await settle(5n);
  assert.equal(contradictionBetween(lost.statement, next.statement), undefined);
  assert.equal(next.statement.cum, 35n);
});

test('a settler does not start over an older copy of the ledger than the one it anchored', async () => {
  const policy = { anchor: { everyMs: 3_600_000 } };
  await withSettler({ providers: 2, policy }, async (lab) => {
    await lab.devnet.faucet(Address.parse(lab.treasury.address), 2n * TON);
    const channel = await lab.open();
    await lab.use(channel, 1000n);
    await lab.settler.close();
    await lab.ledger.close();
    const file = join(lab.books.dir, 'ledger.sqlite');
    copyFileSync(file, `${file}.old`);
    await lab.books.reopen();
    await lab.start();
    await lab.use(channel, 1000n);
    await lab.rounds(() => lab.named('settler.anchored').length > 0);
    await lab.restart();
    assert.equal(lab.named('settler.rolled_back').length, 0, 'the newest copy starts');
    await lab.settler.close();
    await lab.ledger.close();

    copyFileSync(`${file}.old`, file);
    for (const rest of ['-wal', '-shm']) rmSync(`${file}${rest}`, { force: true });
    await lab.books.reopen();
    await assert.rejects(lab.start(), { code: 'settler.rolled_back' });
    const { requestId, ...rest } = reserveOf(channel.channel, 1n);
    const refused = await lab.ledger.reserve({ requestId, ...rest });
    assert.ok(refused.outcome === 'refused' && refused.code === 'channel_unsynced');
  });
});

test('nor one that could not look at the chain at first: it ends when it can', async () => {
  const policy = { anchor: { everyMs: 3_600_000 }, startMs: 50, roundMs: 20 };
  await withSettler({ policy }, async (lab) => {
    await lab.devnet.faucet(Address.parse(lab.treasury.address), 2n * TON);
    const channel = await lab.open();
    await lab.use(channel, 1000n);
    await lab.rounds(() => lab.named('settler.anchored').length > 0);
    await lab.settler.close();
    const other = await openLab(SQLITE);
    try {
      lab.devnet.inject({ kind: 'hang_up' });
      const chain = impatientChain(lab.chain);
      const settler = await lab.start({ chain, ledger: other.ledger() });
      const answer = await settler.openChannel(channel);
      assert.ok(answer.outcome === 'refused' && answer.code === 'chain_away');
      lab.devnet.faults.clear();
      await assert.rejects(settler.ended, { code: 'settler.rolled_back' });
      assert.equal(settler.status().state, 'refused');
      await settler.close();
    } finally {
      await other.end();
    }
  });
});
