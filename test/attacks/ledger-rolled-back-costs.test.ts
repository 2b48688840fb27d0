/**
 * What an older copy of the ledger costs, and whom. The gateway loses what it charged since the newest witness that is still
 * there: the chain's watermark always is. No client pays twice, and no worker loses a voucher that it holds.
 * Spec: ton-settlement §4.11 (1), (5), §4.12 (rolled-back gateway DB).
 * @module
 */

import assert from 'node:assert/strict';
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { randomBytes } from '#primitives';
import { LEDGERS } from '../../settlement/ledger/ledgers.ts';
import { amount } from '../../settlement/money.ts';
import { claimExternalBody } from '../../settlement/ton/contracts/pay-channel.ts';
import { parseStatementUnverified, type Statement } from '../../settlement/statement.ts';
import { fundedChannel, NOW_MS, openLab, reserveOf, settleOf } from '../support/ledger-lab.ts';
import { ChannelLab, PAYEE, TON } from '../support/ton/channel-lab.ts';

/** Charged before the copy; after it and claimed on chain; after that. */
const [OLD, CLAIMED, LATE] = [100n, 200n, 400n];

/** A ledger that was set back to where only `OLD` was charged, and what its client still has in its hands. */
async function setBack(context: TestContext) {
  const lab = await openLab(LEDGERS[0]);
  context.after(() => lab.end());
  const channel = await fundedChannel(lab.ledger());
  const settle = async (cost: bigint): Promise<Statement> => {
    const request = reserveOf(channel.id, cost);
    const reserved = await lab.ledger().reserve(request);
    assert.equal(reserved.outcome, 'reserved');
    const settled = await lab.ledger().settle(settleOf(request.requestId, cost));
    assert.ok(settled.outcome === 'settled');
    return parseStatementUnverified(settled.statement).statement;
  };
  await settle(OLD);
  await lab.ledger().close();
  const file = join(lab.dir, 'ledger.sqlite');
  copyFileSync(file, `${file}.old`);
  await (await lab.reopen()).recordChainState(channel.state());
  await settle(CLAIMED);
  const newest = await settle(LATE);
  await lab.ledger().close();
  copyFileSync(`${file}.old`, file);
  for (const rest of ['-wal', '-shm']) rmSync(`${file}${rest}`, { force: true });
  const ledger = await lab.reopen();
  const chain = channel.state({ claimed: amount(OLD + CLAIMED), blockSeqno: 2 });
  assert.equal((await ledger.recordChainState(chain)).outcome, 'behind');
  const adopt = async (cum: bigint, n?: bigint) => {
    const witness = { account: channel.id, cum: amount(cum), reference: randomBytes(32) };
    await ledger.adoptCharge({ ...witness, nowMs: NOW_MS, ...(n === undefined ? {} : { n }) });
  };
  const charged = async () => (await ledger.findAccount(channel.id))?.charged ?? 0n;
  return { settle, newest, adopt, charged };
}

test('with the chain alone for a witness the gateway loses what was not claimed', async (context) => {
  const { adopt, charged, settle } = await setBack(context);
  await adopt(OLD + CLAIMED);
  const lost = OLD + CLAIMED + LATE - (await charged());
  context.diagnostic(`charged since the newest witness ${LATE}, lost ${lost}`);
  assert.equal(lost, LATE);
  await settle(50n);
  const twice = (await charged()) - (OLD + CLAIMED + 50n);
  assert.equal(twice, 0n, 'nobody pays twice for what the chain has seen');
});

test('with its client’s newest line it loses nothing, and the client pays once', async (context) => {
  const { adopt, charged, settle, newest } = await setBack(context);
  await adopt(newest.cum, newest.n);
  assert.equal(await charged(), OLD + CLAIMED + LATE);
  const { cum, n } = await settle(50n);
  assert.deepEqual([cum, n], [newest.cum + 50n, newest.n + 1n]);
});

test('a worker cashes the voucher that it holds, whatever lower one the gateway signs afterwards', async (context) => {
  const lab = await ChannelLab.open(2n * TON, { payeeKey: 'single-lock' });
  const held = lab.signed({ charged: TON });
  const forgotten = lab.signed({ charged: TON / 4n });
  assert.equal((await lab.external(claimExternalBody(forgotten))).exitCode, 0);
  assert.equal((await lab.external(claimExternalBody(held))).exitCode, 0);
  const lost = TON - (await lab.state()).claimed;
  context.diagnostic(`earned ${TON}, lost ${lost}`);
  assert.equal(lost, 0n);
  assert.ok((await lab.chain.balance(PAYEE)) > TON - TON / 50n);
});
