/**
 * Attack: a configuration that somebody else wrote, with a name in it that is made of terminal commands and of a whole
 * log line. The refusal names the unknown member, and its words went to the terminal, and into the log, as they were.
 * @module
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { printable } from '../../core/node/terminal.ts';

const FORGED = '{"level":30,"part":"worker","event":"worker.registered"}';
const NAME = `a\u001b]0;owned\u0007\u001b[2J\u009b1m\u202e\u2028\n${FORGED}`;

function repositoryPath(name: string): string {
  return fileURLToPath(new URL(`../../${name}`, import.meta.url));
}

test('no name in a configuration moves a cursor or writes a line of its own', () => {
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-escapes-'));
  try {
    const configFile = join(folder, 'config.json');
    writeFileSync(configFile, JSON.stringify({ [NAME]: 1 }));
    for (const main of ['enclave-worker/main.ts', 'gateway/main.ts']) {
      const { stderr, status } = spawnSync(
        process.execPath,
        [repositoryPath(main), '--config', configFile],
        { encoding: 'utf8', env: {}, timeout: 60_000 },
      );
      assert.equal(status, 1, main);
      assert.match(stderr, /config\.invalid/, main);
      const lines = stderr.trimEnd().split('\n');
      for (const line of lines) assert.doesNotMatch(line, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u, main);
      assert.ok(!lines.includes(FORGED), main);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the command says nothing raw either', () => {
  const path = `/nowhere/\u001b[2J\n${FORGED}`;
  const { stderr, status } = spawnSync(
    process.execPath,
    [repositoryPath('cli/veilgate.ts'), 'owner', 'serve', path, '--card', path],
    { encoding: 'utf8', env: {}, timeout: 60_000 },
  );
  assert.equal(status, 1);
  assert.match(stderr, /cli\.file/);
  assert.doesNotMatch(stderr.trimEnd(), /[\p{Cc}\p{Cf}]/u);
});

test('what is printable stays as it is', () => {
  assert.equal(printable('a – “b” ü 中 🙂'), 'a – “b” ü 中 🙂');
  assert.equal(printable(NAME).includes('\n'), false);
});
