/** What the devnet remembers, and that it does not remember for ever. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  History,
  type Block,
  type StoredTransaction,
} from '../../../../settlement/ton/devnet/history.ts';
import {
  BLOCKS_KEPT,
  DEPTH_MAX,
  TRANSACTIONS_KEPT,
} from '../../../../settlement/ton/devnet/limits.ts';

function transaction(seqno: number): StoredTransaction {
  return {
    account: `0:${seqno % 2}`,
    lt: BigInt(seqno),
    hash: `h${seqno}`,
    seqno,
    messageIn: `in ${seqno}`,
    messagesOut: [`out ${seqno}`],
    shape: {},
  };
}

function block(seqno: number): Block {
  return {
    seqno,
    timeS: seqno,
    hash: new Uint8Array(),
    transactions: [transaction(seqno)],
    externals: [],
    before: new Map([['0:0', undefined]]),
  };
}

function historyOf(count: number): History {
  const history = new History();
  for (let seqno = 1; seqno <= count; seqno++) history.push(block(seqno));
  return history;
}

test('old blocks and transactions are let go, new ones are all there', () => {
  const count = 2 * BLOCKS_KEPT;
  const history = historyOf(count);
  assert.ok(history.transactions.length <= TRANSACTIONS_KEPT * 1.1);
  assert.equal(history.block(1), undefined);
  assert.equal(history.block(count + 1), undefined);
  assert.equal(history.block(count - BLOCKS_KEPT + 1)?.seqno, count - BLOCKS_KEPT + 1);
  assert.equal(history.block(count)?.seqno, count);
  assert.equal(history.byMessageIn('in 1'), undefined);
  assert.equal(history.byMessageIn(`in ${count}`)?.lt, BigInt(count));
  assert.equal(history.byMessageOut(`out ${count}`)?.lt, BigInt(count));
});

test('what blocks changed is kept as deep as it can be undone', () => {
  const history = historyOf(DEPTH_MAX + 10);
  const kept = history.newest(DEPTH_MAX + 10).map(({ before }) => before.size);
  assert.deepEqual(kept, [...Array(DEPTH_MAX).fill(1), ...Array(10).fill(0)]);
});

test('a page starts where it is asked to, and belongs to one account', () => {
  const history = historyOf(20);
  const lts = (page: Parameters<History['ofAccount']>[1]): number[] =>
    history.ofAccount('0:0', page).map(({ lt }) => Number(lt));
  assert.deepEqual(lts({ limit: 3, seqnoMax: 99 }), [20, 18, 16]);
  assert.deepEqual(lts({ limit: 3, seqnoMax: 17 }), [16, 14, 12]);
  assert.deepEqual(lts({ limit: 2, seqnoMax: 99, from: { lt: 10n, hash: 'h10' } }), [10, 8]);
  assert.deepEqual(lts({ limit: 2, seqnoMax: 99, from: { lt: 10n, hash: 'h11' } }), []);
  assert.deepEqual(lts({ limit: 9, seqnoMax: 99, afterLt: 16n }), [20, 18]);
});

test('an undone block takes its transactions along', () => {
  const history = historyOf(3);
  assert.equal(history.pop()?.seqno, 3);
  assert.equal(history.byMessageIn('in 3'), undefined);
  assert.equal(history.head()?.seqno, 2);
});
