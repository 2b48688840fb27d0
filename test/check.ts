/** `npm run check`: format, types on both sides of #primitives, lint, generated files, tests. @module */

import { spawnSync } from 'node:child_process';

interface Step {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

const BIN = 'node_modules/.bin';
const STEPS: readonly Step[] = [
  { name: 'format', command: `${BIN}/oxfmt`, args: ['--check', '.'] },
  { name: 'types', command: `${BIN}/tsc`, args: ['-p', 'tsconfig.json'] },
  { name: 'types (portable)', command: `${BIN}/tsc`, args: ['-p', 'tsconfig.portable.json'] },
  { name: 'lint', command: `${BIN}/oxlint`, args: ['--type-aware', '--deny-warnings'] },
  { name: 'generated files', command: process.execPath, args: ['test/generate.ts', '--check'] },
  { name: 'tests', command: process.execPath, args: ['test/run.ts'] },
];

const failed: string[] = [];
for (const step of STEPS) {
  const startedMs = performance.now();
  const result = spawnSync(step.command, step.args, { stdio: 'inherit' });
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  process.stdout.write(`${result.status === 0 ? 'ok  ' : 'FAIL'} ${step.name} (${seconds} s)\n`);
  if (result.status !== 0) failed.push(step.name);
}
if (failed.length > 0) {
  process.stdout.write(`failed: ${failed.join(', ')}\n`);
  process.exitCode = 1;
}
