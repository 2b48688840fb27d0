/** How much a worker does on credit: to the unit, and never at the cost of free work. Spec: P§15.3. @module */

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { toHex, type Bytes } from '../../../core/bytes.ts';
import { systemClock } from '../../../core/clock.ts';
import type { ChannelHoldings, Holdings } from '../../../enclave-worker/earnings/holdings.ts';
import { openEarnings } from '../../../enclave-worker/earnings/sqlite.ts';
import { FREE_PRICES } from '../../support/attested-key.ts';
import { openWire, scriptedEngine, untilAborted } from '../exchange-fixture.ts';
import { channelWith, paidWorker, termsOf, TOKEN } from '../paid-worker.ts';

function refusal(logLines: readonly string[]): string {
  return logLines.findLast((line) => line.includes('exchange.refused')) ?? '';
}

test('what is owed, this request included, may reach the credit and not pass it', async () => {
  const worker = paidWorker({ credit: { creditMax: 25n * TOKEN } });
  assert.equal((await worker.ask(10)).status, 200);
  assert.equal((await worker.ask(15)).status, 200);
  const refused = await worker.ask(1);
  assert.deepEqual([refused.outerStatus, refused.outerBytes], [503, 0]);
  assert.match(refusal(worker.fixture.logLines), /worker\.credit/);
  assert.equal(worker.tell({ workerSeq: 2n, earned: 25n * TOKEN, paid: TOKEN }), 204);
  assert.equal((await worker.ask(1)).status, 200);
  assert.equal((await worker.ask(1)).outerStatus, 503);
});

test('without credit only what is free is done', async () => {
  const paid = paidWorker({ credit: { creditMax: 0n } });
  assert.equal((await paid.ask(1)).outerStatus, 503);
  const free = paidWorker({ credit: { creditMax: 0n }, prices: FREE_PRICES });
  assert.equal((await free.ask(100)).status, 200);
});

test('free work goes on when the credit is used up', async () => {
  const worker = paidWorker({ credit: { creditMax: 10n * TOKEN } });
  await worker.ask(10);
  assert.equal((await worker.ask(1)).outerStatus, 503);
  worker.fixture.deps.earnings.admit(0n);
  assert.throws(() => worker.fixture.deps.earnings.admit(TOKEN), { code: 'worker.credit' });
});

test('what runs counts with all that it may cost, so that many at once gain nothing', async () => {
  const engine = scriptedEngine(async function* wait(_job, signal) {
    yield await Promise.resolve({ kind: 'started' } as const);
    await untilAborted(signal);
    yield { kind: 'end', reason: 'aborted' } as const;
  }, 8);
  const worker = paidWorker({ engine, credit: { creditMax: 25n * TOKEN } });
  const wires = [openWire(), openWire()];
  const running = wires.map((wire) => worker.fixture.exchange(worker.seal(10), wire));
  assert.equal((await worker.ask(6)).outerStatus, 503);
  for (const { gone } of wires) gone.abort();
  await Promise.all(running);
  const { earnings } = worker.fixture.deps;
  assert.equal(earnings.exposure(), 0n);
  earnings.admit(25n * TOKEN);
});

test('the fee of the gateway is not owed to the worker', async () => {
  const worker = paidWorker({ credit: { creditMax: 9n * TOKEN } });
  const { earnings } = worker.fixture.deps;
  earnings.feeIs(1000);
  await worker.ask(10);
  assert.equal(earnings.earned(), 9n * TOKEN);
  assert.equal((await worker.ask(1)).outerStatus, 503);
});

test('an owner may count vouchers alone', async () => {
  const worker = paidWorker({ credit: { creditMax: 10n * TOKEN, paidCounts: 'never' } });
  await worker.ask(10);
  assert.equal(worker.tell({ workerSeq: 1n, earned: 10n * TOKEN, paid: 10n * TOKEN }), 204);
  assert.equal((await worker.ask(1)).outerStatus, 503);
  const channel = channelWith(4n * TOKEN);
  assert.equal(
    worker.tell({ workerSeq: 1n, earned: 10n * TOKEN, paid: 10n * TOKEN, channel }),
    204,
  );
  assert.equal((await worker.ask(4)).status, 200);
  assert.equal((await worker.ask(1)).outerStatus, 503);
});

