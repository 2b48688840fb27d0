/** Every rule of LedgerAnchor, each with a case in which exactly that rule fails. Spec: ton-settlement §4.9. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginCell, Cell } from '@ton/core';
import { ed25519PublicKey } from '#primitives';
import { fixed, type Bytes } from '../../../core/bytes.ts';
import { ANCHOR_EXIT, TVM_EXIT } from '../../../settlement/ton/contracts/exit-codes.ts';
import { decodeAnchor } from '../../../settlement/ton/contracts/ledger-anchor.ts';
import { AnchorLab } from '../../support/ton/anchor-lab.ts';
import { seed, STRANGER, STRANGER_SEED } from '../../support/ton/channel-lab.ts';

async function refused(lab: AnchorLab, body: Cell, code: number): Promise<void> {
  const before = [await lab.state(), await lab.balance()];
  assert.equal((await lab.chain.external(lab.address, body)).exitCode, code);
  assert.deepEqual([await lab.state(), await lab.balance()], before);
}

test('heads follow one another', async () => {
  const lab = await AnchorLab.create();
  let previous: Bytes<32> = lab.terms.genesis;
  for (const [seq, head] of [seed(5), seed(6), seed(7)].entries()) {
    const body = lab.signed({ seq: BigInt(seq + 1), head, previous });
    assert.equal((await lab.chain.external(lab.address, body)).exitCode, 0);
    assert.deepEqual(await lab.state(), { seq: BigInt(seq + 1), head, key: lab.terms.key });
    previous = head;
  }
});

test('only the next one: not the same again, not an older one, none left out', async () => {
  const lab = await AnchorLab.create();
  const first = lab.signed({ seq: 1n, head: seed(5), previous: lab.terms.genesis });
  assert.equal((await lab.chain.external(lab.address, first)).exitCode, 0);
  await refused(lab, first, ANCHOR_EXIT.seq);
  for (const seq of [0n, 1n, 3n, (1n << 64n) - 1n]) {
    await refused(lab, lab.signed({ seq, head: seed(6), previous: seed(5) }), ANCHOR_EXIT.seq);
  }
});

test('a ledger that does not know the head before cannot go on', async () => {
  const lab = await AnchorLab.create();
  const forked = lab.signed({ seq: 1n, head: seed(5), previous: seed(4) });
  await refused(lab, forked, ANCHOR_EXIT.signature);
});

test('another key, another head, another anchor, another end', async () => {
  const lab = await AnchorLab.create();
  const wish = { seq: 1n, head: seed(5), previous: lab.terms.genesis };
  await refused(lab, lab.signed({ ...wish, signer: STRANGER_SEED }), ANCHOR_EXIT.signature);
  await refused(lab, lab.signed({ ...wish, sent: { head: seed(6) } }), ANCHOR_EXIT.signature);
  const until = { validUntil: lab.chain.now + 61 };
  await refused(lab, lab.signed({ ...wish, sent: until }), ANCHOR_EXIT.signature);
  const elsewhere = fixed(Uint8Array.from(STRANGER.hash), 32);
  await refused(lab, lab.signed({ ...wish, anchor: elsewhere }), ANCHOR_EXIT.signature);
});

test('a head that has waited too long', async () => {
  const lab = await AnchorLab.create();
  const body = lab.signed({ seq: 1n, head: seed(5), previous: lab.terms.genesis });
  lab.chain.pass(61);
  await refused(lab, body, ANCHOR_EXIT.expired);
});

test('bodies with something left over or missing, and messages with a body', async () => {
  const lab = await AnchorLab.create();
  const body = lab.signed({ seq: 1n, head: seed(5), previous: lab.terms.genesis });
  const longer = beginCell().storeSlice(body.beginParse()).storeBit(0).endCell();
  const fuller = beginCell().storeSlice(body.beginParse()).storeRef(Cell.EMPTY).endCell();
  for (const cell of [longer, fuller, Cell.EMPTY]) await refused(lab, cell, TVM_EXIT.bodyForm);
  const sent = { from: STRANGER, to: lab.address, value: 50_000_000n, body };
  assert.equal((await lab.chain.send(sent)).exitCode, TVM_EXIT.unknownOp);
});

test('an anchor without money refuses, and an empty message helps it', async () => {
  const lab = await AnchorLab.create(1_850_000n);
  const wish = { seq: 1n, head: seed(5), previous: lab.terms.genesis };
  await refused(lab, lab.signed(wish), ANCHOR_EXIT.cover);
  const gift = { from: STRANGER, to: lab.address, value: 50_000_000n, body: Cell.EMPTY };
  assert.equal((await lab.chain.send(gift)).exitCode, 0);
  assert.equal((await lab.chain.external(lab.address, lab.signed(wish))).exitCode, 0);
});

test('the first data says which ledger it is', async () => {
  const lab = await AnchorLab.create();
  const state = decodeAnchor(await lab.chain.get(lab.address, 'anchor'));
  assert.deepEqual(state, { seq: 0n, head: lab.terms.genesis, key: ed25519PublicKey(seed(4)) });
});
