/** Files as they are: what can be seen of it without a pseudo file system. @module */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fromUtf8, utf8 } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import { openConfigfsTsm } from '../../../enclave-worker/evidence/configfs-tsm.ts';
import { nodeFiles, thisGuest } from '../../../enclave-worker/evidence/guest.ts';

const folder = mkdtempSync(join(tmpdir(), 'veilgate-guest-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const path = (name: string): string => join(folder, name);

test('a file is read whole, up to its cap and not beyond', async () => {
  writeFileSync(path('big'), new Uint8Array(100_000).fill(7));
  assert.equal((await nodeFiles.read(path('big'), 100_000)).length, 100_000);
  await assert.rejects(nodeFiles.read(path('big'), 99_999), (error) =>
    hasCode(error, 'evidence.oversized'),
  );
});

test('a file without end is given up at its cap', async () => {
  await assert.rejects(nodeFiles.read('/dev/zero', 1_000_000), (error) =>
    hasCode(error, 'evidence.oversized'),
  );
});

test('a pseudo file that does not know its size is read', async () => {
  assert.match(fromUtf8(await nodeFiles.read('/proc/sys/kernel/osrelease', 4096)), /^\d+\.\d+/);
});

test('writing replaces what is there, and neither creates nor empties a file', async () => {
  writeFileSync(path('attribute'), 'abcdef');
  await nodeFiles.write(path('attribute'), utf8('123'));
  assert.equal(readFileSync(path('attribute'), 'utf8'), '123def');
  await assert.rejects(nodeFiles.write(path('new'), utf8('1')), { code: 'ENOENT' });
  assert.equal(existsSync(path('new')), false);
});

test('a link is not followed to a file', async () => {
  writeFileSync(path('target'), 'secret');
  symlinkSync(path('target'), path('link'));
  await assert.rejects(nodeFiles.read(path('link'), 100), { code: 'ELOOP' });
  await assert.rejects(nodeFiles.write(path('link'), utf8('1')), { code: 'ELOOP' });
  assert.equal(readFileSync(path('target'), 'utf8'), 'secret');
});

test('directories come and go', async () => {
  await nodeFiles.mkdir(path('entry'));
  assert.equal(await nodeFiles.kindOf(path('entry')), 'folder');
  await assert.rejects(nodeFiles.mkdir(path('entry')), { code: 'EEXIST' });
  await nodeFiles.rmdir(path('entry'));
  assert.equal(await nodeFiles.kindOf(path('entry')), undefined);
});

test('what a path is', async () => {
  writeFileSync(path('plain'), '');
  assert.equal(await nodeFiles.kindOf(path('plain')), 'file');
  assert.equal(await nodeFiles.kindOf(path('plain/below')), undefined);
  assert.equal(await nodeFiles.kindOf('/dev/null'), 'other');
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(path('socket'), resolve);
  });
  assert.equal(await nodeFiles.kindOf(path('socket')), 'socket');
  server.close();
});

test('on a plain folder, which answers nothing, opening fails and leaves nothing', async () => {
  const reports = path('report');
  await nodeFiles.mkdir(reports);
  const guest = {
    ...thisGuest,
    paths: { ...thisGuest.paths, reports },
    wait: () => Promise.resolve(true),
  };
  await assert.rejects(
    openConfigfsTsm({ privlevel: 0 }, guest, new AbortController().signal),
    (error) => hasCode(error, 'evidence.raced'),
  );
  await nodeFiles.rmdir(reports);
});