test('transfers and vouchers add up, over several channels', async () => {
  const worker = paidWorker({ credit: { creditMax: 10n * TOKEN } });
  const { earnings } = worker.fixture.deps;
  await worker.ask(10);
  const said = { workerSeq: 1n, earned: 10n * TOKEN };
  assert.equal(worker.tell({ ...said, channel: channelWith(2n * TOKEN) }), 204);
  assert.equal(worker.tell({ ...said, channel: channelWith(3n * TOKEN) }), 204);
  assert.equal(earnings.exposure(), 7n * TOKEN);
  const other = termsOf({ salt: 2n });
  assert.equal(worker.tell({ ...said, channel: channelWith(TOKEN, { terms: other }) }), 204);
  assert.equal(earnings.exposure(), 6n * TOKEN);
  assert.equal(worker.tell({ ...said, paid: 4n * TOKEN }), 204);
  assert.equal(earnings.exposure(), 2n * TOKEN);
});

/** A chain of which the test says what it shows. */
function shownBy(seen: Map<string, ChannelHoldings>): Holdings {
  return {
    by: 'chain',
    of: (channel: Bytes<32>) => seen.get(toHex(channel)),
    watch: () => undefined,
  };
}

test('where the chain is asked, a voucher counts as far as the channel holds it', async () => {
  const seen = new Map<string, ChannelHoldings>();
  const worker = paidWorker({ credit: { creditMax: 100n * TOKEN }, holdings: shownBy(seen) });
  const { earnings } = worker.fixture.deps;
  await worker.ask(10);
  const channel = channelWith(8n * TOKEN);
  const name = toHex(channel.channel);
  assert.equal(worker.tell({ workerSeq: 1n, earned: 10n * TOKEN, channel }), 204);
  assert.equal(earnings.exposure(), 10n * TOKEN, 'not seen on the chain');
  seen.set(name, { epoch: 0, holds: 5n * TOKEN, claimed: 0n });
  assert.equal(earnings.exposure(), 5n * TOKEN, 'holds less than promised');
  seen.set(name, { epoch: 0, holds: 50n * TOKEN, claimed: 0n });
  assert.equal(earnings.exposure(), 2n * TOKEN, 'holds it all');
  seen.set(name, { epoch: 1, holds: 50n * TOKEN, claimed: 3n * TOKEN });
  assert.equal(earnings.exposure(), 7n * TOKEN, 'a later epoch: what was claimed, and no more');
});

test('nothing is earned beyond what the channel holds, however large the credit', async () => {
  const seen = new Map<string, ChannelHoldings>();
  const worker = paidWorker({ credit: { creditMax: 100n * TOKEN }, holdings: shownBy(seen) });
  await worker.ask(10);
  const channel = channelWith(10n * TOKEN);
  seen.set(toHex(channel.channel), { epoch: 0, holds: 12n * TOKEN, claimed: 0n });
  assert.equal(worker.tell({ workerSeq: 1n, earned: 10n * TOKEN, channel }), 204);
  assert.equal((await worker.ask(3)).outerStatus, 503);
  assert.match(refusal(worker.fixture.logLines), /worker\.credit/);
  assert.equal((await worker.ask(2)).status, 200);
  assert.equal((await worker.ask(1)).outerStatus, 503);
  seen.set(toHex(channel.channel), { epoch: 0, holds: 13n * TOKEN, claimed: 0n });
  assert.equal((await worker.ask(1)).status, 200);
});

test('a restart forgets neither what is owed nor what was promised', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'veilgate-credit-'));
  const store = openEarnings(dir, systemClock());
  const credit = { creditMax: 20n * TOKEN };
  const first = paidWorker({ credit, store });
  await first.ask(20);
  const said = { workerSeq: 1n, earned: 20n * TOKEN, paid: 5n * TOKEN };
  assert.equal(first.tell({ ...said, channel: channelWith(3n * TOKEN) }), 204);
  store.close();
  const again = openEarnings(dir, systemClock());
  const second = paidWorker({ credit, store: again, workerId: first.fixture.worker.key.workerId });
  const { earnings } = second.fixture.deps;
  assert.equal(earnings.exposure(), 12n * TOKEN);
  assert.equal((await second.ask(9)).outerStatus, 503);
  assert.equal((await second.ask(8)).status, 200);
  // What was acknowledged before the restart is still a witness.
  const later = systemClock() + 10_000;
  assert.equal(second.tell({ earned: 19n * TOKEN, paid: 5n * TOKEN, atMs: later }), 409);
  again.close();
  await rm(dir, { recursive: true });
});
