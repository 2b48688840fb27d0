/**
 * Writes the generated files, or with `--check` says which are stale. `npm run generate` after changing their source.
 * @module
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { generatedFiles } from './generated.ts';

function current(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // not written yet
  }
}

const isCheck = process.argv.includes('--check');
const stale = (await generatedFiles()).filter(({ path, text }) => current(path) !== text);
for (const { path, text } of stale) {
  if (isCheck) {
    process.stdout.write(`${path} is stale: npm run generate\n`);
    continue;
  }
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  process.stdout.write(`wrote ${path}\n`);
}
if (isCheck && stale.length > 0) process.exitCode = 1;
