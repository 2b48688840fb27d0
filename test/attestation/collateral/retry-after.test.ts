/** How long a server asks us to wait, in both forms, and never longer than we allow. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { retryAfterMs } from '../../../attestation/collateral/retry-after.ts';

const NOW = Date.UTC(2026, 5, 15, 12);
const HOUR_MS = 3_600_000;

test('seconds and dates are understood', () => {
  assert.equal(retryAfterMs('120', NOW), 120_000);
  assert.equal(retryAfterMs(' 0 ', NOW), 0);
  assert.equal(retryAfterMs('Mon, 15 Jun 2026 12:00:30 GMT', NOW), 30_000);
});

test('a server cannot silence itself for longer than an hour', () => {
  assert.equal(retryAfterMs('9999999999', NOW), HOUR_MS);
  assert.equal(retryAfterMs('Tue, 15 Jun 2066 12:00:30 GMT', NOW), HOUR_MS);
});

test('what is past, absent or not understood asks for nothing', () => {
  for (const value of [
    undefined,
    ['5'],
    '',
    '-5',
    '1.5',
    '99999999999',
    'soon',
    'Mon, 15 Jun 2026 11:00:00 GMT',
    'Mon, 15 nuJ 2026 12:00:30 GMT',
    'Mon, 15 anF 2026 12:00:30 GMT',
    '2026-06-15T12:00:30Z',
  ]) {
    assert.equal(retryAfterMs(value, NOW), 0, String(value));
  }
});
