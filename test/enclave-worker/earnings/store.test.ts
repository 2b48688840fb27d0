/** The file of a worker's earnings: what was acknowledged is there, whatever became of the process. @module */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { randomBytes } from '#primitives';
import { openEarnings, readEarnings } from '../../../enclave-worker/earnings/sqlite.ts';
import type { EarnedReceipt, Notice } from '../../../enclave-worker/earnings/store.ts';
import { BOOK } from '../../support/earnings-book.ts';
import { channelWith, termsOf } from '../paid-worker.ts';

let root: string;

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'veilgate-earnings-'));
});

after(() => rm(root, { recursive: true, force: true }));

const DAY_MS = 86_400_000;
const NOW_MS = 20_000 * DAY_MS;
const statementHash = randomBytes(32);

function receipt(seq: bigint, changes: Partial<EarnedReceipt> = {}): EarnedReceipt {
  const counts = { inputTokens: 3, outputTokens: 4, amount: 10n, part: 9n };
  return { atMs: NOW_MS, model: 'a', statementHash, workerSeq: seq, ...counts, ...changes };
}

function notice(seq: bigint, ceiling: bigint, epoch = 0): Notice {
  const { channel, voucher } = channelWith(ceiling, { epoch });
  assert.ok(voucher !== null);
  return {
    acknowledged: { statementHash, workerSeq: seq, earned: 9n, paid: 1n, atMs: NOW_MS },
    before: 5n,
    voucher: { channel, terms: termsOf(), epoch, ceiling, voucher },
  };
}

test('what was written is read, sums by day and model, and books apart', () => {
  const dir = join(root, 'sums');
  const store = openEarnings(dir, NOW_MS);
  store.addReceipt(BOOK, receipt(1n));
  store.addReceipt(BOOK, receipt(2n));
  store.addReceipt(BOOK, receipt(3n, { model: 'b', atMs: NOW_MS + DAY_MS }));
  const other = { ...BOOK, gateway: `gw1.${'C'.repeat(43)}` };
  store.addReceipt(other, receipt(4n));
  assert.deepEqual(store.sums(BOOK), { issued: 27n, before: undefined, acknowledged: undefined });
  store.addNotice(BOOK, notice(2n, 7n));
  const [own, foreign] = readEarnings(dir);
  assert.ok(own !== undefined && foreign !== undefined);
  assert.deepEqual(own.book, BOOK);
  assert.equal(own.sums.before, 5n);
  assert.equal(own.sums.acknowledged?.workerSeq, 2n);
  assert.deepEqual(
    own.days.map(({ day, model, requests, part }) => [day, model, requests, part]),
    [
      [20_000, 'a', 2n, 18n],
      [20_001, 'b', 1n, 9n],
    ],
  );
  assert.equal(foreign.sums.issued, 9n);
  store.close();
});

test('the best voucher of a channel and epoch stays, and every epoch has its own', () => {
  const store = openEarnings(undefined, NOW_MS);
  for (const [ceiling, epoch] of [
    [7n, 0],
    [9n, 0],
    [8n, 0],
    [2n, 1],
  ] as const) {
    store.addNotice(BOOK, notice(1n, ceiling, epoch));
  }
  const kept = store.vouchers(BOOK).map(({ ceiling, epoch }) => [epoch, ceiling]);
  assert.deepEqual(kept, [
    [0, 9n],
    [1, 2n],
  ]);
  store.close();
});

test('a receipt counts once, and a write that fails leaves nothing of itself', () => {
  const store = openEarnings(undefined, NOW_MS);
  store.addReceipt(BOOK, receipt(1n));
  assert.throws(() => store.addReceipt(BOOK, receipt(1n)), { code: 'earnings.store' });
  assert.equal(store.sums(BOOK).issued, 9n);
  store.addReceipt(BOOK, receipt(2n));
  assert.equal(store.sums(BOOK).issued, 18n);
  store.close();
});

