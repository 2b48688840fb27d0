/**
 * The file in which a client keeps what it accepted: one form, and nothing of it is echoed when it is another.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  encodePolicyMemory,
  parsePolicyMemory,
  type PolicyMemory,
} from '../../../attestation/publication/policy-memory.ts';
import { utf8 } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';

const ACCEPTED: PolicyMemory['accepted'][number] = {
  document: 'release',
  number: 7,
  digest: `sha256:${'ab'.repeat(32)}`,
  at: '2026-06-15T12:00:00Z',
};
const MEMORY: PolicyMemory = {
  format: 'veilgate.policy-memory/1',
  policy: 'production',
  accepted: [ACCEPTED],
};

test('what was written is read', () => {
  assert.deepEqual({ ...parsePolicyMemory(utf8(encodePolicyMemory(MEMORY))) }, MEMORY);
  const empty = { ...MEMORY, accepted: [] };
  assert.deepEqual({ ...parsePolicyMemory(utf8(encodePolicyMemory(empty))) }, empty);
});

test('each member has one form, and the refusal names the member alone', () => {
  const canary = 'canary-5417';
  const rows: readonly (readonly [memory: object, where: RegExp])[] = [
    [{ ...MEMORY, format: canary }, /format$/],
    [{ ...MEMORY, policy: `${canary} ` }, /policy$/],
    [{ ...MEMORY, [canary]: 1 }, /the document$/],
    [{ ...MEMORY, accepted: [{ ...ACCEPTED, document: canary }] }, /accepted\.0\.document$/],
    [{ ...MEMORY, accepted: [{ ...ACCEPTED, number: 0 }] }, /accepted\.0\.number$/],
    [{ ...MEMORY, accepted: [{ ...ACCEPTED, digest: canary }] }, /accepted\.0\.digest$/],
    [{ ...MEMORY, accepted: [{ ...ACCEPTED, at: '2026-02-30T12:00:00Z' }] }, /accepted\.0\.at$/],
    [{ ...MEMORY, accepted: Array.from({ length: 32_769 }, () => ACCEPTED) }, /accepted$/],
    [[], /the document$/],
  ];
  for (const [memory, where] of rows) {
    assert.throws(
      () => parsePolicyMemory(utf8(JSON.stringify(memory))),
      (error: unknown) =>
        hasCode(error, 'policy_memory.malformed') &&
        where.test(error.message) &&
        !error.message.includes(canary),
      String(where),
    );
  }
});
