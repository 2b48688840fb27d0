/** What a worker makes of a notice of settlement: each rule alone. Spec: P§15.2. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomBytes } from '#primitives';
import { toHex, utf8 } from '../../../core/bytes.ts';
import { paidWorker, TOKEN } from '../paid-worker.ts';

/** A worker that has served `count` requests of 10 tokens, by a clock that the test moves. */
async function served(count: number) {
  const time = { ms: 1_800_000_000_000 };
  const worker = paidWorker({ clock: () => time.ms });
  for (let at = 0; at < count; at++) await worker.ask(10);
  return { ...worker, time, earnings: worker.fixture.deps.earnings };
}

const EARNED = 10n * TOKEN;

test('news count, and only once', async () => {
  const { tell, earnings, fixture, time } = await served(3);
  assert.equal(earnings.exposure(), 3n * EARNED);
  assert.equal(tell({ workerSeq: 2n, earned: 2n * EARNED, paid: EARNED }), 204);
  assert.equal(earnings.exposure(), 2n * EARNED);
  assert.equal(tell({ workerSeq: 2n, earned: 2n * EARNED, paid: EARNED }), 204);
  assert.equal(earnings.exposure(), 2n * EARNED);
  const left = fixture.deps.receipts.unacknowledged();
  assert.deepEqual(
    left.map(({ receipt }) => receipt.workerSeq),
    [3n],
  );
  time.ms += 1;
  assert.equal(tell({ workerSeq: 3n, earned: 3n * EARNED, paid: 3n * EARNED }), 204);
  assert.equal(earnings.exposure(), 0n);
});

test('a notice that was late on its way says nothing', async () => {
  const { tell, earnings, time } = await served(3);
  assert.equal(tell({ workerSeq: 3n, earned: 3n * EARNED, paid: EARNED }), 204);
  assert.equal(tell({ workerSeq: 1n, earned: EARNED, paid: 0n, atMs: time.ms - 1 }), 204);
  assert.equal(earnings.isTrusted, true);
  assert.equal(earnings.exposure(), 2n * EARNED);
});

test('two replicas may overtake each other within seconds, and not after', async () => {
  const { tell, earnings, time } = await served(3);
  assert.equal(tell({ workerSeq: 3n, earned: 3n * EARNED }), 204);
  time.ms += 4999;
  assert.equal(tell({ workerSeq: 2n, earned: 2n * EARNED }), 204);
  assert.equal(earnings.isTrusted, true);
  time.ms += 1;
  assert.equal(tell({ workerSeq: 2n, earned: 2n * EARNED }), 409);
  assert.equal(earnings.isTrusted, false);
});

const LATER = 10_000;

for (const [what, said] of [
  ['a receipt', { workerSeq: 2n, earned: 3n * EARNED, paid: EARNED }],
  ['what was earned', { workerSeq: 3n, earned: 3n * EARNED - 1n, paid: EARNED }],
  ['what was paid', { workerSeq: 3n, earned: 3n * EARNED, paid: EARNED - 1n }],
] as const) {
  test(`a gateway that has forgotten ${what} is served no more, and the owner is told`, async () => {
    const { tell, earnings, time, fixture, ask } = await served(3);
    assert.equal(tell({ workerSeq: 3n, earned: 3n * EARNED, paid: EARNED }), 204);
    time.ms += LATER;
    assert.equal(tell(said), 409);
    assert.equal(earnings.isTrusted, false);
    assert.ok(fixture.logLines.some((line) => line.includes('worker.gateway_rolled_back')));
    const answer = await ask(1);
    assert.deepEqual([answer.outerStatus, answer.outerBytes], [503, 0]);
    // Nor does it come back by saying the right thing.
    assert.equal(tell({ workerSeq: 3n, earned: 3n * EARNED, paid: EARNED }), 409);
  });
}

test('a receipt that was never signed is not acknowledged by an honest gateway', async () => {
  const { tell, earnings } = await served(2);
  assert.equal(tell({ workerSeq: 2n, earned: 2n * EARNED }), 204);
  assert.equal(tell({ workerSeq: 3n, earned: 2n * EARNED }), 409);
  assert.equal(earnings.isTrusted, false);
});

test('a statement that has signed nothing yet may be named with nothing', async () => {
  const { tell, earnings } = await served(0);
  assert.equal(tell({}), 204);
  assert.equal(tell({ workerSeq: 1n }), 409);
  assert.equal(earnings.isTrusted, false);
});

test('what makes a notice unsound: each alone, and then nothing of it counts', async () => {
  const { tell, earnings, fixture, time } = await served(1);
  const sound = { workerSeq: 1n, earned: EARNED, paid: EARNED };
  const unsound = {
    asset: { ...sound, asset: 'USDT' },
    clock: { ...sound, atMs: time.ms + 5 * 60_000 + 1 },
    paid: { ...sound, paid: EARNED + 1n },
    statement: { ...sound, statementHash: randomBytes(32) },
  } as const;
  for (const [check, said] of Object.entries(unsound)) {
    assert.equal(tell(said), 400, check);
    assert.ok(fixture.logLines.at(-1)?.includes(`"check":"${check}"`), check);
    assert.equal(earnings.exposure(), EARNED, check);
  }
  assert.equal(earnings.settled(utf8('{}')), 400);
  assert.equal(earnings.isTrusted, true);
  assert.equal(tell({ ...sound, atMs: time.ms + 5 * 60_000 }), 204);
});

test('a book that is younger than the work takes the word for what was before', async () => {
  const { tell, earnings, fixture } = await served(2);
  // 100 requests before this book, all settled; of the two since then one.
  const said = { workerSeq: 1n, earned: 101n * EARNED, paid: 99n * EARNED };
  assert.equal(tell(said), 204);
  assert.equal(earnings.earned(), 102n * EARNED);
  assert.equal(earnings.exposure(), 3n * EARNED);
  // Once: what it says later does not change what was before.
  assert.equal(tell({ workerSeq: 1n, earned: 500n * EARNED, paid: 99n * EARNED }), 204);
  assert.equal(earnings.earned(), 102n * EARNED);
  assert.equal(toHex(fixture.worker.key.statementHash).length, 64);
});

test('what is said to be paid before it was earned is paid in advance, and no debt', async () => {
  const { tell, earnings, ask } = await served(1);
  assert.equal(tell({ workerSeq: 1n, earned: EARNED, paid: 0n }), 204);
  assert.equal(tell({ workerSeq: 1n, earned: 2n * EARNED, paid: 2n * EARNED }), 204);
  assert.equal(earnings.exposure(), 0n);
  await ask(10);
  await ask(10);
  assert.equal(earnings.exposure(), EARNED);
});