test('single receipts go after a while, sums stay', () => {
  const dir = join(root, 'old');
  const store = openEarnings(dir, NOW_MS);
  store.addReceipt(BOOK, receipt(1n));
  store.close();
  const later = openEarnings(dir, NOW_MS + 401 * DAY_MS);
  assert.equal(later.sums(BOOK).issued, 9n);
  // Its place is free again.
  later.addReceipt(BOOK, receipt(1n));
  later.close();
});

test('nobody else can read it, and nothing of a request but its counts is in it', async () => {
  const dir = join(root, 'private');
  const store = openEarnings(dir, NOW_MS);
  store.addReceipt(BOOK, receipt(1n));
  store.close();
  assert.equal((await stat(dir)).mode & 0o777, 0o700);
  for (const name of await readdir(dir)) {
    assert.equal((await stat(join(dir, name))).mode & 0o777, 0o600, name);
  }
  await chmod(dir, 0o777);
  assert.throws(() => openEarnings(dir, NOW_MS), { code: 'file.private' });
  assert.throws(() => readEarnings(dir), { code: 'file.private' });
});

test('one worker at a time, and the next one after it', () => {
  const dir = join(root, 'locked');
  const store = openEarnings(dir, NOW_MS);
  assert.throws(() => openEarnings(dir, NOW_MS), { code: 'writer_lock.held' });
  readEarnings(dir);
  store.close();
  openEarnings(dir, NOW_MS).close();
});

test('a file of another version or of something else is refused and left alone', async () => {
  const dir = join(root, 'foreign');
  openEarnings(dir, NOW_MS).close();
  const path = join(dir, 'earnings.sqlite');
  await writeFile(path, 'not a database, and long enough to be looked at as one');
  assert.throws(() => openEarnings(dir, NOW_MS), { code: 'earnings.store' });
  assert.throws(() => readEarnings(dir), { code: 'earnings.store' });
  assert.match(await readFile(path, 'utf8'), /^not a database/);
  assert.throws(() => readEarnings(join(root, 'nothing')), { code: 'file.private' });
});

const KILLS = 4;
const ROWS_BEFORE_KILL = 300;
const CHILD = fileURLToPath(new URL('../../support/earnings-child.ts', import.meta.url));

/** Resolves with the last acknowledged row and notice of a process that was killed in the middle. */
function killed(
  dir: string,
  from: bigint,
): Promise<{ readonly row: bigint; readonly notice: bigint }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CHILD, dir, String(from)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString('latin1');
      if (said.split('\n').length > ROWS_BEFORE_KILL) child.kill('SIGKILL');
    });
    child.once('error', reject);
    child.once('close', () => {
      const lines = said.slice(0, said.lastIndexOf('\n')).split('\n');
      const last = (kind: string): bigint =>
        BigInt(lines.findLast((line) => line.startsWith(kind))?.split(' ')[1] ?? 0);
      resolve({ row: last('R'), notice: last('N') });
    });
  });
}

test('kill -9 loses no acknowledged row, and no half of one is left', async (t) => {
  const dir = join(root, 'killed');
  let from = 0n;
  for (let kill = 0; kill < KILLS; kill++) {
    const acknowledged = await killed(dir, from);
    assert.ok(acknowledged.row > from);
    const [report] = readEarnings(dir);
    assert.ok(report !== undefined);
    const requests = report.days.reduce((sum, day) => sum + day.requests, 0n);
    const part = report.days.reduce((sum, day) => sum + day.part, 0n);
    assert.ok(requests >= acknowledged.row, `${requests} < ${acknowledged.row}`);
    assert.ok((report.sums.acknowledged?.workerSeq ?? 0n) >= acknowledged.notice);
    assert.ok((report.vouchers[0]?.ceiling ?? 0n) >= acknowledged.notice);
    let want = 0n;
    for (let seq = 1n; seq <= requests; seq++) want += (seq % 9n) + 1n;
    assert.equal(part, want);
    assert.equal(report.sums.issued, want);
    from = requests;
  }
  t.diagnostic(`${from} rows over ${KILLS} kills, none lost`);
});
