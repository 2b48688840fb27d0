/**
 * The disk under the gateway's store, or anything else in it, does not come back and does not notice that nobody waits.
 * A registration must end all the same, and so must the round in which every worker is judged anew: behind a round that
 * never ends, a revoked worker stays for ever.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EvidenceBundle } from '../../attestation/evidence.ts';
import { hasCode } from '../../core/errors.ts';
import { vouchingBy } from '../../gateway/workers/vouching.ts';

const NOTHING = new Uint8Array(0);
const BUNDLE: EvidenceBundle = {
  tee: 'snp',
  statement: NOTHING,
  quote: NOTHING,
  card: NOTHING,
  endorsements: {},
};

test('vouching ends when its time is over, whatever the store does', async () => {
  const stuck = { endorse: () => Promise.withResolvers<never>().promise };
  const { vouch } = vouchingBy(stuck, () => 0);
  const leaving = new AbortController();
  const vouching = vouch(BUNDLE, leaving.signal);
  leaving.abort();
  await assert.rejects(vouching, (error) => hasCode(error, 'registration.collateral'));
  // Also where it was over before it began.
  await assert.rejects(vouch(BUNDLE, leaving.signal), (error) =>
    hasCode(error, 'registration.collateral'),
  );
});
