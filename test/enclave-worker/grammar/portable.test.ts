/** The compiler knows no engine and no Node: whoever holds a schema may check it before it is sent. @module */

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const FILES = globSync('enclave-worker/grammar/*.ts');
const ALLOWED =
  /^(\.\/[a-z-]+\.ts|\.\.\/\.\.\/(core|protocol)\/(?!node\/)[a-z/-]+\.ts|#primitives)$/;

test('enclave-worker/grammar imports itself, core and protocol, and nothing else', () => {
  assert.ok(FILES.length > 20);
  const imports = FILES.flatMap((path) =>
    [...readFileSync(path, 'utf8').matchAll(/\bfrom '([^']+)'/g)].map(([, name = '']) => name),
  );
  assert.ok(imports.includes('#primitives'));
  assert.deepEqual(
    imports.filter((name) => !ALLOWED.test(name)),
    [],
  );
});

test('no global that only Node has is used', () => {
  for (const path of FILES) {
    const text = readFileSync(path, 'utf8');
    assert.doesNotMatch(text, /\b(Buffer|process|setImmediate|require|__dirname)\b[.(]/, path);
  }
});
