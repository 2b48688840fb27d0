/** The log as its writer sees it: order, durability, crashes, failing disks, strangers. @module */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  fdatasync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  write,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { hasCode } from '../../../core/errors.ts';
import { CHAIN_START } from '../../../core/node/chained-line.ts';
import type { Disk } from '../../../core/node/chained-log.ts';
import { logFolder, walk } from '../../support/chained-log.ts';

const writeTo = promisify(write);
const DISK: Disk = {
  write: async (file, bytes) => (await writeTo(file, bytes)).bytesWritten,
  sync: promisify(fdatasync),
};

function code(wanted: string) {
  return (error: unknown) => hasCode(error, wanted);
}

test('entries stand in the order of the calls, durable or not, and the next process goes on', async () => {
  using folder = logFolder();
  const log = folder.open();
  log.append({ number: 1 });
  const second = log.appendDurably({ number: 2 });
  log.append({ number: 3 });
  const head = await second;
  assert.equal(head.seq, 2);
  await log.close();
  const next = folder.open();
  assert.equal(next.head().seq, 3);
  await next.appendDurably({ number: 4 });
  await next.close();
  const { lines, faults } = walk(folder.path);
  assert.deepEqual(faults, []);
  assert.deepEqual(
    lines.map(({ seq, entry }) => [seq, entry['number']]),
    [1, 2, 3, 4].map((number) => [number, number]),
  );
  assert.equal(lines[0]?.prev, CHAIN_START.hash);
  assert.equal(lines[1]?.hash, head.hash);
  assert.equal(lines[0]?.time, '2026-06-15T12:00:01Z');
});

test('what is appended without waiting is in the file within a moment, without anybody closing', async () => {
  using folder = logFolder();
  const written = Promise.withResolvers<void>();
  const disk: Disk = {
    ...DISK,
    write: async (file, bytes) => {
      const taken = await DISK.write(file, bytes);
      written.resolve();
      return taken;
    },
  };
  const log = folder.open({ disk });
  log.append({ number: 1 });
  log.append({ number: 2 });
  await written.promise;
  assert.equal(walk(folder.path).lines.length, 2);
  assert.equal(log.head().seq, 0, 'not on the disk for sure');
  await log.close();
  assert.equal(log.head().seq, 2);
});

test('callers at one time share one sync; those that come meanwhile share the next', async () => {
  using folder = logFolder();
  let syncs = 0;
  const gates: PromiseWithResolvers<void>[] = [];
  const disk: Disk = {
    ...DISK,
    sync: async () => {
      syncs++;
      await (gates[syncs - 1] ??= Promise.withResolvers<void>()).promise;
    },
  };
  gates.push(Promise.withResolvers<void>(), Promise.withResolvers<void>());
  const log = folder.open({ disk });
  const first = Promise.all(Array.from({ length: 100 }, (_, at) => log.appendDurably({ at })));
  await new Promise((resolve) => void setImmediate(resolve));
  const second = Promise.all(Array.from({ length: 100 }, (_, at) => log.appendDurably({ at })));
  gates[0]?.resolve();
  await first;
  gates[1]?.resolve();
  await second;
  assert.equal(syncs, 2);
  assert.equal(log.head().seq, 200);
  gates.push(Promise.withResolvers<void>());
  gates[2]?.resolve();
  await log.close();
});

test('folder, files and lock are their owner alone; what others could have written is refused', async () => {
  using folder = logFolder();
  const log = folder.open();
  await log.appendDurably({ number: 1 });
  assert.equal(statSync(folder.path).mode & 0o777, 0o700);
  for (const name of readdirSync(folder.path)) {
    assert.equal(statSync(join(folder.path, name)).mode & 0o777, 0o600, name);
  }
  await log.close();
  chmodSync(folder.file(1), 0o640);
  assert.throws(() => folder.open(), code('file.private'));
  chmodSync(folder.file(1), 0o600);
  renameSync(folder.file(1), `${folder.path}-elsewhere`);
  symlinkSync(`${folder.path}-elsewhere`, folder.file(1));
  assert.throws(() => folder.open(), code('file.private'));
  rmSync(folder.file(1));
  mkdirSync(folder.file(1));
  assert.throws(() => folder.open(), code('file.private'));
  rmSync(folder.file(1), { recursive: true });
  chmodSync(folder.path, 0o770);
  assert.throws(() => folder.open(), code('file.private'));
});

test('a write that was cut at any byte of the last line is taken away, and the chain says so', async () => {
  using folder = logFolder();
  const log = folder.open();
  await log.appendDurably({ number: 1 });
  const start = statSync(folder.file(1)).size;
  await log.appendDurably({ number: 2 });
  await log.close();
  const whole = readFileSync(folder.file(1));
  for (let size = start; size < whole.length; size++) {
    writeFileSync(folder.file(1), whole.subarray(0, size));
    const next = folder.open();
    await next.appendDurably({ number: 3 });
    await next.close();
    const { lines, faults } = walk(folder.path);
    assert.deepEqual(faults, [], `cut to ${size}`);
    const cut = size === start ? [] : [size - start];
    assert.deepEqual(
      lines.map(({ entry }) => entry['bytes']).filter((bytes) => bytes !== undefined),
      cut,
    );
    assert.deepEqual(
      [lines[0]?.entry['number'], lines.at(-1)?.entry['number'], lines.length],
      [1, 3, 2 + cut.length],
    );
  }
});

