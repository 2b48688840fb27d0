/** Blobs on disk: whole or absent, the owner's alone, bounded. @module */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  mkdtemp,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { utf8 } from '../../../core/bytes.ts';
import { systemClock } from '../../../core/clock.ts';
import { hasCode } from '../../../core/errors.ts';
import {
  openBlobFiles,
  type BlobFiles,
  type BlobFilesOptions,
} from '../../../core/node/blob-files.ts';

async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'veilgate-blobs-'));
  after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 'blobs');
}

async function opened(folder: string, options: Partial<BlobFilesOptions> = {}): Promise<BlobFiles> {
  const defaults = { blobMaxBytes: 1000, totalMaxBytes: 10_000, blobsMax: 10, keep: [] };
  return await openBlobFiles({ folder, ...defaults, ...options }, systemClock());
}

test('what was put is there again, also for the next process', async () => {
  const folder = await freshFolder();
  const blobs = await opened(folder);
  await blobs.put('tdx.tcb-info.c0ffee', utf8('one'));
  await blobs.put('tdx.tcb-info.c0ffee', utf8('two'));
  assert.deepEqual(await blobs.get('tdx.tcb-info.c0ffee'), utf8('two'));
  const next = await opened(folder);
  assert.deepEqual(await next.get('tdx.tcb-info.c0ffee'), utf8('two'));
  assert.deepEqual(await next.list(), ['tdx.tcb-info.c0ffee']);
  await next.delete('tdx.tcb-info.c0ffee');
  assert.equal(await next.get('tdx.tcb-info.c0ffee'), undefined);
});

test('folder and files are their owner alone', async () => {
  const folder = await freshFolder();
  await (await opened(folder)).put('a', utf8('x'));
  assert.equal((await stat(folder)).mode & 0o777, 0o700);
  assert.equal((await stat(join(folder, 'a.blob'))).mode & 0o777, 0o600);
});

test('a file that is cut, changed at any byte, longer or of another name reads as absent', async () => {
  const folder = await freshFolder();
  const blobs = await opened(folder);
  await blobs.put('a', utf8('payload'));
  const path = join(folder, 'a.blob');
  const sound = await readFile(path);
  for (let size = 0; size < sound.length; size++) {
    await writeFile(path, sound.subarray(0, size));
    assert.equal(await blobs.get('a'), undefined, `cut to ${size}`);
  }
  for (let at = 0; at < sound.length; at++) {
    const changed = Uint8Array.from(sound);
    changed[at] = (changed[at] ?? 0) ^ 1;
    await writeFile(path, changed);
    assert.equal(await blobs.get('a'), undefined, `changed at ${at}`);
  }
  await writeFile(path, Buffer.concat([sound, Buffer.of(0)]));
  assert.equal(await blobs.get('a'), undefined);
  await writeFile(path, sound);
  assert.deepEqual(await blobs.get('a'), utf8('payload'));
  await rename(path, join(folder, 'b.blob'));
  assert.equal(await (await opened(folder)).get('b'), undefined);
});

test('a link, a pipe, a folder and a giant in place of a file read as absent', async () => {
  const folder = await freshFolder();
  const blobs = await opened(folder);
  await blobs.put('a', utf8('payload'));
  await symlink(join(folder, 'a.blob'), join(folder, 'link.blob'));
  execFileSync('mkfifo', [join(folder, 'pipe.blob')]);
  execFileSync('mkdir', [join(folder, 'folder.blob')]);
  await writeFile(join(folder, 'giant.blob'), new Uint8Array(5000));
  const next = await opened(folder);
  for (const key of ['link', 'pipe', 'folder', 'giant']) {
    assert.equal(await next.get(key), undefined, key);
  }
});

test('a key that is no safe file name is a bug', async () => {
  const blobs = await opened(await freshFolder());
  for (const key of ['', '.', '..', '../a', 'a/b', '.a', 'A', 'a\0', 'ä', 'a'.repeat(201)]) {
    await assert.rejects(blobs.get(key), (error) => hasCode(error, 'internal.invariant'), key);
    await assert.rejects(blobs.put(key, utf8('x')), key);
  }
});

test('what was written longest ago makes room, what must stay does not', async () => {
  const folder = await freshFolder();
  const blobs = await opened(folder, { blobsMax: 3, keep: ['floors'] });
  for (const key of ['floors', 'a', 'b']) await blobs.put(key, utf8(key));
  await blobs.put('a', utf8('again'));
  await blobs.put('c', utf8('c'));
  assert.deepEqual(await blobs.list(), ['floors', 'a', 'c']);
  assert.equal(await blobs.get('b'), undefined);
});

test('all files together stay below their bound, counting those of an earlier process', async () => {
  const folder = await freshFolder();
  const first = await opened(folder);
  await first.put('a', new Uint8Array(800));
  await first.put('b', new Uint8Array(800));
  const past = systemClock() / 1000 - 100;
  await utimes(join(folder, 'b.blob'), past, past);
  const next = await opened(folder, { totalMaxBytes: 2000 });
  await next.put('c', new Uint8Array(800));
  assert.deepEqual(await next.list(), ['a', 'c']);
  await assert.rejects(next.put('d', new Uint8Array(1001)), (error) => hasCode(error, 'blob.size'));
  const kept = await opened(folder, { totalMaxBytes: 1700, keep: ['a', 'c'] });
  await assert.rejects(kept.put('d', new Uint8Array(900)), (error) => hasCode(error, 'blob.size'));
  assert.deepEqual(await kept.get('c'), new Uint8Array(800));
});

test('a write that fails leaves what was there and no draft', async () => {
  const folder = await freshFolder();
  const blobs = await opened(folder);
  // A folder stands where the file should: the rename fails, for root as well.
  execFileSync('mkdir', [join(folder, 'a.blob')]);
  await assert.rejects(blobs.put('a', utf8('x')), (error) => hasCode(error, 'blob.io'));
  assert.deepEqual(await readdir(folder), ['a.blob']);
  await blobs.put('b', utf8('still works'));
  assert.deepEqual(await blobs.get('b'), utf8('still works'));
});

test('drafts of processes that died are cleared away, fresh ones and those of others are left alone', async () => {
  const folder = await freshFolder();
  await opened(folder);
  const [old, fresh] = ['.0123456789abcdef.draft', '.fedcba9876543210.draft'];
  const foreign = ['.mine.draft', '0123456789abcdef.draft', 'novel.draft'];
  for (const name of [old, fresh, ...foreign]) await writeFile(join(folder, name), 'x');
  const past = systemClock() / 1000 - 7200;
  for (const name of [old, ...foreign]) await utimes(join(folder, name), past, past);
  await opened(folder);
  assert.deepEqual((await readdir(folder)).toSorted(), [fresh, ...foreign].toSorted());
});

test('a file in place of the folder refuses to open', async () => {
  const folder = await freshFolder();
  await writeFile(folder, 'x');
  await assert.rejects(opened(folder), (error) => hasCode(error, 'blob.folder'));
});
