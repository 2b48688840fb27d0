/** The same verdicts on the noble primitives, as in a browser. SLOW=1: every case instead of those with signatures. @module */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const SLOW = process.env['SLOW'] === '1';
const SIGNATURES = String.raw`^(report\.signature|chain\.(signatures|algorithms)|crl\.signature|bind\.signerKind)\b`;
const SOUND = 'of (Milan|Genoa|Turin), bare|with the other s|cut up and put together';
const FILES = [
  'test/attestation/snp/accepts.test.ts',
  'test/attestation/snp/checks.test.ts',
  'test/attestation/snp/robustness.test.ts',
];

test('verdicts are the same with `-C portable`', () => {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const narrowed = SLOW ? [] : [`--test-name-pattern=${SIGNATURES}|${SOUND}`];
  const run = spawnSync(process.execPath, ['-C', 'portable', '--test', ...narrowed, ...FILES], {
    env: { ...env, SLOW: '0' },
  });
  assert.equal(run.status, 0, run.stdout.toString());
  const passed = Number(/pass (\d+)/.exec(run.stdout.toString())?.[1]);
  assert.ok(passed >= 80, `${passed} tests ran`);
});
