/** Every rule of PayChannel, each with a case in which exactly that rule fails. Spec: ton-settlement §4.8, §7 I7. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address, beginCell, Cell } from '@ton/core';
import { CHANNEL_EXIT, TVM_EXIT } from '../../../settlement/ton/contracts/exit-codes.ts';
import {
  availableOf,
  cancelWithdrawBody,
  channelInit,
  CHANNEL_FEES,
  CHANNEL_OP,
  claimBody,
  claimExternalBody,
  decodeChannelTerms,
  depositBody,
  destroyBody,
  EPOCH_RETIRED,
  finalizeWithdrawBody,
  requestWithdrawBody,
  WITHDRAW_WINDOW_S,
} from '../../../settlement/ton/contracts/pay-channel.ts';
import { signCharge } from '../../../settlement/charge.ts';
import { amount } from '../../../settlement/money.ts';
import { signVoucher } from '../../../settlement/voucher.ts';
import {
  ChannelLab,
  DELAY_S,
  PAYEE,
  PAYEE_SEED,
  PAYER,
  PAYER_SEED,
  STRANGER,
  STRANGER_SEED,
  TON,
} from '../../support/ton/channel-lab.ts';
import type { Outcome } from '../../support/ton/chain.ts';

const FIRST = 2n * TON;
const CREDIT = FIRST - CHANNEL_FEES.rent - CHANNEL_FEES.depositFee;

async function refused(outcome: Promise<Outcome>, code: number): Promise<void> {
  const { exitCode, sent } = await outcome;
  assert.deepEqual({ exitCode, sent: sent.length }, { exitCode: code, sent: 0 });
}

async function accepted(outcome: Promise<Outcome>): Promise<Outcome> {
  const done = await outcome;
  const { exitCode, actionCode, skippedActions } = done;
  assert.deepEqual([exitCode, actionCode, skippedActions], [0, 0, 0]);
  return done;
}

/** Nothing changes for what is refused, not even the balance when it came from outside. */
async function refusedOutside(lab: ChannelLab, body: Cell, code: number): Promise<void> {
  const before = [await lab.state(), await lab.balance()];
  await refused(lab.external(body), code);
  assert.deepEqual([await lab.state(), await lab.balance()], before);
}

test('the first deposit opens and leaves the rent, a later one is credited less its gas', async () => {
  const lab = await ChannelLab.open(FIRST);
  assert.deepEqual(await lab.state(), {
    status: 'open',
    epoch: 0,
    deposited: CREDIT,
    claimed: 0n,
    refunded: 0n,
    withdrawing: 0n,
    unlockAt: 0,
  });
  await accepted(lab.deposit(TON, STRANGER));
  assert.equal((await lab.state()).deposited, CREDIT + TON - CHANNEL_FEES.depositFee);
});

test('terms read back as they were given', async () => {
  const lab = await ChannelLab.open();
  const read = decodeChannelTerms(await lab.chain.get(lab.address, 'channel_terms'));
  assert.deepEqual(
    { ...read, payer: read.payer.toString(), payee: read.payee.toString() },
    { ...lab.terms, payer: PAYER.toString(), payee: PAYEE.toString() },
  );
  assert.equal((await lab.chain.get(lab.address, 'version')).readNumber(), 1);
});

test('an empty body is a deposit from the payer and refused from others', async () => {
  const lab = await ChannelLab.open();
  await accepted(lab.send(Cell.EMPTY, PAYER, TON));
  await refused(lab.send(Cell.EMPTY, STRANGER, TON), CHANNEL_EXIT.sender);
});

test('a deposit that leaves too little is refused', async () => {
  const { rent, depositFee, minDeposit } = CHANNEL_FEES;
  const lab = await ChannelLab.create();
  await refused(lab.deposit(rent + depositFee + minDeposit - 1n), CHANNEL_EXIT.value);
  await accepted(lab.deposit(rent + depositFee + minDeposit));
  await refused(lab.deposit(depositFee + minDeposit - 1n), CHANNEL_EXIT.value);
  await accepted(lab.deposit(depositFee + minDeposit));
});

