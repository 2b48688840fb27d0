/** What happens when nobody reads on. @module */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

const TERMINAL = new URL('../../../core/node/terminal.ts', import.meta.url).href;
const PROGRAM = `
import * as terminal from ${JSON.stringify(TERMINAL)};
terminal.endWhenPipeCloses();
const write = () => { terminal.outputLine('x'.repeat(65536)); setImmediate(write); };
write();
`;

test('a reader that goes away ends the program without a word, by the status of SIGPIPE', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const errors: string[] = [];
  child.stderr.on('data', (chunk) => errors.push(String(chunk)));
  child.stdout.once('data', () => child.stdout.destroy());
  const [status]: unknown[] = await once(child, 'close');
  assert.equal(errors.join(''), '');
  assert.equal(status, 141);
});
