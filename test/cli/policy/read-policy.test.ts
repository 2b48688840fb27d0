/** A policy from a file or a directory: everything counts or is refused by name. @module */

import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '#primitives';
import { readPolicy, readPolicyFiles } from '../../../cli/policy/read-policy.ts';
import { utf8 } from '../../../core/bytes.ts';
import { VeilError } from '../../../core/errors.ts';
import { TEST_IMAGE, compileDocument, testPolicyDocument } from '../../support/worker-evidence.ts';
import { policyFolder, type PolicyFolder } from '../../support/policy-files.ts';

const WHOLE = testPolicyDocument(sha256(utf8('root')));

/** The test policy with its image in a file of its own. */
function split(folder: PolicyFolder): void {
  folder.write('policy.yaml', JSON.stringify({ ...WHOLE, images: [] }));
  folder.write('images/test.yaml', JSON.stringify(TEST_IMAGE));
}

function refusal(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    assert.ok(error instanceof VeilError && error.code === 'cli.file', String(error));
    return error.message;
  }
  return assert.fail('was read');
}

test('a directory compiles to what one file with the same content compiles to', () => {
  using folder = policyFolder();
  split(folder);
  folder.write('README.md', 'for people');
  folder.write('policy-1.schema.json', '{}');
  folder.write('.gitignore', 'x');
  folder.write('images/README.md', 'for people');
  folder.write('images/.keep', '');
  assert.deepEqual(readPolicy(folder.path).digest, compileDocument(WHOLE).digest);
  const names = readPolicyFiles(folder.path).map(({ name }) => name);
  assert.deepEqual(names, ['policy.yaml', 'images/test.yaml']);
});

test('a line of a split file is named with its folder', () => {
  using folder = policyFolder();
  split(folder);
  assert.equal(readPolicy(folder.path).at('images', 0), 'images/test.yaml:1');
});

for (const [what, name] of [
  ['a folder whose name is mistyped', 'image/new.yaml'],
  ['a second policy', 'policy.yml'],
  ['a list that stands beside its folder', 'hosts.yaml'],
  ['an entry that an editor kept', 'images/new.yaml~'],
  ['an entry whose ending is mistyped', 'images/new.yam'],
  ['a folder inside a folder', 'images/old/new.yaml'],
  ['a folder for a member that is no list', 'limits/x.yaml'],
] as const) {
  test(`${what} is refused by name`, () => {
    using folder = policyFolder();
    split(folder);
    folder.write(name, JSON.stringify(TEST_IMAGE));
    const [top = '', entry = ''] = name.split('/');
    assert.ok(
      refusal(() => readPolicy(folder.path)).includes(
        join(top, top === 'images' ? entry : '').replace(/\/$/, ''),
      ),
    );
  });
}

test('symbolic links are refused: nobody reviewed what they point at', () => {
  using elsewhere = policyFolder();
  const target = elsewhere.write('image.yaml', JSON.stringify(TEST_IMAGE));
  for (const link of ['images/new.yaml', 'policy.yaml', 'hosts']) {
    using folder = policyFolder();
    if (link === 'policy.yaml') folder.write('README.md', '');
    else split(folder);
    symlinkSync(link === 'hosts' ? elsewhere.path : target, join(folder.path, link));
    assert.match(
      refusal(() => readPolicy(folder.path)),
      /is a symbolic link/,
    );
  }
});

test('a directory without policy.yaml is no policy', () => {
  using folder = policyFolder();
  folder.write('images/test.yaml', '');
  assert.match(
    refusal(() => readPolicy(folder.path)),
    /holds no policy\.yaml/,
  );
});

test('too many files, too large a file and too much altogether are refused', () => {
  using many = policyFolder();
  split(many);
  for (let n = 0; n < 1024; n++) many.write(`models/${n}.yaml`, '');
  assert.match(
    refusal(() => readPolicyFiles(many.path)),
    /over 1024 files/,
  );

  using large = policyFolder();
  split(large);
  large.write('models/a.yaml', ' '.repeat(262_145));
  assert.match(
    refusal(() => readPolicyFiles(large.path)),
    /models\/a\.yaml has over 262144 bytes/,
  );

  using heavy = policyFolder();
  split(heavy);
  for (let n = 0; n < 8; n++) heavy.write(`models/${n}.yaml`, ' '.repeat(262_144));
  assert.match(
    refusal(() => readPolicyFiles(heavy.path)),
    /over 2097152 bytes/,
  );
});

test('an entry file that holds only comments does not pass for no entry', () => {
  using folder = policyFolder();
  split(folder);
  folder.write('images/z.yaml', '# to be written\n');
  assert.throws(
    () => readPolicy(folder.path),
    (error) => error instanceof VeilError && error.message.includes('images/z.yaml:1: images.1'),
  );
});

test('a path that leads nowhere is said to', () => {
  assert.match(
    refusal(() => readPolicy('/nowhere/policy.yaml')),
    /there is no such file/,
  );
});