test('a deposit puts back the rent that storage has eaten', async () => {
  const lab = await ChannelLab.open();
  lab.chain.pass(3 * 365 * DELAY_S);
  await accepted(lab.deposit(TON));
  const state = await lab.state();
  assert.ok(state.deposited < CREDIT + TON - CHANNEL_FEES.depositFee);
  assert.ok((await lab.balance()) >= CHANNEL_FEES.rent + availableOf(state));
});

test('a claim pays the payee and remembers how far', async () => {
  const lab = await ChannelLab.open();
  const internal = await accepted(lab.claim({ charged: TON / 4n, ceiling: TON }));
  assert.deepEqual(
    internal.sent.map(({ to }) => to.toString()),
    [PAYEE.toString()],
  );
  assert.ok((internal.sent[0]?.value ?? 0n) >= TON / 4n);
  const payout = internal.sent[0]?.body.beginParse();
  assert.equal(payout?.loadUint(32), CHANNEL_OP.payout);
  assert.deepEqual([payout?.loadUintBig(64), payout?.loadCoins()], [5n, TON / 4n]);
  const external = await accepted(lab.claimExternal({ charged: TON / 2n, ceiling: TON }));
  const [paid] = external.sent;
  assert.ok((paid?.value ?? 0n) > TON / 4n - TON / 100n);
  assert.equal((await lab.state()).claimed, TON / 2n);
});

