/** Whose key is still good, and under which of two policies. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#primitives';
import { utf8 } from '../../core/bytes.ts';
import { policyFor, stillTrusted, type Trust } from '../../client/trust.ts';
import { inCanary } from '../../attestation/publication/release.ts';
import { policyOf } from '../support/publication.ts';
import { testWorker } from '../support/attested-key.ts';

const CURRENT = policyOf(1);
const CANDIDATE = policyOf(2);
const SHARE = 30;
const WORKERS = Array.from({ length: 64 }, (_, at) => sha256(utf8(`worker ${at}`)));

function trusted(share: number): Trust {
  const revocations = { waived: 'for a test', by: 'the test' };
  return { policy: CURRENT, candidate: { policy: CANDIDATE, share }, revocations };
}

test('a candidate is in force for the workers that gateways draw, and for no others', () => {
  const drawn = WORKERS.filter((id) => inCanary(CANDIDATE.digest, id, SHARE));
  assert.ok(drawn.length > 0 && drawn.length < WORKERS.length);
  for (const id of WORKERS) {
    const want = drawn.includes(id) ? CANDIDATE : CURRENT;
    assert.equal(policyFor(trusted(SHARE), id), want);
    assert.equal(policyFor(trusted(0), id), CURRENT);
  }
});

test('a key lives under the policy that is in force for its worker, and no longer', () => {
  for (const workerId of WORKERS) {
    const isDrawn = inCanary(CANDIDATE.digest, workerId, SHARE);
    for (const policy of [CURRENT, CANDIDATE]) {
      const { key } = testWorker('X25519', { workerId, policyDigest: policy.digest });
      const want = isDrawn === (policy === CANDIDATE);
      assert.equal(stillTrusted(trusted(SHARE), key, []), want);
    }
  }
});
