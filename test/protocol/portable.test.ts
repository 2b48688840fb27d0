/** The same exchange on the noble primitives, as in a browser. @module */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const FILES = ['test/protocol/hpke.test.ts', 'test/protocol/sx/exchange.test.ts'];

test('the exchange and the HPKE vectors pass with `-C portable`', () => {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const print = "import('#primitives').then((side) => process.stdout.write(side.PRIMITIVES))";
  const side = spawnSync(process.execPath, ['-C', 'portable', '-e', print], { env });
  assert.equal(side.stdout.toString(), 'noble');
  const run = spawnSync(process.execPath, ['-C', 'portable', '--test', ...FILES], { env });
  assert.equal(run.status, 0, run.stdout.toString());
  assert.match(run.stdout.toString(), /pass [1-9]/);
});
