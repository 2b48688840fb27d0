/** Who may go on with whose prompts: the secret inside the seal, and nothing else. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cacheNamespaceOf } from '../../enclave-worker/cache-namespace.ts';

const SALT = 'a'.repeat(22);

function namespace(salt: string | undefined, key?: string): string | undefined {
  const salted = salt === undefined ? [] : [['sx-cache-salt', salt] as const];
  return cacheNamespaceOf({ headers: [['content-type', 'application/json'], ...salted] }, key);
}

test('without a salt there is no namespace, whatever the key', () => {
  assert.equal(namespace(undefined), undefined);
  assert.equal(namespace(undefined, 'a key'), undefined);
});

test('a salt that could be guessed is none', () => {
  assert.equal(namespace('a'.repeat(21)), undefined);
  assert.match(namespace(SALT) ?? '', /^[0-9a-f]{64}$/);
});

test('another salt or another key is another namespace, and a key cannot become part of a salt', () => {
  const all = [
    namespace(SALT),
    namespace(`${SALT}b`),
    namespace(SALT, ''),
    namespace(SALT, 'b'),
    namespace(SALT, 'bb'),
    namespace(`${SALT}b`, 'b'),
  ];
  assert.equal(new Set(all).size, all.length);
  assert.equal(namespace(SALT, 'b'), namespace(SALT, 'b'));
});
