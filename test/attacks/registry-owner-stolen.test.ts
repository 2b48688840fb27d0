/**
 * Somebody has the key of a policy registry's owner and wants a machine of its own to read prompts. What it adds stands in
 * the open for two days before it counts, and the guardian takes it away meanwhile; what it takes away is gone at once, which
 * stops service and lets nobody read.
 * Spec: ton-settlement §4.9, §4.12 (registry owner key → clients: visible for 48 h at least, guardian can cancel; DoS).
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginCell } from '@ton/core';
import {
  activateBody,
  cancelProposalBody,
  proposeBody,
  revokeBody,
  type Proposal,
} from '../../settlement/ton/contracts/policy-registry.ts';
import { seed, STRANGER } from '../support/ton/channel-lab.ts';
import { GUARDIAN, NEXT, OWNER, POLICY, RegistryLab } from '../support/ton/registry-lab.ts';

const TWO_DAYS_S = 48 * 3600;
const STEP_S = 3600;

const ADDITIONS: readonly Proposal[] = [
  POLICY,
  { kind: 'price', digest: seed(4) },
  { kind: 'code-hash', digest: seed(7) },
  { kind: 'owner', address: NEXT },
  { kind: 'upgrade', code: beginCell().storeUint(1, 8).endCell() },
];

/** Everything that clients go by. */
async function inForce(lab: RegistryLab) {
  return [await lab.policy(), await lab.roles(), await lab.asks('code_hash_ok', seed(7))];
}

/** Tries at every step until it counts. Returns for how long everybody could see it coming. */
async function visibleFor(lab: RegistryLab, by: typeof OWNER): Promise<number> {
  const start = lab.chain.now;
  while ((await lab.code(by, activateBody(1n))) !== 0) {
    assert.notEqual(await lab.pending(), undefined, 'to be seen until then');
    assert.ok(lab.chain.now - start < 2 * TWO_DAYS_S, 'it has to end');
    lab.chain.pass(STEP_S);
  }
  return lab.chain.now - start;
}

for (const proposal of ADDITIONS) {
  test(`a ${proposal.kind} that a thief adds is seen for two days, and the guardian takes it away`, async (context) => {
    const by = proposal.kind === 'owner' ? NEXT : STRANGER;
    const left = await RegistryLab.create();
    assert.equal(await left.code(OWNER, proposeBody(proposal, 1n)), 0);
    const seenS = await visibleFor(left, by);
    context.diagnostic(`${proposal.kind}: seen for ${seenS} s`);
    assert.ok(seenS >= TWO_DAYS_S && seenS < TWO_DAYS_S + STEP_S);

    const watched = await RegistryLab.create();
    const before = await inForce(watched);
    for (let again = 0; again < 3; again++) {
      assert.equal(await watched.code(OWNER, proposeBody(proposal, 1n)), 0);
      watched.chain.pass(TWO_DAYS_S - 1);
      assert.equal(await watched.code(GUARDIAN, cancelProposalBody(1n)), 0);
      watched.chain.pass(TWO_DAYS_S);
      assert.notEqual(await watched.code(by, activateBody(1n)), 0);
    }
    assert.deepEqual(await inForce(watched), before);
  });
}

test('a thief that revokes everything stops service, and adds nothing', async () => {
  const lab = await RegistryLab.create();
  const { policyDigest, priceDigest } = await lab.policy();
  assert.equal(await lab.code(OWNER, revokeBody(policyDigest, 1n)), 0);
  assert.equal(await lab.asks('is_revoked', policyDigest), true);
  const after = await lab.policy();
  assert.deepEqual([after.policyDigest, after.priceDigest], [policyDigest, priceDigest]);
  assert.equal(await lab.pending(), undefined);
});
