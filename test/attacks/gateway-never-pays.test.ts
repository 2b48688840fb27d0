/**
 * A gateway takes work and pays nothing: it says nothing, or that it has settled and will pay, or promises on a channel in
 * which there is nothing, with as many requests at once as it can. The worker loses what its owner allowed and no more.
 * Spec: P§15.3; ton-settlement §4.12 (gateway → worker: ≤ K).
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '../../core/bytes.ts';
import type { ChannelHoldings, Holdings } from '../../enclave-worker/earnings/holdings.ts';
import { channelWith, paidWorker, TOKEN, type PaidWorker } from '../enclave-worker/paid-worker.ts';

const CREDIT = 1000n * TOKEN;

/** Asks until nothing is taken any more. Returns what the served answers were worth. */
async function milk(
  worker: PaidWorker,
  tell: (worker: PaidWorker, served: bigint, seq: bigint) => void,
): Promise<bigint> {
  let [worth, seq, refusedInARow] = [0n, 0n, 0];
  for (let round = 0; refusedInARow < 3; round++) {
    assert.ok(round < 1000, 'it has to end');
    const answers = await Promise.all([1, 7, 13, 64].map((tokens) => worker.ask(tokens)));
    const amounts = answers.flatMap(({ receipt }) =>
      receipt === undefined ? [] : [receipt.receipt.amount],
    );
    worth += amounts.reduce((sum, amount) => sum + amount, 0n);
    seq += BigInt(amounts.length);
    refusedInARow = amounts.length === 0 ? refusedInARow + 1 : 0;
    tell(worker, worth, seq);
  }
  return worth;
}

test('silence costs no more than the credit, to the unit', async (t) => {
  const worker = paidWorker({ credit: { creditMax: CREDIT } });
  const lost = await milk(worker, () => undefined);
  t.diagnostic(`credit ${CREDIT}, lost ${lost}`);
  assert.equal(lost, CREDIT);
});

test('words cost no more: settled, earned, paid nothing', async () => {
  const worker = paidWorker({ credit: { creditMax: CREDIT } });
  const lost = await milk(
    worker,
    ({ tell }, earned, workerSeq) => void tell({ earned, workerSeq }),
  );
  assert.equal(lost, CREDIT);
});

test('acknowledging less than was earned does not make it less', async () => {
  const worker = paidWorker({ credit: { creditMax: CREDIT } });
  const lost = await milk(
    worker,
    ({ tell }, _earned, workerSeq) => void tell({ earned: 0n, workerSeq }),
  );
  assert.equal(lost, CREDIT);
});

test('lies about transfers cost no more where the owner counts vouchers alone', async () => {
  const worker = paidWorker({ credit: { creditMax: CREDIT, paidCounts: 'never' } });
  const lost = await milk(
    worker,
    ({ tell }, earned, workerSeq) => void tell({ earned, paid: earned, workerSeq }),
  );
  assert.equal(lost, CREDIT);
});

test('promises on an empty channel cost no more where the chain is asked', async () => {
  const seen = new Map<string, ChannelHoldings>();
  const holdings: Holdings = {
    by: 'chain',
    of: (channel) => seen.get(toHex(channel)),
    watch: () => undefined,
  };
  const credit = { creditMax: CREDIT, paidCounts: 'never' } as const;
  const worker = paidWorker({ credit, holdings });
  const lost = await milk(worker, ({ tell }, earned, workerSeq) => {
    const channel = channelWith(earned * 2n);
    seen.set(toHex(channel.channel), { epoch: 0, holds: 10n * TOKEN, claimed: 0n });
    tell({ earned, workerSeq, channel });
  });
  assert.ok(lost <= CREDIT, `${lost}`);
});

test('a channel that was used up before the book began is no credit for work to come', async () => {
  const used = 5000n * TOKEN;
  const old = channelWith(used);
  const holdings: Holdings = {
    by: 'chain',
    of: () => ({ epoch: 0, holds: used * 2n, claimed: used }),
    watch: () => undefined,
  };
  const credit = { creditMax: CREDIT, paidCounts: 'never' } as const;
  for (const first of [{ earned: 0n }, { earned: used }]) {
    const worker = paidWorker({ credit, holdings });
    worker.tell({ ...first, workerSeq: 0n });
    worker.tell({ earned: used, workerSeq: 0n, channel: old });
    const lost = await milk(worker, ({ tell }, _earned, workerSeq) => {
      tell({ earned: used, workerSeq, channel: old });
    });
    assert.equal(lost, CREDIT);
  }
});

test('hanging up before the end is no way out of the bill', async () => {
  const worker = paidWorker({ credit: { creditMax: 10n * TOKEN } });
  const { earnings } = worker.fixture.deps;
  const answer = await worker.ask(10);
  assert.ok(answer.receipt !== undefined);
  assert.equal(earnings.exposure(), 10n * TOKEN);
  // No notice ever names it: it is owed all the same.
  worker.tell({ workerSeq: 0n, earned: 0n });
  assert.equal(earnings.exposure(), 10n * TOKEN);
});
