/** The kept test keys: shared, owner-only, and made anew when anything is odd about the file. @module */

import assert from 'node:assert/strict';
import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { spkiSha256 } from '../../../attestation/x509-keys.ts';
import { toHex } from '../../../core/bytes.ts';
import { testRsaKeys } from './rsa-keys.ts';

const folder = mkdtempSync(join(tmpdir(), 'veilgate-test-keys-'));
after(() => rmSync(folder, { recursive: true, force: true }));

async function keysIn(path: string): Promise<string> {
  const { ark, ask, asvk, stranger } = await testRsaKeys(path, 2048);
  const digests = await Promise.all(
    [ark, ask, asvk, stranger].map(async ({ publicKey }) => toHex(await spkiSha256(publicKey))),
  );
  assert.equal(new Set(digests).size, 4);
  return digests.join();
}

test('keys are made once and kept for their owner alone', async () => {
  const path = join(folder, 'once.json');
  const first = await keysIn(path);
  assert.equal(lstatSync(path).mode & 0o777, 0o600);
  assert.equal(await keysIn(path), first);
});

const ODD: readonly (readonly [title: string, spoil: (path: string) => void])[] = [
  ['others may read', (path) => chmodSync(path, 0o644)],
  ['is cut short', (path) => writeFileSync(path, readFileSync(path).subarray(0, 500))],
  [
    'is a link',
    (path) => {
      renameSync(path, `${path}.elsewhere`);
      symlinkSync(`${path}.elsewhere`, path);
    },
  ],
];

for (const [title, spoil] of ODD) {
  test(`a file that ${title} is replaced`, async () => {
    const path = join(folder, `${title.replaceAll(' ', '-')}.json`);
    const first = await keysIn(path);
    spoil(path);
    const second = await keysIn(path);
    assert.notEqual(second, first);
    assert.ok(lstatSync(path).isFile());
    assert.equal(await keysIn(path), second);
  });
}

test('a place that cannot be written to costs new keys every time, and nothing else', async () => {
  const path = join(folder, 'taken.json');
  const nothing = join(path, 'in the way');
  await keysIn(path);
  assert.notEqual(await keysIn(nothing), await keysIn(nothing));
});

test('nothing is left beside the files', () => {
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.includes('.new-')),
    [],
  );
});
