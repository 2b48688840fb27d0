/** Every rule of PolicyRegistry, each with a case in which exactly that rule fails. Spec: ton-settlement §4.9. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginCell, Cell } from '@ton/core';
import { REGISTRY_EXIT, TVM_EXIT } from '../../../settlement/ton/contracts/exit-codes.ts';
import {
  activateBody,
  cancelProposalBody,
  proposeBody,
  REGISTRY_MIN_DELAY_S,
  REGISTRY_MIN_VALUE,
  revokeBody,
  type Proposal,
} from '../../../settlement/ton/contracts/policy-registry.ts';
import { seed, STRANGER } from '../../support/ton/channel-lab.ts';
import { GUARDIAN, NEXT, OWNER, POLICY, RegistryLab } from '../../support/ton/registry-lab.ts';

test('a policy waits two days in the open, then anybody activates it', async () => {
  const lab = await RegistryLab.create();
  const done = await lab.send(OWNER, proposeBody(POLICY, 1n));
  assert.equal(done.exitCode, 0);
  assert.ok((done.sent[0]?.value ?? 0n) > 4n * REGISTRY_MIN_VALUE, 'the rest comes back');
  const readyAt = lab.chain.now + REGISTRY_MIN_DELAY_S;
  assert.deepEqual(await lab.pending(), { ...POLICY, readyAt });
  assert.deepEqual((await lab.policy()).policyDigest, seed(1));
  lab.chain.pass(REGISTRY_MIN_DELAY_S - 1);
  assert.equal(await lab.code(STRANGER, activateBody(1n)), REGISTRY_EXIT.locked);
  lab.chain.pass(1);
  assert.equal(await lab.code(STRANGER, activateBody(1n)), 0);
  const policy = { seq: 1n, version: 1, policyDigest: seed(9), priceDigest: seed(2) };
  assert.deepEqual(await lab.policy(), policy);
  assert.equal(await lab.pending(), undefined);
});

test('a longer delay in the data holds', async () => {
  const lab = await RegistryLab.create(10 * REGISTRY_MIN_DELAY_S);
  await lab.code(OWNER, proposeBody(POLICY, 1n));
  assert.equal((await lab.pending())?.readyAt, lab.chain.now + 10 * REGISTRY_MIN_DELAY_S);
});

test('only the owner proposes, one thing at a time', async () => {
  const lab = await RegistryLab.create();
  for (const from of [GUARDIAN, STRANGER]) {
    assert.equal(await lab.code(from, proposeBody(POLICY, 1n)), REGISTRY_EXIT.sender);
  }
  assert.equal(await lab.code(OWNER, proposeBody(POLICY, 1n)), 0);
  const other = proposeBody({ ...POLICY, digest: seed(8) }, 1n);
  assert.equal(await lab.code(OWNER, other), REGISTRY_EXIT.pending);
});

test('a version only rises', async () => {
  const lab = await RegistryLab.create();
  assert.equal(await lab.enact({ ...POLICY, version: 5 }), 0);
  for (const version of [4, 5]) {
    const body = proposeBody({ ...POLICY, version }, 1n);
    assert.equal(await lab.code(OWNER, body), REGISTRY_EXIT.version);
  }
});

test('a revocation holds at once, from either role and from nobody else', async () => {
  const lab = await RegistryLab.create();
  assert.equal(await lab.code(STRANGER, revokeBody(seed(5), 1n)), REGISTRY_EXIT.sender);
  assert.equal(await lab.asks('is_revoked', seed(5)), false);
  assert.equal(await lab.code(OWNER, revokeBody(seed(5), 1n)), 0);
  assert.equal(await lab.code(GUARDIAN, revokeBody(seed(6), 1n)), 0);
  for (const id of [seed(5), seed(6)]) assert.equal(await lab.asks('is_revoked', id), true);
  assert.equal((await lab.policy()).seq, 2n);
});

test('a code hash is acceptable from activation to revocation', async () => {
  const lab = await RegistryLab.create();
  assert.equal(await lab.asks('code_hash_ok', seed(7)), false);
  assert.equal(await lab.enact({ kind: 'code-hash', digest: seed(7) }), 0);
  assert.equal(await lab.asks('code_hash_ok', seed(7)), true);
  assert.equal(await lab.code(GUARDIAN, revokeBody(seed(7), 1n)), 0);
  assert.equal(await lab.asks('code_hash_ok', seed(7)), false);
});

test('prices change by their own proposal', async () => {
  const lab = await RegistryLab.create();
  assert.equal(await lab.enact({ kind: 'price', digest: seed(4) }), 0);
  const { priceDigest, policyDigest, version } = await lab.policy();
  assert.deepEqual([priceDigest, policyDigest, version], [seed(4), seed(1), 0]);
});

test('either role cancels what is pending, a stranger does not', async () => {
  const lab = await RegistryLab.create();
  assert.equal(await lab.code(OWNER, cancelProposalBody(1n)), REGISTRY_EXIT.nothing);
  assert.equal(await lab.code(STRANGER, activateBody(1n)), REGISTRY_EXIT.nothing);
  for (const role of [OWNER, GUARDIAN]) {
    await lab.code(OWNER, proposeBody(POLICY, 1n));
    assert.equal(await lab.code(STRANGER, cancelProposalBody(1n)), REGISTRY_EXIT.sender);
    assert.equal(await lab.code(role, cancelProposalBody(1n)), 0);
    assert.equal(await lab.pending(), undefined);
  }
});

test('a new owner takes over by its own hand after the delay', async () => {
  const lab = await RegistryLab.create();
  const proposal: Proposal = { kind: 'owner', address: NEXT };
  assert.equal(await lab.enact(proposal), REGISTRY_EXIT.sender);
  assert.equal(await lab.code(OWNER, activateBody(1n)), REGISTRY_EXIT.sender);
  assert.equal(await lab.code(NEXT, activateBody(1n)), 0);
  assert.deepEqual(await lab.roles(), [NEXT.toString(), GUARDIAN.toString()]);
  assert.equal(await lab.code(OWNER, proposeBody(POLICY, 1n)), REGISTRY_EXIT.sender);
  assert.equal(await lab.code(NEXT, proposeBody(POLICY, 1n)), 0);
});

test('a guardian cannot cancel its own replacement; the owner can', async () => {
  const lab = await RegistryLab.create();
  const proposal: Proposal = { kind: 'guardian', address: NEXT };
  await lab.code(OWNER, proposeBody(proposal, 1n));
  assert.equal(await lab.code(GUARDIAN, cancelProposalBody(1n)), REGISTRY_EXIT.sender);
  assert.equal(await lab.code(OWNER, cancelProposalBody(1n)), 0);
  assert.equal(await lab.enact(proposal), 0);
  assert.deepEqual(await lab.roles(), [OWNER.toString(), NEXT.toString()]);
});

test('code is upgraded by the same two days, and only to what was shown', async () => {
  const lab = await RegistryLab.create();
  const code = beginCell().storeUint(1, 8).endCell();
  const body = proposeBody({ kind: 'upgrade', code }, 1n);
  const other = beginCell().storeBits(body.beginParse().loadBits(32 + 64 + 8 + 256 + 32));
  const swapped = other.storeMaybeRef(Cell.EMPTY).endCell();
  assert.equal(await lab.code(OWNER, swapped), REGISTRY_EXIT.proposal);
  const without = beginCell().storeBits(body.beginParse().loadBits(32 + 64 + 8 + 256 + 32));
  assert.equal(await lab.code(OWNER, without.storeBit(0).endCell()), REGISTRY_EXIT.proposal);
  assert.equal(await lab.enact({ kind: 'upgrade', code }), 0);
  const { account } = (await lab.chain.blockchain.getContract(lab.address)).account;
  const state = account?.storage.state;
  assert.ok(state?.type === 'active' && state.state.code?.equals(code));
});

test('a proposal of no kind, or with what its kind does not need, is refused', async () => {
  const lab = await RegistryLab.create();
  const wire = (kind: number, version: number, code: Cell | null) =>
    beginCell()
      .storeUint(0x76680001, 32)
      .storeUint(1, 64)
      .storeUint(kind, 8)
      .storeUint(1, 256)
      .storeUint(version, 32)
      .storeMaybeRef(code)
      .endCell();
  assert.equal(await lab.code(OWNER, wire(0, 0, null)), REGISTRY_EXIT.kind);
  assert.equal(await lab.code(OWNER, wire(7, 0, null)), REGISTRY_EXIT.kind);
  assert.equal(await lab.code(OWNER, wire(2, 1, null)), REGISTRY_EXIT.proposal);
  assert.equal(await lab.code(OWNER, wire(2, 0, Cell.EMPTY)), REGISTRY_EXIT.proposal);
});

test('too little value, unknown bodies and bodies with something left over are refused', async () => {
  const lab = await RegistryLab.create();
  const body = revokeBody(seed(5), 1n);
  assert.equal(await lab.code(OWNER, body, REGISTRY_MIN_VALUE - 1n), REGISTRY_EXIT.value);
  const longer = beginCell().storeSlice(body.beginParse()).storeBit(0).endCell();
  const fuller = beginCell().storeSlice(body.beginParse()).storeRef(Cell.EMPTY).endCell();
  for (const cell of [longer, fuller]) assert.equal(await lab.code(OWNER, cell), TVM_EXIT.bodyForm);
  const unknown = beginCell().storeUint(1, 32).endCell();
  assert.equal(await lab.code(OWNER, unknown), TVM_EXIT.unknownOp);
  assert.notEqual((await lab.chain.external(lab.address, body)).exitCode, 0);
  const bounced = { from: OWNER, to: lab.address, value: 100_000_000n, body, bounced: true };
  await lab.chain.send(bounced);
  assert.equal(await lab.asks('is_revoked', seed(5)), false);
});