test('a log that does not verify is not written to, and stays as it is', async () => {
  using folder = logFolder();
  const log = folder.open({ fileMaxBytes: 1000 });
  for (let number = 1; number <= 11; number++) await log.appendDurably({ number });
  await log.close();
  const newest = folder.file(3);
  const sound = readFileSync(newest);
  const changed = Uint8Array.from(sound);
  changed[12] = 0x58;
  const spoil: readonly (() => void)[] = [
    () => writeFileSync(newest, changed),
    () => writeFileSync(newest, sound.subarray(sound.indexOf(10) + 1)),
    () => appendFileSync(newest, 'x'.repeat(40_000)),
    // The file before it is gone, or its end is.
    () => renameSync(folder.file(2), join(folder.path, 'test-2.bak')),
    () => {
      renameSync(join(folder.path, 'test-2.bak'), folder.file(2));
      truncateSync(folder.file(2), statSync(folder.file(2)).size - 1);
    },
  ];
  for (const [at, damage] of spoil.entries()) {
    writeFileSync(newest, sound);
    damage();
    const before = readFileSync(newest);
    assert.throws(() => folder.open(), code('chained_log.broken'), `damage ${at}`);
    assert.deepEqual(readFileSync(newest), before);
    assert.ok(!existsSync(join(folder.path, 'test.lock')), 'the lock is given back');
  }
});

test('files follow each other, each beginning with the hash that the one before ends with', async () => {
  using folder = logFolder();
  const log = folder.open({ fileMaxBytes: 1000 });
  for (let number = 1; number <= 30; number++) await log.appendDurably({ number });
  await log.close();
  const names = readdirSync(folder.path);
  assert.ok(names.length > 5, String(names.length));
  for (const name of names) assert.ok(statSync(join(folder.path, name)).size <= 1000);
  const { lines, faults } = walk(folder.path);
  assert.deepEqual([lines.length, faults.length], [30, 0]);
  // Older files may be put away; a crash may leave a new file without a line.
  for (const name of names.slice(0, 3)) rmSync(join(folder.path, name));
  writeFileSync(folder.file(names.length + 1), '', { mode: 0o600 });
  const next = folder.open();
  assert.equal((await next.appendDurably({ number: 31 })).seq, 31);
  await next.close();
  assert.deepEqual(walk(folder.path, 'anywhere').faults, []);
});

test('a second writer is refused, in this process and in another; a lock left behind is not', async () => {
  using folder = logFolder();
  const log = folder.open();
  assert.throws(() => folder.open(), code('writer_lock.held'));
  const lock = join(folder.path, 'test.lock');
  const mine = readFileSync(lock, 'utf8');
  await log.close();
  assert.ok(!existsSync(lock));
  const [pid = '', startedAt = '', boot = '', nonce = ''] = mine.split(' ');
  const abandoned = [
    `4194303 ${startedAt} ${boot} ${nonce}`,
    // Our number, of a process that began at another time, or before the machine was started anew.
    `${pid} ${Number(startedAt) - 1} ${boot} ${nonce}`,
    `${pid} ${startedAt} ${'0'.repeat(36)} ${nonce}`,
  ];
  for (const text of abandoned) {
    writeFileSync(lock, text, { mode: 0o600 });
    await folder.open().close();
  }
  for (const text of [mine, 'somebody', '']) {
    writeFileSync(lock, text, { mode: 0o600 });
    assert.throws(() => folder.open(), code('writer_lock.held'), text);
  }
  rmSync(lock);
  assert.deepEqual(readdirSync(folder.path), ['test-000001.log']);
});

test('who shares the folder from another machine is noticed before anything is written over it', async () => {
  using folder = logFolder();
  const failures: string[] = [];
  const log = folder.open({ onFailure: (error) => failures.push(error.message) });
  await log.appendDurably({ number: 1 });
  rmSync(join(folder.path, 'test.lock'));
  const other = folder.open();
  await other.appendDurably({ number: 2 });
  await other.close();
  await assert.rejects(log.appendDurably({ number: 3 }), /somebody else wrote to the file/);
  await assert.rejects(log.close(), code('chained_log.failed'));
  assert.equal(failures.length, 1);
  const { lines, faults } = walk(folder.path);
  assert.deepEqual([lines.length, faults], [2, []]);
});

test('a file that was deleted under the log is noticed', async () => {
  using folder = logFolder();
  const log = folder.open();
  await log.appendDurably({ number: 1 });
  rmSync(folder.file(1));
  await assert.rejects(log.appendDurably({ number: 2 }), /deleted/);
  await assert.rejects(log.close());
});

/** Takes `room` bytes and no more. */
function fullDisk(room: number): Disk {
  let left = room;
  return {
    ...DISK,
    write: async (file, bytes) => {
      if (left === 0) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
      const taken = await DISK.write(file, bytes.subarray(0, left));
      left -= taken;
      return taken;
    },
  };
}

