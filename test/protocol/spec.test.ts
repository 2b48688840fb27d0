/** docs/protocol.md and the code agree: every cited section exists, every error and limit is written down. @module */

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { declaredErrors } from '../../core/errors.ts';
import { sxError } from '../../protocol/sx/errors.ts';
import * as limits from '../../protocol/sx/limits.ts';
import { RECEIPT_BYTES, VGR1_BYTES } from '../../protocol/receipt.ts';

const SPEC = readFileSync('docs/protocol.md', 'utf8');
const SECTIONS = new Set([...SPEC.matchAll(/^##+ (\d+(?:\.\d+)?)/gm)].map((match) => match[1]));

test('every section that code cites exists', () => {
  const files = globSync('{protocol,settlement,client,gateway,enclave-worker,test}/**/*.ts');
  const missing = files.flatMap((path) =>
    [...readFileSync(path, 'utf8').matchAll(/P§(\d+(?:\.\d+)?)/g)]
      .filter((match) => !SECTIONS.has(match[1]))
      .map((match) => `${path}: ${match[0]}`),
  );
  assert.deepEqual(missing, []);
});

test('the error table has every code, with its status where one goes over the wire', () => {
  assert.equal(sxError('sx.refused').spec.status, 400);
  const rows = SPEC.slice(SPEC.indexOf('## 11. Errors'), SPEC.indexOf('## 12.')).split('\n');
  for (const [code, spec] of declaredErrors()) {
    if (!code.startsWith('sx.')) continue;
    const row = rows.find((line) => line.includes('`' + code + '`'));
    assert.ok(row !== undefined, code);
    const [, , status = ''] = row.split('|').map((cell) => cell.trim());
    if (status !== '–') assert.equal(Number(status), spec.status, code);
  }
});

test('the limits of the specification are those of the code', () => {
  const written = SPEC.replaceAll(/(?<=\d) (?=\d{3}\b)/g, '');
  for (const value of [
    limits.REQUEST_WIRE_MAX_BYTES,
    limits.REQUEST_FRAMES_MAX,
    limits.INNER_REQUEST_MAX_BYTES,
    limits.FRAME_PLAINTEXT_MAX_BYTES,
    limits.RESPONSE_WIRE_MAX_BYTES,
    limits.RESPONSE_FRAMES_MAX,
    limits.RESPONSE_PAD_FRAMES_MAX,
    limits.RESPONSE_KEEPALIVE_FRAMES_MAX,
    limits.REPLAY_ENTRIES_MAX,
    limits.TRAILER_MAX_BYTES,
    limits.DEADLINE_MAX_MS,
    RECEIPT_BYTES,
    VGR1_BYTES,
  ]) {
    assert.match(written, new RegExp(`\\b${value}\\b`), String(value));
  }
});
