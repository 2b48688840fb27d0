/** Workers hear of what was settled, behind the requests and without ever failing one. Spec: P§15.2. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../core/clock.ts';
import {
  Acknowledger,
  type AcknowledgeReport,
  type SettledBalance,
} from '../../../gateway/workers/acknowledge.ts';
import type { SignedReceipt } from '../../../protocol/receipt.ts';
import { parseSettled, type Settled } from '../../../protocol/settled.ts';
import { channelWith, linkedWorker, TOKEN, type Linked } from '../../enclave-worker/paid-worker.ts';
import { until } from '../../support/until.ts';

async function receiptsOf({ ask }: Linked, count: number): Promise<readonly SignedReceipt[]> {
  const receipts: SignedReceipt[] = [];
  for (let at = 0; at < count; at++) {
    const { receipt } = await ask(10);
    assert.ok(receipt !== undefined);
    receipts.push(receipt);
  }
  return receipts;
}

/** Books in which the test settles, and what the acknowledger made of it. */
function books() {
  const balance: { -readonly [Name in keyof SettledBalance]: SettledBalance[Name] } = {
    earned: 0n,
    paid: 0n,
  };
  const reports: AcknowledgeReport[] = [];
  let asked = 0;
  const acknowledger = new Acknowledger({
    clock: systemClock,
    backOffMs: 1,
    balanceOf: async () => {
      asked++;
      return await Promise.resolve({ ...balance });
    },
    onReport: (report) => reports.push(report),
  });
  const settle = (linked: Linked, receipt: SignedReceipt): void => {
    balance.earned += receipt.receipt.amount;
    acknowledger.settled(linked.live, receipt);
  };
  return { balance, reports, acknowledger, settle, asked: () => asked };
}

test('the newest notice arrives, and what it covers is not owed by surprise', async () => {
  const linked = await linkedWorker();
  const { balance, reports, acknowledger, settle } = books();
  const [first, second] = await receiptsOf(linked, 2);
  assert.ok(first !== undefined && second !== undefined);
  balance.channel = channelWith(15n * TOKEN);
  settle(linked, first);
  settle(linked, second);
  const { earnings, receipts } = linked.fixture.deps;
  await until(() => earnings.exposure() === 5n * TOKEN && receipts.unacknowledged().length === 0);
  assert.ok(reports.every(({ outcome }) => outcome === 'acknowledged'));
  await acknowledger.close();
  await linked.close();
});

test('a burst is a few notices, and the last one says it all', async () => {
  const linked = await linkedWorker();
  const { reports, acknowledger, settle, asked } = books();
  const receipts = await receiptsOf(linked, 40);
  for (const receipt of receipts) settle(linked, receipt);
  await until(() => reports.at(-1)?.workerSeq === 40n);
  assert.equal(linked.fixture.deps.receipts.unacknowledged().length, 0);
  assert.ok(asked() <= 3, `${asked()}`);
  await acknowledger.close();
  await linked.close();
});

test('settled in another order than signed, no notice goes back', async () => {
  const linked = await linkedWorker();
  const { acknowledger, settle, reports } = books();
  const [first, second] = await receiptsOf(linked, 2);
  assert.ok(first !== undefined && second !== undefined);
  settle(linked, second);
  await until(() => reports.length === 1);
  settle(linked, first);
  await until(() => reports.length === 2);
  assert.deepEqual(
    reports.map(({ workerSeq, outcome }) => [workerSeq, outcome]),
    [
      [2n, 'acknowledged'],
      [2n, 'acknowledged'],
    ],
  );
  assert.equal(linked.fixture.deps.earnings.isTrusted, true);
  await acknowledger.close();
  await linked.close();
});

