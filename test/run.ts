/** `npm test`: every test file, on the Node of the lock. Arguments narrow it: `npm test -- test/protocol`. @module */

import { spawn } from 'node:child_process';
import { globSync, statSync } from 'node:fs';

const NODE_MAJOR_MIN = 24;
const CONCURRENCY = 2;
const PATTERNS = ['**/*.test.ts', '**/*.contract.ts'];

function filesUnder(path: string): readonly string[] {
  if (statSync(path).isFile()) return [path];
  return PATTERNS.flatMap((pattern) => globSync(`${path}/${pattern}`)).sort();
}

if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR_MIN) {
  throw new Error(
    `tests need Node ${NODE_MAJOR_MIN}; run them through npm (found ${process.version})`,
  );
}
const asked = process.argv.slice(2);
const files = (asked.length === 0 ? ['test'] : asked).flatMap(filesUnder);
if (files.length === 0) throw new Error('no test files found');
const child = spawn(
  process.execPath,
  ['--test', `--test-concurrency=${CONCURRENCY}`, '--test-timeout=180000', ...files],
  { stdio: 'inherit' },
);
child.on('exit', (code, signal) => {
  process.exitCode = signal === null ? (code ?? 1) : 1;
});