test('a full disk rejects, nothing is written behind the hole, and what was acknowledged stays', async () => {
  for (let room = 200; room < 900; room += 61) {
    using folder = logFolder();
    const failures: string[] = [];
    const log = folder.open({
      disk: fullDisk(room),
      onFailure: (error) => failures.push(error.message),
    });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 3 }, async (_, number) => await log.appendDurably({ number })),
    );
    const more = await Promise.allSettled([log.appendDurably({ number: 3 })]);
    log.append({ number: 4 });
    const [closed] = await Promise.allSettled([log.close()]);
    assert.equal(closed?.status, 'rejected');
    const acknowledged = [...outcomes, ...more].filter(({ status }) => status === 'fulfilled');
    const { lines, faults } = walk(folder.path);
    assert.deepEqual(faults, [], `room ${room}`);
    assert.equal(lines.length, acknowledged.length, `room ${room}`);
    assert.match(failures.join(), /^chained_log\.failed: test-000001\.log: ENOSPC$/);
    // With space again, the next process goes on.
    const next = folder.open();
    await next.appendDurably({ number: 5 });
    await next.close();
    assert.equal(walk(folder.path).lines.length, acknowledged.length + 1);
  }
});

test('a sync that fails is final: a disk that loses what it took is not asked again', async () => {
  using folder = logFolder();
  let syncs = 0;
  const disk: Disk = {
    ...DISK,
    sync: () => {
      syncs++;
      return Promise.reject(Object.assign(new Error('input/output'), { code: 'EIO' }));
    },
  };
  const log = folder.open({ disk });
  const both = [log.appendDurably({ number: 1 }), log.appendDurably({ number: 2 })];
  for (const one of both) await assert.rejects(one, code('chained_log.failed'));
  await assert.rejects(log.appendDurably({ number: 3 }), code('chained_log.failed'));
  assert.equal(log.head().seq, 0);
  assert.ok(hasCode(log.failure, 'chained_log.failed'));
  await assert.rejects(log.close());
  assert.equal(syncs, 1);
});

test('a disk that takes nothing for long fills no memory: what is dropped is counted in the chain', async () => {
  using folder = logFolder();
  const gate = Promise.withResolvers<void>();
  const disk: Disk = {
    ...DISK,
    write: async (file, bytes) => {
      await gate.promise;
      return await DISK.write(file, bytes);
    },
  };
  const log = folder.open({ disk, pendingMaxBytes: 2000 });
  const first = log.appendDurably({ number: 0 });
  for (let number = 1; number <= 100; number++) log.append({ number });
  await assert.rejects(log.appendDurably({ number: 101 }), code('chained_log.busy'));
  gate.resolve();
  await first;
  while (walk(folder.path).lines.length < 2) await new Promise((go) => void setImmediate(go));
  await new Promise((go) => void setImmediate(go));
  await log.appendDurably({ number: 102 });
  await log.close();
  const { lines, faults } = walk(folder.path);
  assert.deepEqual(faults, []);
  const dropped = lines.find(({ entry }) => entry['kind'] === 'log.dropped')?.entry['count'];
  assert.equal(lines.length - 2 + Number(dropped), 101);
});

test('nothing is taken that would not read back', async () => {
  using folder = logFolder();
  const log = folder.open();
  const bad = [{ text: '\ud800' }, { text: 'x'.repeat(16_384) }, { number: 0.5 }];
  for (const entry of bad) assert.throws(() => log.append(entry), code('internal.invariant'));
  await log.appendDurably({ text: 'x'.repeat(16_000), __proto__: null });
  await log.close();
  await log.close();
  await assert.rejects(log.appendDurably({ number: 1 }), code('chained_log.closed'));
  assert.equal(walk(folder.path).lines.length, 1);
});

const KILLS = 3;
const PROMISES_MIN = 60;

test(
  'a process that is killed in the middle keeps every promise it made',
  { timeout: 60_000 },
  async () => {
    using folder = logFolder();
    const promised = new Map<number, string>();
    for (let kill = 1; kill <= KILLS; kill++) {
      const path = fileURLToPath(new URL('../../support/chained-log-child.ts', import.meta.url));
      const child = spawn(process.execPath, [path, folder.path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const closed = once(child, 'close');
      for await (const line of createInterface({ input: child.stdout })) {
        const [, seq = '', hash = ''] = /^(\d+) ([0-9a-f]{64})$/.exec(line) ?? [];
        if (hash !== '') promised.set(Number(seq), hash);
        if (promised.size >= kill * PROMISES_MIN) child.kill('SIGKILL');
      }
      await closed;
      const { lines, faults } = walk(folder.path);
      assert.deepEqual(
        faults.filter((fault) => fault !== 'torn'),
        [],
      );
      for (const [seq, hash] of promised) assert.equal(lines[seq - 1]?.hash, hash, `entry ${seq}`);
    }
    assert.ok(promised.size >= KILLS * PROMISES_MIN);
    const next = folder.open();
    await next.appendDurably({ number: 0 });
    await next.close();
    assert.deepEqual(walk(folder.path).faults, []);
  },
);
