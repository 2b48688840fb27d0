/** The generated files are what their sources make. @module */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { generatedFiles } from './generated.ts';

test('generated files are fresh', async () => {
  for (const { path, text } of await generatedFiles()) {
    assert.ok(readFileSync(path, 'utf8') === text, `${path} is stale: npm run generate`);
  }
});
