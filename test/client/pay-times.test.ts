/** How long a client waits for word of a request, beside how long a gateway may have one to give. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADMISSION_MS, STRANDED_MS } from '../../client/limits.ts';
import {
  RECOVERY_INTERVAL_MS,
  RECOVERY_UNHEARD_MS,
  RESERVATION_SKEW_MS,
} from '../../gateway/limits.ts';
import { CLOCK_SKEW_MAX_MS, DEADLINE_MAX_MS, TTL_MAX_S } from '../../protocol/sx/limits.ts';

test('a request that a gateway still charges after a crash is not forgotten here before', () => {
  const lasts = Math.max(DEADLINE_MAX_MS, TTL_MAX_S * 1000);
  const held = lasts + RESERVATION_SKEW_MS + RECOVERY_UNHEARD_MS + RECOVERY_INTERVAL_MS;
  assert.ok(STRANDED_MS >= held + CLOCK_SKEW_MAX_MS);
});

test('a request that a gateway still admits is not taken for one that it never will', () => {
  assert.ok(ADMISSION_MS >= TTL_MAX_S * 1000 + CLOCK_SKEW_MAX_MS);
});
