/** The client runs where there is no Node: nothing it loads at once may need one. @module */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

const ALLOWED_PACKAGES = [/^zod$/, /^yaml$/, /^#primitives$/];

/** Static imports alone: a dynamic one is loaded only where it is reached. */
function staticImports(path: string): readonly string[] {
  const text = readFileSync(path, 'utf8');
  return [...text.matchAll(/^(?:import|export)\s(?!type\b)[^;]*?from '([^']+)';/gms)].map(
    (match) => match[1] ?? '',
  );
}

function reachable(entry: string): ReadonlySet<string> {
  const seen = new Set<string>();
  const queue = [entry];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    if (!existsSync(path)) continue;
    for (const target of staticImports(path)) {
      queue.push(target.startsWith('.') ? normalize(join(dirname(path), target)) : target);
    }
  }
  return seen;
}

test('nothing that client/index.ts loads is a node: module or a Node-only file', () => {
  const seen = [...reachable('client/index.ts')];
  assert.ok(seen.includes('client/sealed-fetch.ts') && seen.includes('protocol/sx/seal.ts'));
  const foreign = seen.filter(
    (name) => !name.endsWith('.ts') && !ALLOWED_PACKAGES.some((allowed) => allowed.test(name)),
  );
  assert.deepEqual(foreign, []);
  assert.deepEqual(
    seen.filter((name) => name.startsWith('core/node/') || name.startsWith('client/node/')),
    [],
  );
});

test('no file of the client uses a global that only Node has', () => {
  for (const path of reachable('client/index.ts')) {
    if (!path.startsWith('client/')) continue;
    const text = readFileSync(path, 'utf8');
    assert.doesNotMatch(text, /\b(Buffer|process|setImmediate|require|__dirname)\b[.(]/, path);
  }
});
