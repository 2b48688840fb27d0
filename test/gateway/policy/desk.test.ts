/** Which policy holds for whom, and when nobody may be served. @module */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { sha256 } from '#primitives';
import { utf8 } from '../../../core/bytes.ts';
import type { Json } from '../../../core/json.ts';
import { NO_REVOCATIONS } from '../../../attestation/policy/revocations.ts';
import { z } from 'zod';
import { PolicyDesk, type RevocationState } from '../../../gateway/policy/desk.ts';
import { Publisher } from '../../support/publisher.ts';

const directory = mkdtempSync(join(tmpdir(), 'veilgate-desk-'));
after(() => rmSync(directory, { recursive: true }));
const publisher = new Publisher(directory, [sha256(utf8('no root'))]);

function policyWith(age: Json) {
  return publisher.policy((document) => {
    const limits = z.record(z.string(), z.json()).parse(document['limits']);
    document['limits'] = { ...limits, revocation_age: age };
  });
}

const ANY = { any: true, note: 'for a test' };
const MINUTE = { gateway: '60s', client: '5m' };
const SECOND = { gateway: '1s', client: '5m' };

/** Word that is this old. */
function wordOf(ageMs: number, isRetired = false): RevocationState {
  return {
    list: NO_REVOCATIONS,
    isRetired: () => isRetired,
    staleBecause: (maxAgeMs) => (ageMs < maxAgeMs ? undefined : 'stale'),
  };
}

test('word older than the policy allows serves nobody, unless the policy waives it', () => {
  const old = wordOf(60_000);
  assert.equal(new PolicyDesk({ current: policyWith(MINUTE) }, old).staleBecause(0), 'stale');
  assert.equal(new PolicyDesk({ current: policyWith(ANY) }, old).staleBecause(0), undefined);
  const young = wordOf(59_999);
  assert.equal(new PolicyDesk({ current: policyWith(MINUTE) }, young).staleBecause(0), undefined);
});

test('a policy that a new root retired serves nobody, whatever it says about the age of word', () => {
  const desk = new PolicyDesk({ current: policyWith(ANY) }, wordOf(0, true));
  assert.equal(desk.staleBecause(0), 'retired');
  assert.throws(() => desk.assertFresh(0), /gateway.policy_stale/);
});

test('workers of a canary are held to the limit of the candidate, and the others are not', () => {
  const candidate = policyWith(SECOND);
  const current = policyWith(MINUTE);
  const desk = new PolicyDesk(
    { current, candidate: { policy: candidate, share: 50 } },
    wordOf(2000),
  );
  assert.equal(desk.staleBecause(0), undefined);
  assert.equal(desk.staleBecause(0, current), undefined);
  assert.equal(desk.staleBecause(0, candidate), 'stale');
  const drawn = new Set<string | undefined>();
  for (let at = 0; at < 64; at++) {
    const policy = desk.policyFor(sha256(Uint8Array.of(at)));
    drawn.add(desk.staleBecause(0, policy));
  }
  assert.deepEqual(drawn, new Set(['stale', undefined]));
});
