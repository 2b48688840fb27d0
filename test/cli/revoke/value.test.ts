/** A revocation that takes nothing away is not passed over in silence. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { remarksOn } from '../../../cli/revoke/value.ts';
import {
  accepted,
  blankReader,
  bundlesOf,
  makeRelease,
  named,
  policyOf,
} from '../../support/publication.ts';
import { TEST_IMAGE } from '../../support/worker-evidence.ts';

const MEASUREMENT = 'ab'.repeat(48);
const ID_KEY = 'cd'.repeat(48);
const ZERO = '00'.repeat(48);

function holding(overrides: Parameters<typeof policyOf>[1]) {
  const policy = policyOf(1, overrides);
  const release = makeRelease({ current: named(policy) });
  return accepted(blankReader(), { release, bundles: bundlesOf([policy]) });
}

test('only what a verdict names as measured counts as known', () => {
  const tuple = { shape: 's', host_data: 'zero', measurement: MEASUREMENT, id_key_digest: ID_KEY };
  const state = holding({ images: [{ ...TEST_IMAGE, snp: [tuple] }] });
  const unknown = ['no published policy grants this measurement'];
  assert.deepEqual(remarksOn('measurement', MEASUREMENT, state), []);
  assert.deepEqual(remarksOn('measurement', ID_KEY, state), unknown);
  assert.deepEqual(remarksOn('measurement', ZERO, state), unknown);
});