const BOTH_WAYS = ['internal', 'external'] as const;
for (const way of BOTH_WAYS) {
  const act = (lab: ChannelLab, claim: Parameters<typeof claimBody>[0]) =>
    way === 'internal' ? lab.send(claimBody(claim, 1n)) : lab.external(claimExternalBody(claim));

  test(`${way} claim: a channel that is idle owes nothing`, async () => {
    const lab = await ChannelLab.open();
    await accepted(lab.claim({ charged: TON, ends: 'final' }));
    await refused(act(lab, lab.signed({ charged: TON + 1n, epoch: 1 })), CHANNEL_EXIT.status);
  });

  test(`${way} claim: another epoch`, async () => {
    const lab = await ChannelLab.open();
    await refused(act(lab, lab.signed({ charged: TON, epoch: 1 })), CHANNEL_EXIT.epoch);
  });

  test(`${way} claim: charged above the ceiling`, async () => {
    const lab = await ChannelLab.open();
    const claim = lab.signed({ charged: TON, ceiling: TON - 1n });
    await refused(act(lab, claim), CHANNEL_EXIT.ceiling);
  });

  test(`${way} claim: nothing new, and equal only when final`, async () => {
    const lab = await ChannelLab.open();
    await accepted(lab.claim({ charged: TON }));
    await refused(act(lab, lab.signed({ charged: TON })), CHANNEL_EXIT.stale);
    await refused(act(lab, lab.signed({ charged: TON - 1n })), CHANNEL_EXIT.stale);
    await refused(act(lab, lab.signed({ charged: TON - 1n, ends: 'final' })), CHANNEL_EXIT.stale);
  });

  test(`${way} claim: more than is available`, async () => {
    const lab = await ChannelLab.open();
    await refused(act(lab, lab.signed({ charged: CREDIT + 1n })), CHANNEL_EXIT.available);
  });

  test(`${way} claim: a voucher signed by another, or for another ceiling`, async () => {
    const lab = await ChannelLab.open();
    const claim = lab.signed({ charged: TON });
    const promise = { channel: lab.id, epoch: 0, ceiling: amount(TON) };
    const forged = signVoucher(STRANGER_SEED, promise).signature;
    const { payerSignature } = CHANNEL_EXIT;
    await refused(act(lab, { ...claim, voucherSignature: forged }), payerSignature);
    await refused(act(lab, { ...claim, ceiling: TON + 1n }), payerSignature);
  });

  test(`${way} claim: a charge signed by another, for another amount, another end, or absent`, async () => {
    const lab = await ChannelLab.open();
    const claim = lab.signed({ charged: TON });
    const charge = { channel: lab.id, epoch: 0, charged: amount(TON), isFinal: false };
    const { chargeSignature: code } = CHANNEL_EXIT;
    for (const chargeSignature of [
      signCharge(PAYER_SEED, charge),
      signCharge(PAYEE_SEED, { ...charge, charged: amount(TON - 1n) }),
      signCharge(PAYEE_SEED, { ...charge, isFinal: true }),
      signCharge(PAYEE_SEED, { ...charge, epoch: 1 }),
      claim.voucherSignature,
    ]) {
      await refused(act(lab, { ...claim, chargeSignature }), code);
    }
    const { chargeSignature: _, ...without } = claim;
    await refused(act(lab, without), code);
  });

  test(`${way} claim: a single lock knows no final, no charge, and no part of a voucher`, async () => {
    const lab = await ChannelLab.open(FIRST, { payeeKey: 'single-lock' });
    const claim = lab.signed({ charged: TON });
    await refused(act(lab, { ...claim, ends: 'final' }), CHANNEL_EXIT.status);
    const charged = { ...claim, chargeSignature: claim.voucherSignature };
    await refused(act(lab, charged), CHANNEL_EXIT.chargeSignature);
    await refused(act(lab, { ...claim, charged: TON - 1n }), CHANNEL_EXIT.ceiling);
    await accepted(act(lab, claim));
    // More than there is: what there is, and all of it.
    const more = { ...lab.signed({ charged: 5n * TON }), charged: CREDIT };
    await refused(act(lab, { ...more, charged: CREDIT - 1n }), CHANNEL_EXIT.ceiling);
    await accepted(act(lab, more));
  });

  test(`${way} claim: bits or refs left over are refused`, async () => {
    const lab = await ChannelLab.open();
    const claim = lab.signed({ charged: TON });
    const body = way === 'internal' ? claimBody(claim, 1n) : claimExternalBody(claim);
    const send = (cell: Cell) => (way === 'internal' ? lab.send(cell) : lab.external(cell));
    const longer = beginCell().storeSlice(body.beginParse()).storeBit(0).endCell();
    const fuller = beginCell().storeSlice(body.beginParse()).storeRef(Cell.EMPTY).endCell();
    const head = body.beginParse();
    const shorter = beginCell()
      .storeBits(head.loadBits(head.remainingBits - 1))
      .endCell();
    const rest = beginCell().storeBuffer(Buffer.alloc(65)).endCell();
    const wide = body.beginParse();
    const widened = beginCell()
      .storeBits(wide.loadBits(wide.remainingBits))
      .storeRef(rest)
      .endCell();
    for (const cell of [longer, fuller, shorter, widened]) {
      await refused(send(cell), TVM_EXIT.bodyForm);
    }
  });
}

test('by external message only from the minimum on, however the channel ends', async () => {
  const lab = await ChannelLab.open();
  const { minExternal } = CHANNEL_FEES;
  for (const ends of ['open', 'final'] as const) {
    const claim = lab.signed({ charged: minExternal - 1n, ends });
    await refusedOutside(lab, claimExternalBody(claim), CHANNEL_EXIT.dust);
  }
  await accepted(lab.claimExternal({ charged: minExternal }));
});

test('after years of rent a small external claim is refused and the internal one pays in full', async () => {
  const lab = await ChannelLab.open();
  lab.chain.pass(5 * 365 * DELAY_S);
  const wish = { charged: CHANNEL_FEES.minExternal };
  await refusedOutside(lab, claimExternalBody(lab.signed(wish)), CHANNEL_EXIT.cover);
  await refused(lab.claim(wish, TON / 50n), CHANNEL_EXIT.value);
  const paid = await accepted(lab.claim(wish, TON / 5n));
  assert.ok((paid.sent[0]?.value ?? 0n) >= wish.charged);
  assert.ok((await lab.balance()) >= CHANNEL_FEES.rent + availableOf(await lab.state()));
});

