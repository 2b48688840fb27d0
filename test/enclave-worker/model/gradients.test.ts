/** Every gradient that the trainer computes by hand, held against differences of losses in double precision. @module */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { compileTrainer, findCompiler } from '../../../enclave-worker/model/trainer/compile.ts';

const MATRICES = [
  'embedding',
  'output_norm',
  'attention_norm',
  'query',
  'key',
  'value',
  'attention_output',
  'feed_forward_norm',
  'gate',
  'up',
  'down',
];
/** Differences over 1e-5 in double precision are this good; a wrong gradient is off by a tenth and more. */
const APART_MAX = 1e-4;

test('every gradient is the slope of the loss', async (context) => {
  const compiler = await findCompiler();
  if (compiler === undefined) {
    context.skip('no C compiler here: cc, gcc or clang');
    return;
  }
  const directory = await mkdtemp(join(tmpdir(), 'veilgate-gradients-'));
  try {
    const program = await compileTrainer(compiler, 'check-gradients', directory);
    const { stdout } = await promisify(execFile)(program);
    const lines = stdout.trim().split('\n');
    assert.deepEqual(
      lines.map((line) => line.split(' ')[0]),
      MATRICES,
    );
    for (const line of lines) {
      const [, apart = '', compared = ''] = line.split(' ');
      assert.ok(Number(apart) < APART_MAX && Number(compared) >= 40, line);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});
