/** `veilgate devnet` as a person and as a program starts it. @module */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { z } from 'zod';

const FACTS = z.strictObject({
  endpoint: z.url(),
  control: z.url(),
  port: z.int(),
  network: z.literal('devnet'),
  globalId: z.literal(-217),
});

test('with --json it says where it is, works, and ends at once when asked', async () => {
  const child = spawn(process.execPath, ['cli/veilgate.ts', 'devnet', '--port', '0', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [line] = await once(child.stdout, 'data');
    const facts = FACTS.parse(JSON.parse(String(line)));
    const status = await fetch(`${facts.control}/status`);
    assert.equal(status.status, 200);
    await status.body?.cancel();
  } finally {
    child.kill('SIGTERM');
  }
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
});

test('wrong options are wrong usage', () => {
  for (const words of [
    ['--port', '70000'],
    ['--block-time', '-1'],
    ['--port', '1e3'],
  ]) {
    const { status } = spawnSync(process.execPath, ['cli/veilgate.ts', 'devnet', ...words]);
    assert.equal(status, 2, words.join(' '));
  }
});