test('a final claim returns what is left to the payer and begins a new epoch', async () => {
  const lab = await ChannelLab.open();
  const closed = await accepted(lab.claim({ charged: TON, ends: 'final' }));
  assert.deepEqual(
    closed.sent.map(({ to, value }) => [to.toString(), value >= TON]),
    [
      [PAYER.toString(), CREDIT - TON >= TON],
      [PAYEE.toString(), true],
    ],
  );
  assert.equal(closed.sent[0]?.value, CREDIT - TON);
  const state = await lab.state();
  assert.deepEqual([state.status, state.epoch, availableOf(state)], ['idle', 1, 0n]);
});

test('a final claim ends a withdraw that was under way', async () => {
  const lab = await ChannelLab.open();
  await accepted(lab.requestWithdraw());
  await accepted(lab.claim({ charged: TON, ends: 'final' }));
  const state = await lab.state();
  assert.deepEqual([state.status, state.withdrawing, state.refunded], ['idle', 0n, CREDIT - TON]);
});

test('a final claim of nothing new closes too', async () => {
  const lab = await ChannelLab.open();
  await accepted(lab.claim({ charged: TON }));
  await accepted(lab.claim({ charged: TON, ends: 'final' }));
  assert.equal((await lab.state()).status, 'idle');
});

test('only the payer withdraws, only once at a time, only what there is', async () => {
  const lab = await ChannelLab.open();
  await refused(lab.requestWithdraw(0n, STRANGER), CHANNEL_EXIT.sender);
  await refused(lab.requestWithdraw(0n, PAYEE), CHANNEL_EXIT.sender);
  await refused(lab.requestWithdraw(CREDIT + 1n), CHANNEL_EXIT.available);
  lab.chain.pass(365 * DELAY_S); // the rent is short by now
  await refused(lab.send(requestWithdrawBody(0n, 1n), PAYER, TON / 200n), CHANNEL_EXIT.value);
  const asked = await accepted(lab.requestWithdraw(TON));
  assert.deepEqual(
    asked.sent.map(({ to }) => to.toString()),
    [PAYEE.toString(), PAYER.toString()],
  );
  assert.equal(asked.sent[0]?.value, CHANNEL_FEES.notice);
  await refused(lab.requestWithdraw(TON), CHANNEL_EXIT.status);
  const state = await lab.state();
  assert.deepEqual([state.status, state.withdrawing], ['closing', TON]);
  assert.equal(state.unlockAt, lab.chain.now + DELAY_S);
});

test('a withdraw waits for its delay, then anybody finalizes it', async () => {
  const lab = await ChannelLab.open();
  await refused(lab.send(finalizeWithdrawBody(1n), STRANGER), CHANNEL_EXIT.status);
  await refused(lab.finalizeExternal(), CHANNEL_EXIT.status);
  await accepted(lab.requestWithdraw(TON));
  lab.chain.pass(DELAY_S - 1);
  await refused(lab.send(finalizeWithdrawBody(1n), STRANGER), CHANNEL_EXIT.locked);
  await refused(lab.finalizeExternal(), CHANNEL_EXIT.locked);
  lab.chain.pass(1);
  lab.chain.pass(365 * DELAY_S);
  const small = lab.send(finalizeWithdrawBody(1n), STRANGER, TON / 200n);
  await refused(small, CHANNEL_EXIT.value);
  const paid = await accepted(lab.send(finalizeWithdrawBody(1n), STRANGER));
  assert.equal(paid.sent[0]?.to.toString(), PAYER.toString());
  assert.ok((paid.sent[0]?.value ?? 0n) >= TON);
  const { status, epoch, withdrawing } = await lab.state();
  assert.deepEqual([status, epoch, withdrawing], ['open', 0, 0n]);
});

test('withdrawing everything begins a new epoch', async () => {
  const lab = await ChannelLab.open();
  await accepted(lab.requestWithdraw());
  lab.chain.pass(DELAY_S);
  const paid = await accepted(lab.finalizeExternal());
  assert.ok((paid.sent[0]?.value ?? 0n) > CREDIT - TON / 100n);
  const state = await lab.state();
  assert.deepEqual([state.status, state.epoch, availableOf(state)], ['idle', 1, 0n]);
});

