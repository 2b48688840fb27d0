/** The exit codes that the wrappers name are those that the contracts throw. @module */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  ANCHOR_EXIT,
  CHANNEL_EXIT,
  JETTON_EXIT,
  REGISTRY_EXIT,
} from '../../../settlement/ton/contracts/exit-codes.ts';

const TABLES = [
  ['pay-channel', CHANNEL_EXIT],
  ['jetton-pay-channel', JETTON_EXIT],
  ['policy-registry', REGISTRY_EXIT],
  ['ledger-anchor', ANCHOR_EXIT],
] as const;

function camel(name: string): string {
  return name.toLowerCase().replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

for (const [folder, table] of TABLES) {
  test(`the exit codes of ${folder}`, () => {
    const text = readFileSync(`settlement/ton/contracts/${folder}/errors.tolk`, 'utf8');
    const written = [...text.matchAll(/^const ERR_(\w+) = (\d+)\b/gm)].map(
      ([, name = '', code]) => [camel(name), Number(code)],
    );
    assert.deepEqual(Object.fromEntries(written), table);
  });
}