test('a worker in trouble is asked again, one that refuses is not', async () => {
  const answers: (number | undefined)[] = [503, 500, undefined, 400, 409];
  const linked = await linkedWorker({}, { answerInstead: () => answers.shift() });
  const { acknowledger, settle, reports } = books();
  const [first, second, third] = await receiptsOf(linked, 3);
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  settle(linked, first);
  await until(() => reports.length === 1);
  settle(linked, second);
  await until(() => reports.length === 2);
  settle(linked, third);
  await until(() => reports.length === 3);
  assert.deepEqual(
    reports.map(({ outcome }) => outcome),
    ['acknowledged', 'refused', 'rolled_back'],
  );
  assert.equal(answers.length, 0);
  await acknowledger.close();
  await linked.close();
});

test('a worker that is gone, or books that cannot be read, cost nobody anything', async () => {
  const linked = await linkedWorker();
  const [receipt] = await receiptsOf(linked, 1);
  assert.ok(receipt !== undefined);
  await linked.close();
  const { acknowledger, settle, reports } = books();
  settle(linked, receipt);
  await until(() => reports.length === 1);
  assert.equal(reports[0]?.outcome, 'given_up');
  assert.match(reports[0]?.code ?? '', /^http\./);
  await acknowledger.close();

  const broken: AcknowledgeReport[] = [];
  const unread = new Acknowledger({
    clock: systemClock,
    backOffMs: 1,
    balanceOf: () => Promise.reject(new Error('disk')),
    onReport: (report) => broken.push(report),
  });
  unread.settled(linked.live, receipt);
  await until(() => broken.length === 1);
  assert.deepEqual([broken[0]?.outcome, broken[0]?.code], ['given_up', 'internal.invariant']);
  await unread.close();
});

test('where the worker stands is said again, and not before anything was settled over its link', async () => {
  const linked = await linkedWorker();
  const [receipt] = await receiptsOf(linked, 1);
  assert.ok(receipt !== undefined);
  const { acknowledger, settle, balance, reports } = books();
  acknowledger.again(linked.live);
  settle(linked, receipt);
  await until(() => reports.length === 1);
  balance.earned += 9n;
  acknowledger.again(linked.live);
  await until(() => reports.length === 2);
  assert.deepEqual(
    reports.map(({ workerSeq, outcome }) => [workerSeq, outcome]),
    [
      [1n, 'acknowledged'],
      [1n, 'acknowledged'],
    ],
  );
  await acknowledger.close();
  await linked.close();
});

test('another replica may have settled further', async () => {
  const taken: Settled[] = [];
  const linked = await linkedWorker();
  const [first] = await receiptsOf(linked, 3);
  assert.ok(first !== undefined);
  const link = {
    ...linked.link,
    sendSettled: async (bytes: Uint8Array) => {
      taken.push(parseSettled(bytes));
      return await Promise.resolve(204);
    },
  };
  const acknowledger = new Acknowledger({
    clock: systemClock,
    balanceOf: async () => await Promise.resolve({ earned: 1n, paid: 0n, workerSeq: 3n }),
  });
  acknowledger.settled({ ...linked.live, link }, first);
  await until(() => taken.length === 1);
  assert.equal(taken[0]?.workerSeq, 3n);
  await acknowledger.close();
  await linked.close();
});

test('closing ends what waits, and nothing begins after it', async () => {
  const linked = await linkedWorker({}, { answerInstead: () => 503 });
  const [receipt] = await receiptsOf(linked, 1);
  assert.ok(receipt !== undefined);
  const reports: AcknowledgeReport[] = [];
  const acknowledger = new Acknowledger({
    clock: systemClock,
    backOffMs: 60_000,
    balanceOf: async () => await Promise.resolve({ earned: 1n, paid: 0n }),
    onReport: (report) => reports.push(report),
  });
  acknowledger.settled(linked.live, receipt);
  await acknowledger.close();
  assert.equal(reports.length, 1);
  acknowledger.settled(linked.live, receipt);
  await acknowledger.close();
  assert.equal(reports.length, 1);
  await linked.close();
});