test('the payee still claims while the channel closes, and what it takes is not refunded', async () => {
  const lab = await ChannelLab.open();
  await accepted(lab.requestWithdraw());
  await accepted(lab.claimExternal({ charged: TON }));
  lab.chain.pass(DELAY_S);
  await accepted(lab.finalizeExternal());
  const { claimed, refunded } = await lab.state();
  assert.deepEqual([claimed, refunded], [TON, CREDIT - TON]);
});

test('an external finalize pays from what it refunds, so dust waits for a message', async () => {
  const lab = await ChannelLab.open();
  await accepted(lab.requestWithdraw(CHANNEL_FEES.minExternal - 1n));
  lab.chain.pass(DELAY_S);
  await refused(lab.finalizeExternal(), CHANNEL_EXIT.dust);
  await accepted(lab.send(finalizeWithdrawBody(1n), STRANGER));
});

test('an external finalize that would not cover itself is refused', async () => {
  const lab = await ChannelLab.open();
  await accepted(lab.requestWithdraw(CHANNEL_FEES.minExternal));
  lab.chain.pass(4 * 365 * DELAY_S);
  await refused(lab.finalizeExternal(), CHANNEL_EXIT.cover);
  await accepted(lab.send(finalizeWithdrawBody(1n), STRANGER));
});

test('only the payer cancels, and only while closing', async () => {
  const lab = await ChannelLab.open();
  await refused(lab.send(cancelWithdrawBody(1n)), CHANNEL_EXIT.status);
  await accepted(lab.requestWithdraw());
  await refused(lab.send(cancelWithdrawBody(1n), STRANGER), CHANNEL_EXIT.sender);
  lab.chain.pass(365 * DELAY_S);
  await refused(lab.send(cancelWithdrawBody(1n), PAYER, TON / 200n), CHANNEL_EXIT.value);
  await accepted(lab.send(cancelWithdrawBody(1n)));
  const state = await lab.state();
  assert.deepEqual([state.status, state.withdrawing], ['open', 0n]);
});

test('a signed withdraw may be brought by anybody, once, and its delay begins when it ends', async () => {
  const lab = await ChannelLab.open();
  const body = lab.signedWithdraw(TON, lab.chain.now + 600);
  const asked = await accepted(lab.external(body));
  assert.deepEqual(
    asked.sent.map(({ to, value }) => [to.toString(), value]),
    [[PAYEE.toString(), CHANNEL_FEES.notice]],
  );
  assert.equal((await lab.state()).unlockAt, lab.chain.now + 600 + DELAY_S);
  await refusedOutside(lab, body, CHANNEL_EXIT.window);
  await accepted(lab.send(cancelWithdrawBody(1n)));
  await refusedOutside(lab, body, CHANNEL_EXIT.window);
  await accepted(lab.external(lab.signedWithdraw(TON, lab.chain.now + 601)));
});

test('a signed withdraw: signature, epoch, window, amount, dust and status', async () => {
  const lab = await ChannelLab.open();
  const soon = lab.chain.now + 60;
  const strange = lab.signedWithdraw(TON, soon, 0, STRANGER_SEED);
  await refusedOutside(lab, strange, CHANNEL_EXIT.payerSignature);
  await refusedOutside(lab, lab.signedWithdraw(TON, soon, 1), CHANNEL_EXIT.epoch);
  await refusedOutside(lab, lab.signedWithdraw(TON, lab.chain.now - 1), CHANNEL_EXIT.window);
  const far = lab.chain.now + WITHDRAW_WINDOW_S + 1;
  await refusedOutside(lab, lab.signedWithdraw(TON, far), CHANNEL_EXIT.window);
  await refusedOutside(lab, lab.signedWithdraw(CREDIT + 1n, soon), CHANNEL_EXIT.available);
  const dust = lab.signedWithdraw(CHANNEL_FEES.minExternal - 1n, soon);
  await refusedOutside(lab, dust, CHANNEL_EXIT.dust);
  await accepted(lab.requestWithdraw());
  // Later than the one under way, so that only the status is wrong.
  await refusedOutside(lab, lab.signedWithdraw(TON, soon), CHANNEL_EXIT.status);
});

