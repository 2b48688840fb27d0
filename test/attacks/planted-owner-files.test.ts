/**
 * Attack: whoever may write where an owner is about to keep their key plants a key, a token or a TLS key there that they
 * know, or a file or link of their own that the secret is then written into. A crash at the wrong moment does the same:
 * it left files that are there and empty. Spec: overview "Identities".
 * @module
 */

import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { createOwner, openOwner } from '../../cli/owner/owner-directory.ts';
import { hasCode } from '../../core/errors.ts';

const root = mkdtempSync(join(tmpdir(), 'veilgate-owner-'));
let directory: string;
let serial = 0;

beforeEach(() => {
  directory = join(root, String(serial++), 'owner');
});

after(() => rmSync(root, { recursive: true }));

const SECRET_FILES = ['owner.key', 'token', 'tls.key'] as const;
const PLANTED: Readonly<Record<(typeof SECRET_FILES)[number], Uint8Array | string>> = {
  'owner.key': new Uint8Array(32).fill(7),
  token: `${'A'.repeat(43)}\n`,
  'tls.key': 'PLANTED',
};

async function assertRefused(refused: () => unknown, why: RegExp): Promise<void> {
  await assert.rejects(
    async () => await refused(),
    (error) => {
      assert.ok(hasCode(error, 'cli.file') || hasCode(error, 'file.private'), String(error));
      assert.match(error.message, why);
      return true;
    },
  );
}

function at(name: string): string {
  return join(directory, name);
}

test('what init made is whole, for its owner alone, and is found again', async () => {
  const made = await createOwner(directory);
  const again = await createOwner(directory);
  assert.deepEqual(again.secretKey, made.secretKey);
  assert.equal(again.token, made.token);
  assert.deepEqual(again.tls.spkiSha256, made.tls.spkiSha256);
  assert.equal(lstatSync(directory).mode & 0o777, 0o700);
  for (const name of SECRET_FILES) assert.equal(lstatSync(at(name)).mode & 0o777, 0o600, name);
  assert.deepEqual(readdirSync(directory).sort(), ['owner.key', 'tls.crt', 'tls.key', 'token']);
});

test('a directory that others may write to keeps no key, whatever lies in it', async () => {
  for (const mode of [0o777, 0o1777, 0o770, 0o702]) {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    chmodSync(directory, mode);
    await assertRefused(() => createOwner(directory), /others may write/);
    assert.deepEqual(readdirSync(directory), []);
  }
});

test('a link where the directory should be is not followed', async () => {
  const theirs = join(root, 'theirs');
  mkdirSync(theirs, { recursive: true, mode: 0o700 });
  mkdirSync(join(directory, '..'), { recursive: true });
  symlinkSync(theirs, directory);
  await assertRefused(() => createOwner(directory), /link/);
  assert.deepEqual(readdirSync(theirs), []);
});

test('a secret that others may read or write is not taken for ours', async () => {
  for (const name of SECRET_FILES) {
    for (const mode of [0o644, 0o640, 0o620, 0o606]) {
      rmSync(directory, { recursive: true, force: true });
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      writeFileSync(at(name), PLANTED[name]);
      chmodSync(at(name), mode);
      await assertRefused(() => createOwner(directory), new RegExp(name));
    }
  }
});

test(
  'of somebody else, neither directory nor file is believed',
  {
    skip: process.getuid?.() !== 0 && 'only root can give files away',
  },
  async () => {
    await createOwner(directory);
    for (const name of [...SECRET_FILES, 'tls.crt']) {
      chownSync(at(name), 12_345, 12_345);
      await assertRefused(() => openOwner(directory), /belongs to somebody else/);
      chownSync(at(name), 0, 0);
    }
    chownSync(directory, 12_345, 12_345);
    await assertRefused(() => openOwner(directory), /belongs to somebody else/);
    await assertRefused(() => createOwner(directory), /belongs to somebody else/);
  },
);

test('a link where a secret should be is neither read nor written through', async () => {
  for (const name of [...SECRET_FILES, 'tls.crt']) {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const target = join(directory, '..', `target-${name}`);
    symlinkSync(target, at(name));
    await assertRefused(() => createOwner(directory), new RegExp(name));
    assert.ok(!existsSync(target), name);
    writeFileSync(target, 'theirs', { mode: 0o600 });
    await assertRefused(() => createOwner(directory), /is a link/);
  }
});

test('a file that a crash left empty or half is no key and no token, and is not kept in silence', async () => {
  for (const [name, left] of [
    ['owner.key', ''],
    ['owner.key', 'half'],
    ['token', ''],
    ['token', 'short\n'],
    ['token', `${'A'.repeat(42)} \n`],
    ['tls.key', ''],
    ['tls.crt', ''],
  ] as const) {
    rmSync(directory, { recursive: true, force: true });
    await createOwner(directory);
    writeFileSync(at(name), left);
    await assertRefused(() => createOwner(directory), new RegExp(name.replace('.', '\\.')));
    await assertRefused(() => openOwner(directory), new RegExp(name.replace('.', '\\.')));
    assert.equal(readFileSync(at(name), 'utf8'), left, 'nothing is thrown away');
  }
});

test('a TLS key that does not belong to its certificate is refused before anybody pins it', async () => {
  await createOwner(directory);
  await createOwner(`${directory}-other`);
  writeFileSync(at('tls.key'), readFileSync(join(`${directory}-other`, 'tls.key')));
  await assertRefused(() => openOwner(directory), /tls/);
});
