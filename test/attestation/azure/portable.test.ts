/** The same results on the noble primitives, as in a browser. @module */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const FILES = ['test/attestation/azure/checks.test.ts'];

test('results are the same with `-C portable`', () => {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const run = spawnSync(process.execPath, ['-C', 'portable', '--test', ...FILES], {
    env: { ...env, SLOW: '0' },
  });
  assert.equal(run.status, 0, run.stdout.toString());
  const passed = Number(/pass (\d+)/.exec(run.stdout.toString())?.[1]);
  assert.ok(passed >= 164, `${passed} tests ran`);
});
