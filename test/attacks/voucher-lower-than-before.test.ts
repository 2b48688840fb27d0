/**
 * A gateway replaces a voucher by a lower one, so that the worker claims less than it was promised. The best one is kept,
 * and nothing that came with the lower one counts. Spec: P§15.2.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channelWith, paidWorker, TOKEN } from '../enclave-worker/paid-worker.ts';

test('the higher voucher stays, whatever the notice says beside the lower one', async () => {
  const worker = paidWorker();
  const { earnings } = worker.fixture.deps;
  await worker.ask(10);
  await worker.ask(10);
  const best = channelWith(10n * TOKEN);
  assert.equal(worker.tell({ workerSeq: 1n, earned: 10n * TOKEN, channel: best }), 204);
  const lower = channelWith(10n * TOKEN - 1n);
  const said = { workerSeq: 2n, earned: 20n * TOKEN, paid: 10n * TOKEN, channel: lower };
  assert.equal(worker.tell(said), 400);
  assert.equal(earnings.exposure(), 10n * TOKEN);
  assert.match(worker.fixture.logLines.at(-1) ?? '', /"check":"voucher_lower"/);
  assert.equal(worker.fixture.deps.receipts.unacknowledged().length, 1);
  assert.equal(worker.tell({ ...said, channel: best }), 204);
  assert.equal(earnings.exposure(), 0n);
});

test('a later epoch does not take the place of the voucher of this one', async () => {
  const worker = paidWorker({ credit: { creditMax: 100n * TOKEN } });
  await worker.ask(10);
  const said = { workerSeq: 1n, earned: 10n * TOKEN };
  assert.equal(worker.tell({ ...said, channel: channelWith(8n * TOKEN) }), 204);
  // It counts for what it says and no more; the other one is still there to be claimed.
  assert.equal(worker.tell({ ...said, channel: channelWith(1n, { epoch: 9 }) }), 204);
  assert.equal(worker.fixture.deps.earnings.exposure(), 10n * TOKEN - 1n);
  const lower = channelWith(7n * TOKEN);
  assert.equal(worker.tell({ ...said, channel: lower }), 400);
});