test('a signed withdraw never eats into what is available', async () => {
  const lab = await ChannelLab.open();
  lab.chain.pass(2 * 365 * DELAY_S);
  const late = lab.signedWithdraw(TON, lab.chain.now + 60);
  await refusedOutside(lab, late, CHANNEL_EXIT.cover);
  await accepted(lab.requestWithdraw(TON));
});

test('only the payer destroys, only an idle channel, and it stays spent', async () => {
  const lab = await ChannelLab.open();
  await refused(lab.send(destroyBody(1n)), CHANNEL_EXIT.status);
  await accepted(lab.claim({ charged: TON, ends: 'final' }));
  await refused(lab.send(destroyBody(1n), STRANGER), CHANNEL_EXIT.sender);
  const destroyed = await accepted(lab.send(destroyBody(1n)));
  assert.equal(destroyed.sent[0]?.to.toString(), PAYER.toString());
  assert.ok((destroyed.sent[0]?.value ?? 0n) > CHANNEL_FEES.rent);
  assert.equal(await lab.balance(), 0n);
  await refused(lab.deposit(2n * TON), CHANNEL_EXIT.retired);
  assert.equal((await lab.state()).epoch, EPOCH_RETIRED);
});

test('what nobody knows is refused, and so is what is too long or too short', async () => {
  const lab = await ChannelLab.open();
  const unknown = beginCell().storeUint(0x76670006, 32).storeUint(0, 64).endCell();
  const comment = beginCell().storeUint(0, 32).storeStringTail('hello').endCell();
  const short = beginCell().storeUint(7, 16).endCell();
  for (const body of [unknown, comment, short]) {
    await refused(lab.send(body), TVM_EXIT.unknownOp);
    await refusedOutside(lab, body, TVM_EXIT.unknownOp);
  }
  await refusedOutside(lab, Cell.EMPTY, TVM_EXIT.unknownOp);
  await accepted(lab.requestWithdraw(TON));
  lab.chain.pass(DELAY_S);
  const bodies = [depositBody, finalizeWithdrawBody, cancelWithdrawBody, destroyBody].map((make) =>
    make(1n),
  );
  for (const body of [...bodies, requestWithdrawBody(0n, 1n)]) {
    const longer = beginCell().storeSlice(body.beginParse()).storeBit(1).endCell();
    const fuller = beginCell().storeSlice(body.beginParse()).storeRef(Cell.EMPTY).endCell();
    await refused(lab.send(longer), TVM_EXIT.bodyForm);
    await refused(lab.send(fuller), TVM_EXIT.bodyForm);
  }
  const signed = lab.signedWithdraw(TON, lab.chain.now + 60);
  const finalize = beginCell().storeUint(CHANNEL_OP.finalizeExternal, 32).endCell();
  for (const body of [signed, finalize]) {
    const longer = beginCell().storeSlice(body.beginParse()).storeBit(1).endCell();
    await refusedOutside(lab, longer, TVM_EXIT.bodyForm);
  }
});

test('a channel and its parties live in workchain 0', async () => {
  const { workchain } = CHANNEL_EXIT;
  for (const party of ['payer', 'payee'] as const) {
    const lab = await ChannelLab.create({ [party]: elsewhere(party === 'payer' ? PAYER : PAYEE) });
    await refused(lab.deposit(2n * TON, PAYER), workchain);
  }
  const lab = await ChannelLab.create();
  const to = elsewhere(lab.address);
  const init = channelInit(lab.terms);
  const message = { from: PAYER, to, value: 2n * TON, body: depositBody(1n), init };
  await refused(lab.chain.send(message), workchain);
});

function elsewhere(address: Address): Address {
  return new Address(-1, address.hash);
}
