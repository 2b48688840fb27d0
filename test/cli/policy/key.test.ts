/** `veilgate policy key`: secrets lie in files of their owner's, and nowhere else. @module */

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { done, report, run } from '../../support/commands.ts';

const folder = mkdtempSync(join(tmpdir(), 'veilgate-key-'));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);

test('a new key: the secret for its owner alone, the public part to hand over, never over what is there', async () => {
  const made = await report('policy', 'key', 'new', '--name', 'alice', '--out', at('alice.key'));
  assert.equal(statSync(at('alice.key')).mode & 0o777, 0o600);
  const secret = readFileSync(at('alice.key'), 'utf8');
  const [, , seed = ''] = secret.trim().split(' ');
  const shown = await done('policy', 'key', 'show', at('alice.key'));
  const fromPublic = await report('policy', 'key', 'show', at('alice.pub'));
  assert.equal(fromPublic['keyid'], made['keyid']);
  assert.match(shown.stdout, new RegExp(String(made['keyid'])));
  for (const text of [shown.stdout, JSON.stringify(made), readFileSync(at('alice.pub'), 'utf8')]) {
    assert.equal(text.includes(seed), false);
  }
  const again = await run('policy', 'key', 'new', '--name', 'alice', '--out', at('alice.key'));
  assert.equal(again.status, 3);
  assert.match(again.stderr, /is there already and stays\nnext: take another --out/);
  assert.equal(readFileSync(at('alice.key'), 'utf8'), secret);
});

test('a key that others can read is not used', async () => {
  await done('policy', 'key', 'new', '--name', 'bob', '--out', at('bob.key'));
  chmodSync(at('bob.key'), 0o644);
  const { status, stderr } = await run('policy', 'key', 'show', at('bob.key'));
  assert.equal(status, 3);
  assert.match(stderr, /others may read or write it/);
});

test('what is no key, and no name', async () => {
  writeFileSync(at('other.key'), 'hello', { mode: 0o600 });
  assert.equal((await run('policy', 'key', 'show', at('other.key'))).status, 3);
  assert.equal((await run('policy', 'key', 'show', at('absent.key'))).status, 3);
  const name = await run('policy', 'key', 'new', '--name', 'Al ice', '--out', at('x.key'));
  assert.equal(name.status, 2);
  assert.equal((await run('policy', 'key', 'new')).status, 2);
});
