/**
 * What every ledger must do; being registered is being tested. Crashes and random histories are in
 * ledger-histories.contract.ts. Spec: ton-settlement §4.2, §4.5, §4.11, §5, §7.
 * @module
 */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { generateEd25519, randomBytes } from '#primitives';
import { fixed } from '../../core/bytes.ts';
import type {
  Account,
  AdmissionCode,
  ChainState,
  Ledger,
  Reserve,
} from '../../settlement/ledger/ledger.ts';
import { LEDGERS } from '../../settlement/ledger/ledgers.ts';
import { WAITING_MAX } from '../../settlement/ledger/limits.ts';
import { AMOUNT_MAX, amount } from '../../settlement/money.ts';
import {
  contradictionBetween,
  isStatementSignedBy,
  parseStatementUnverified,
} from '../../settlement/statement.ts';
import { signVoucher, verifyVoucher } from '../../settlement/voucher.ts';
import {
  fundedChannel,
  idOf,
  LEDGER_KEY,
  NOW_MS,
  openLab,
  POLICY,
  receiptOf,
  reserveOf,
  settleOf,
  testChannel,
  WORKER,
  type TestChannel,
} from '../support/ledger-lab.ts';
import { SMALL_ORDER_KEYS } from '../support/payer-keys.ts';

async function accountOf(ledger: Ledger, id: TestChannel['id']): Promise<Account> {
  const account = await ledger.findAccount(id);
  assert.ok(account);
  return account;
}

for (const driver of LEDGERS) {
  const { name } = driver;
  const fresh = async (context: TestContext) => {
    const lab = await openLab(driver);
    context.after(() => lab.end());
    return lab;
  };

  const reservedAndSettled = async (ledger: Ledger, id: TestChannel['id'], cost: bigint) => {
    const reserve = reserveOf(id, cost);
    assert.equal((await ledger.reserve(reserve)).outcome, 'reserved');
    const settled = await ledger.settle(settleOf(reserve.requestId, cost));
    assert.ok(settled.outcome === 'settled');
    return settled;
  };

  test(`${name}: an account opens once, by its terms`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const { terms, id } = testChannel();
    assert.equal((await ledger.openAccount(terms)).outcome, 'opened');
    assert.equal((await ledger.openAccount(terms)).outcome, 'existing');
    for (const other of [
      { ...terms, asset: 'USDT' as const },
      { kind: 'channel', id, asset: 'TON', payerKey: generateEd25519().publicKey } as const,
      { kind: 'custodial', id, asset: 'TON' } as const,
    ]) {
      const answer = await ledger.openAccount(other);
      assert.deepEqual(answer, { outcome: 'refused', code: 'account_differs' });
    }
    const [, payerKey] = SMALL_ORDER_KEYS;
    assert.ok(payerKey);
    const unsound = { kind: 'channel', id: randomBytes(32), asset: 'TON', payerKey } as const;
    const answer = await ledger.openAccount(unsound);
    assert.deepEqual(answer, { outcome: 'refused', code: 'key_unsound' });
    assert.equal(await ledger.findAccount(unsound.id), undefined);
  });

  test(`${name}: whoever paid nothing may begin to pay, and not the other way round`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const id = randomBytes(32);
    const free = { kind: 'none', id, asset: 'TON' } as const;
    const paying = { kind: 'custodial', id, asset: 'USDT' } as const;
    await ledger.openAccount(free);
    await ledger.setStanding(id, 'frozen');
    const answer = await ledger.openAccount(paying);
    assert.equal(answer.outcome, 'opened');
    assert.equal(answer.account.kind, 'custodial');
    assert.equal(answer.account.asset, 'USDT');
    assert.equal(answer.account.standing, 'frozen', 'a change of terms must not thaw it');
    assert.deepEqual(await ledger.openAccount(free), {
      outcome: 'refused',
      code: 'account_differs',
    });
  });

  test(`${name}: whoever began to pay still does after a restart, and can be credited`, async (context) => {
    const lab = await fresh(context);
    const id = randomBytes(32);
    await lab.ledger().openAccount({ kind: 'none', id, asset: 'TON' });
    await lab.ledger().openAccount({ kind: 'custodial', id, asset: 'USDT' });
    await lab.ledger().close();
    const ledger = await lab.reopen();
    const { kind, asset } = await accountOf(ledger, id);
    assert.deepEqual([kind, asset], ['custodial', 'USDT']);
    const credit = { account: id, asset: 'USDT', amount: amount(9n), nowMs: NOW_MS } as const;
    const credited = await ledger.credit({ ...credit, reference: randomBytes(32) });
    assert.equal(credited.outcome, 'credited');
  });

  test(`${name}: what a running request may cost rises as far as its account covers`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const { id } = await fundedChannel(ledger, 100n);
    const reserve = reserveOf(id, 60n);
    await ledger.reserve(reserve);
    const { requestId } = reserve;
    assert.deepEqual(await ledger.extend({ requestId, need: amount(100n) }), {
      outcome: 'extended',
      need: 100n,
    });
    // Less than there is changes nothing.
    assert.deepEqual(await ledger.extend({ requestId, need: amount(10n) }), {
      outcome: 'extended',
      need: 100n,
    });
    const short = await ledger.extend({ requestId, need: amount(101n) });
    assert.ok(short.outcome === 'refused');
    assert.equal(short.code, 'insufficient_ceiling');
    assert.equal((await ledger.findAccount(id))?.reserved, 100n);
    const settled = await ledger.settle(settleOf(requestId, 90n));
    assert.ok(settled.outcome === 'settled' && !settled.clamped);
    const account = await ledger.findAccount(id);
    assert.deepEqual([account?.charged, account?.reserved], [90n, 0n]);
    for (const [ended, code] of [
      [requestId, 'request_ended'],
      [randomBytes(16), 'request_unknown'],
    ] as const) {
      const answer = await ledger.extend({ requestId: ended, need: amount(1n) });
      assert.ok(answer.outcome === 'refused');
      assert.equal(answer.code, code);
    }
  });

  test(`${name}: what was extended is there after a crash, and no frozen account extends`, async (context) => {
    const lab = await fresh(context);
    const ledger = lab.ledger();
    const { id } = await fundedChannel(ledger, 100n);
    const reserve = reserveOf(id, 60n);
    await ledger.reserve(reserve);
    const { requestId } = reserve;
    await ledger.extend({ requestId, need: amount(80n) });
    await lab.ledger().abandon();
    await lab.reopen();
    const request = await lab.ledger().findRequest(requestId);
    assert.ok(request?.state === 'reserved');
    assert.equal(request.reservation.need, 80n);
    assert.equal((await lab.ledger().findAccount(id))?.reserved, 80n);
    await lab.ledger().setStanding(id, 'frozen');
    const frozen = await lab.ledger().extend({ requestId, need: amount(90n) });
    assert.ok(frozen.outcome === 'refused');
    assert.equal(frozen.code, 'account_frozen');
  });

  test(`${name}: what one voucher alone pays for is admitted with it and grows no further once there is another`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const channel = await fundedChannel(ledger, 100n);
    const sole = { epoch: 0, ceiling: amount(100n) };
    const { requestId, ...rest } = reserveOf(channel.id, 60n, { sole });
    assert.equal((await ledger.reserve({ requestId, ...rest })).outcome, 'reserved');
    const grown = await ledger.extend({ requestId, need: amount(70n), sole });
    assert.equal(grown.outcome, 'extended');
    await ledger.acceptVoucher(channel.voucher(101n));
    const kept = await ledger.extend({ requestId, need: amount(70n), sole });
    assert.equal(kept.outcome, 'extended', 'what is reserved stays so');
    const refused = await ledger.extend({ requestId, need: amount(71n), sole });
    assert.ok(refused.outcome === 'refused');
    assert.equal(refused.code, 'voucher_stale');
    assert.equal((await accountOf(ledger, channel.id)).reserved, 70n);
    assert.equal((await ledger.extend({ requestId, need: amount(71n) })).outcome, 'extended');
  });

  /** What would be admitted, and one thing about it that is not as it should be. */
  const REFUSALS: readonly (readonly [
    code: AdmissionCode,
    spoil: (ledger: Ledger, channel: TestChannel) => Promise<Partial<Reserve>>,
  ])[] = [
    ['channel_unknown', () => Promise.resolve({ account: randomBytes(32) })],
    ['asset_unsupported', () => Promise.resolve({ asset: 'USDT' })],
    ['quote_expired', () => Promise.resolve({ quoteValidUntilMs: NOW_MS - 1 })],
    [
      'account_frozen',
      async (ledger, { id }) => {
        await ledger.setStanding(id, 'frozen');
        return {};
      },
    ],
    [
      'account_frozen',
      async (ledger, channel) => {
        const state = channel.state({ claimed: amount(1n), blockSeqno: 2 });
        assert.equal((await ledger.recordChainState(state)).outcome, 'behind');
        return {};
      },
    ],
    ['epoch_mismatch', (_, channel) => Promise.resolve({ voucher: channel.voucher(1000n, 1) })],
    [
      'voucher_bad_signature',
      (_, { id }) => {
        const thief = generateEd25519();
        const terms = { channel: id, epoch: 0, ceiling: amount(1000n) };
        const voucher = verifyVoucher(signVoucher(thief.secretKey, terms), thief.publicKey);
        assert.ok(voucher);
        return Promise.resolve({ voucher });
      },
    ],
    ['voucher_stale', () => Promise.resolve({ sole: { epoch: 0, ceiling: amount(899n) } })],
    ['voucher_stale', () => Promise.resolve({ sole: { epoch: 1, ceiling: amount(900n) } })],
    ['insufficient_ceiling', () => Promise.resolve({ need: amount(901n) })],
    [
      'insufficient_deposit',
      (_, channel) => Promise.resolve({ need: amount(1001n), voucher: channel.voucher(5000n) }),
    ],
    [
      'channel_closing',
      async (ledger, channel) => {
        await ledger.recordChainState(channel.state({ withdrawing: amount(101n) }));
        return {};
      },
    ],
  ];

  for (const [code, spoil] of REFUSALS) {
    test(`${name}: nothing but ${code} refuses a request that would be admitted`, async (context) => {
      const ledger = (await fresh(context)).ledger();
      const channel = await fundedChannel(ledger, 900n);
      const change = await spoil(ledger, channel);
      const request = reserveOf(channel.id, 900n, change);
      const answer = await ledger.reserve(request);
      assert.ok(answer.outcome === 'refused', answer.outcome);
      assert.equal(answer.code, code);
      assert.equal(await ledger.findRequest(request.requestId), undefined);
      assert.equal((await accountOf(ledger, channel.id)).reserved, 0n);
    });
  }

  test(`${name}: what those requests were spoilt from is admitted, to the last unit`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const channel = await fundedChannel(ledger, 900n);
    assert.equal((await ledger.reserve(reserveOf(channel.id, 900n))).outcome, 'reserved');
    const one = await ledger.reserve(reserveOf(channel.id, 1n));
    assert.ok(one.outcome === 'refused' && one.code === 'insufficient_ceiling');
    assert.equal(one.account?.reserved, 900n);
  });

  test(`${name}: on the word of one provider a channel owes no more than the ramp, until it was seen to pay`, async (context) => {
    const lab = await openLab(driver, undefined, { TON: amount(100n), USDT: amount(0n) });
    context.after(() => lab.end());
    const ledger = lab.ledger();
    const channel = await fundedChannel(ledger);
    await reservedAndSettled(ledger, channel.id, 60n);
    assert.equal((await ledger.reserve(reserveOf(channel.id, 40n))).outcome, 'reserved');
    const over = reserveOf(channel.id, 1n);
    const codeAfter = async (state: Partial<ChainState>) => {
      await ledger.recordChainState(channel.state(state));
      const answer = await ledger.reserve({ ...over, requestId: randomBytes(16) });
      return answer.outcome === 'refused' ? answer.code : answer.outcome;
    };
    assert.equal(await codeAfter({}), 'ramp_cap');
    assert.equal(await codeAfter({ witnesses: 2 }), 'reserved');
    assert.equal(await codeAfter({ witnesses: 1 }), 'ramp_cap', 'as it was read last');
    assert.equal(await codeAfter({ claimed: amount(1n), blockSeqno: 2 }), 'reserved');
  });

  test(`${name}: a closing account admits nobody, and opens with the next epoch`, async (context) => {
    const lab = await fresh(context);
    const channel = await fundedChannel(lab.ledger());
    const open = reserveOf(channel.id, 5n);
    await lab.ledger().reserve(open);
    const busy = await lab.ledger().closeAccount(channel.id);
    assert.deepEqual(busy, { outcome: 'refused', code: 'requests_open' });
    await lab.ledger().settle(settleOf(open.requestId, 5n));
    assert.equal((await lab.ledger().closeAccount(channel.id)).outcome, 'closing');
    await lab.ledger().setStanding(channel.id, 'good');
    await lab.ledger().close();
    const ledger = await lab.reopen();
    await ledger.recordChainState(channel.state());
    const refused = await ledger.reserve(reserveOf(channel.id, 1n));
    assert.ok(refused.outcome === 'refused' && refused.code === 'channel_closing');
    const next = { epoch: 1, claimed: amount(5n), blockSeqno: 2 };
    await ledger.recordChainState(channel.state(next));
    const again = reserveOf(channel.id, 1n, { voucher: channel.voucher(100n, 1) });
    assert.equal((await ledger.reserve(again)).outcome, 'reserved');
    const unknown = await ledger.closeAccount(randomBytes(32));
    assert.deepEqual(unknown, { outcome: 'refused', code: 'channel_unknown' });
  });

  test(`${name}: an anchored hash is found wherever it stands, and a strange one is not`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const channel = await fundedChannel(ledger);
    const empty = await ledger.journalHead();
    await reservedAndSettled(ledger, channel.id, 1n);
    const first = await ledger.journalHead();
    await reservedAndSettled(ledger, channel.id, 1n);
    assert.deepEqual(await ledger.findHead(empty.hash), empty);
    assert.deepEqual(await ledger.findHead(first.hash), first);
    assert.equal(await ledger.findHead(randomBytes(32)), undefined);
  });

  test(`${name}: notes are kept by kind and key, replaced, listed in order, and dropped`, async (context) => {
    const lab = await fresh(context);
    const key = (byte: number) => fixed(new Uint8Array(32).fill(byte), 32);
    const note = (kind: string, byte: number, value: number) => ({
      kind,
      key: key(byte),
      value: Uint8Array.of(value),
    });
    const kept = [note('a', 1, 1), note('a', 3, 3), note('a', 2, 2), note('b', 1, 9)];
    for (const each of kept) await lab.ledger().saveNote(each);
    await lab.ledger().saveNote(note('a', 1, 7));
    await lab.ledger().close();
    const ledger = await lab.reopen();
    assert.deepEqual(await ledger.findNote('a', key(1)), note('a', 1, 7));
    assert.equal(await ledger.findNote('c', key(1)), undefined);
    const all = await ledger.listNotes({ kind: 'a', after: undefined, limit: 2 });
    assert.deepEqual(all, [note('a', 1, 7), note('a', 2, 2)]);
    const rest = await ledger.listNotes({ kind: 'a', after: key(2), limit: 2 });
    assert.deepEqual(rest, [note('a', 3, 3)]);
    assert.equal(await ledger.dropNote('a', key(3)), true);
    assert.equal(await ledger.dropNote('a', key(3)), false);
  });

  test(`${name}: after a restart the chain is read before anybody is admitted`, async (context) => {
    const lab = await fresh(context);
    const channel = await fundedChannel(lab.ledger());
    await lab.ledger().close();
    const ledger = await lab.reopen();
    const early = await ledger.reserve(reserveOf(channel.id, 1n));
    assert.ok(early.outcome === 'refused' && early.code === 'channel_unsynced');
    await ledger.recordChainState(channel.state());
    assert.equal((await ledger.reserve(reserveOf(channel.id, 1n))).outcome, 'reserved');
  });

  test(`${name}: a voucher that comes with a request counts for it, and stays`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const channel = await fundedChannel(ledger, 10n);
    const raised = reserveOf(channel.id, 20n, { voucher: channel.voucher(20n) });
    assert.equal((await ledger.reserve(raised)).outcome, 'reserved');
    const late = reserveOf(channel.id, 0n, { voucher: channel.voucher(5n) });
    assert.equal((await ledger.reserve(late)).outcome, 'reserved', 'an older one changes nothing');
    const refused = reserveOf(channel.id, 500n, { voucher: channel.voucher(30n) });
    assert.equal((await ledger.reserve(refused)).outcome, 'refused');
    assert.equal((await accountOf(ledger, channel.id)).ceiling, 30n);
  });

  test(`${name}: a voucher is refused by exactly what is wrong with it`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const channel = await fundedChannel(ledger, 100n);
    const codeOf = async (voucher: ReturnType<TestChannel['voucher']>) => {
      const answer = await ledger.acceptVoucher(voucher);
      return answer.outcome === 'refused' ? answer.code : answer.outcome;
    };
    assert.equal(await codeOf(channel.voucher(100n)), 'accepted');
    assert.equal(await codeOf(channel.voucher(99n)), 'voucher_stale');
    assert.equal(await codeOf(channel.voucher(100n, 1)), 'epoch_mismatch');
    assert.equal(await codeOf(testChannel().voucher(100n)), 'channel_unknown');
    const thief = generateEd25519();
    const terms = { channel: channel.id, epoch: 0, ceiling: amount(100n) };
    const forged = verifyVoucher(signVoucher(thief.secretKey, terms), thief.publicKey);
    assert.ok(forged);
    assert.equal(await codeOf(forged), 'voucher_bad_signature');
    const unproved = { ...channel.voucher(101n) };
    assert.throws(() => ledger.acceptVoucher(unproved), { code: 'internal.invariant' });
  });

  test(`${name}: a new epoch makes the vouchers of the old one worthless`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const channel = await fundedChannel(ledger);
    await ledger.recordChainState(channel.state({ epoch: 1, blockSeqno: 2 }));
    const answer = await ledger.reserve(reserveOf(channel.id, 1n));
    assert.ok(answer.outcome === 'refused' && answer.code === 'insufficient_ceiling');
    const renewed = reserveOf(channel.id, 1n, { voucher: channel.voucher(1n, 1) });
    assert.equal((await ledger.reserve(renewed)).outcome, 'reserved');
  });

  test(`${name}: the chain's counters only rise, and in the order of its blocks`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const channel = await fundedChannel(ledger);
    const after = async (change: Parameters<TestChannel['state']>[0]) => {
      const answer = await ledger.recordChainState(channel.state({ blockSeqno: 9, ...change }));
      return answer.outcome === 'refused' ? answer.code : answer.outcome;
    };
    assert.equal(await after({ blockSeqno: 5, refunded: amount(3n), epoch: 1 }), 'recorded');
    assert.equal(await after({ blockSeqno: 4, refunded: amount(3n), epoch: 1 }), 'chain_stale');
    assert.equal(await after({ refunded: amount(2n), epoch: 1 }), 'chain_regressed');
    assert.equal(await after({ refunded: amount(3n), epoch: 0 }), 'chain_regressed');
    const less = { refunded: amount(3n), epoch: 1, deposited: amount(999n) };
    assert.equal(await after(less), 'chain_regressed');
    assert.equal(await after({ refunded: amount(1001n), epoch: 1 }), 'chain_regressed');
    const stranger = await ledger.recordChainState(testChannel().state());
    assert.deepEqual(stranger, { outcome: 'refused', code: 'channel_unknown' });
  });

  test(`${name}: a request is settled once, and repeats the identical statement`, async (context) => {
    const lab = await fresh(context);
    const ledger = lab.ledger();
    const channel = await fundedChannel(ledger);
    const { requestId, ...rest } = reserveOf(channel.id, 100n);
    await ledger.reserve({ requestId, ...rest });
    const first = await ledger.settle(settleOf(requestId, 60n));
    assert.ok(first.outcome === 'settled' && !first.repeated && !first.clamped);
    const signed = parseStatementUnverified(first.statement);
    assert.ok(isStatementSignedBy(signed, LEDGER_KEY.publicKey));
    const { amount: part, cum, n, policyDigest, requestId: named } = signed.statement;
    assert.deepEqual([part, cum, n], [60n, 60n, 1n]);
    assert.deepEqual([policyDigest, named], [POLICY, requestId]);

    const again = await ledger.settle(settleOf(requestId, 99n));
    assert.deepEqual(again, { ...first, repeated: true });
    await ledger.close();
    const reopened = await lab.reopen();
    assert.deepEqual(await reopened.settle(settleOf(requestId, 1n)), { ...first, repeated: true });
    const { charged, reserved } = await accountOf(reopened, channel.id);
    assert.deepEqual([charged, reserved], [60n, 0n]);
    const replayed = await reopened.reserve({ requestId, ...rest });
    assert.ok(replayed.outcome === 'replayed' && replayed.request.state === 'settled');
    assert.deepEqual(replayed.request.entry.statement, first.statement);
  });

  test(`${name}: a receipt beyond the reservation is clamped to it, and says so`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const channel = await fundedChannel(ledger);
    const { requestId, ...rest } = reserveOf(channel.id, 100n);
    await ledger.reserve({ requestId, ...rest });
    const settled = await ledger.settle(settleOf(requestId, 2n ** 127n));
    assert.ok(settled.outcome === 'settled' && settled.clamped);
    assert.equal((await accountOf(ledger, channel.id)).charged, 100n);
    const [entry] = await ledger.readJournal(1n, 1);
    assert.deepEqual([entry?.asked, entry?.amount], [2n ** 127n, 100n]);
  });

  test(`${name}: what was not reserved, was released, or is a stranger's is not settled`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const channel = await fundedChannel(ledger);
    const refusalOf = async (settle: ReturnType<typeof settleOf>) => {
      const answer = await ledger.settle(settle);
      return answer.outcome === 'refused' ? answer.code : answer.outcome;
    };
    assert.equal(await refusalOf(settleOf(randomBytes(16), 1n)), 'request_unknown');
    const stranger = reserveOf(channel.id, 10n);
    await ledger.reserve(stranger);
    const receipt = receiptOf(stranger.requestId, 1n, { workerId: randomBytes(32) });
    const bySomebody = { ...settleOf(stranger.requestId, 1n), receipt };
    assert.equal(await refusalOf(bySomebody), 'worker_unlisted');
    const released = await ledger.release(stranger.requestId);
    assert.deepEqual(released, { outcome: 'released', repeated: false });
    assert.equal(await refusalOf(settleOf(stranger.requestId, 1n)), 'request_released');
    assert.equal((await accountOf(ledger, channel.id)).reserved, 0n);
  });

  test(`${name}: a release returns everything, once, and keeps the id taken`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const channel = await fundedChannel(ledger);
    const request = reserveOf(channel.id, 1000n);
    await ledger.reserve(request);
    await ledger.release(request.requestId);
    const twice = await ledger.release(request.requestId);
    assert.deepEqual(twice, { outcome: 'released', repeated: true });
    const again = await ledger.reserve(request);
    assert.ok(again.outcome === 'replayed' && again.request.state === 'released');
    const unknown = await ledger.release(randomBytes(16));
    assert.deepEqual(unknown, { outcome: 'refused', code: 'request_unknown' });
    const settled = reserveOf(channel.id, 1n);
    await ledger.reserve(settled);
    await ledger.settle(settleOf(settled.requestId, 1n));
    const late = await ledger.release(settled.requestId);
    assert.deepEqual(late, { outcome: 'refused', code: 'request_settled' });
  });

  test(`${name}: purge forgets released ids past their time and nothing else`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const channel = await fundedChannel(ledger);
    const [open, released, settled] = [1n, 2n, 3n].map((need) => reserveOf(channel.id, need));
    assert.ok(open && released && settled);
    for (const request of [open, released, settled]) await ledger.reserve(request);
    await ledger.release(released.requestId);
    await ledger.settle(settleOf(settled.requestId, 1n));
    assert.equal(await ledger.purge(open.expiresMs - 1), 0);
    assert.equal(await ledger.purge(open.expiresMs), 1);
    assert.equal(await ledger.findRequest(released.requestId), undefined);
    assert.equal((await ledger.findRequest(open.requestId))?.state, 'reserved');
    assert.equal((await ledger.findRequest(settled.requestId))?.state, 'settled');
  });

  test(`${name}: open reservations are listed in pages, also after a restart`, async (context) => {
    const lab = await fresh(context);
    const channel = await fundedChannel(lab.ledger());
    const ids = [5, 1, 300, 2].map(idOf);
    for (const requestId of ids) {
      await lab.ledger().reserve(reserveOf(channel.id, 1n, { requestId }));
    }
    await lab.ledger().close();
    const ledger = await lab.reopen();
    const first = await ledger.listReservations(undefined, 2);
    assert.deepEqual(
      first.map(({ requestId }) => requestId),
      [idOf(1), idOf(2)],
    );
    assert.deepEqual(first[0]?.workers, [WORKER]);
    const second = await ledger.listReservations(first[1]?.requestId, 9);
    assert.deepEqual(
      second.map(({ requestId }) => requestId),
      [idOf(5), idOf(300)],
    );
  });

  test(`${name}: many clients at once never exceed a ceiling, and all of it can be used`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const channel = await fundedChannel(ledger, 100n);
    const client = async (seed: number) => {
      let admitted = 0;
      for (let round = 0; round < 20; round++) {
        const request = reserveOf(channel.id, BigInt(1 + ((seed + round) % 5)));
        if ((await ledger.reserve(request)).outcome !== 'reserved') continue;
        const { charged, reserved } = await accountOf(ledger, channel.id);
        assert.ok(charged + reserved <= 100n);
        admitted++;
        if (round % 3 === 0) await ledger.release(request.requestId);
        else await ledger.settle(settleOf(request.requestId, request.need));
      }
      return admitted;
    };
    await Promise.all(Array.from({ length: 16 }, (_, seed) => client(seed)));
    const end = await accountOf(ledger, channel.id);
    assert.equal(end.reserved, 0n);
    assert.equal(end.charged, 100n);
  });

  test(`${name}: the sum does not depend on the order in which requests end`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const ends = [3n, 5n, 7n, 11n];
    const sums = [];
    for (const order of [ends, ends.toReversed()]) {
      const channel = await fundedChannel(ledger);
      const requests = order.map((cost) => [cost, reserveOf(channel.id, 20n)] as const);
      for (const [, request] of requests) await ledger.reserve(request);
      await Promise.all(
        requests.map(([cost, { requestId }]) => ledger.settle(settleOf(requestId, cost))),
      );
      const { charged, reserved, n } = await accountOf(ledger, channel.id);
      sums.push([charged, reserved, n]);
    }
    assert.deepEqual(sums[0], [26n, 0n, 4n]);
    assert.deepEqual(sums[0], sums[1]);
  });

  test(`${name}: statements of a channel never contradict each other`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const channel = await fundedChannel(ledger);
    await Promise.all([1n, 2n, 3n].map((cost) => reservedAndSettled(ledger, channel.id, cost)));
    await ledger.adoptCharge({
      account: channel.id,
      cum: amount(50n),
      reference: randomBytes(32),
      nowMs: NOW_MS,
    });
    await reservedAndSettled(ledger, channel.id, 4n);
    const entries = await ledger.readJournal(1n, 100);
    const statements = entries
      .filter(({ kind }) => kind === 'settle')
      .map((entry) => parseStatementUnverified(entry.statement).statement);
    assert.equal(statements.length, 4);
    for (const one of statements) {
      for (const other of statements) assert.equal(contradictionBetween(one, other), undefined);
    }
  });

  test(`${name}: a custodial account spends what was credited, each transfer once`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const id = randomBytes(32);
    await ledger.openAccount({ kind: 'custodial', id, asset: 'USDT' });
    const reference = randomBytes(32);
    const sum = { asset: 'USDT', amount: amount(50n) } as const;
    const credit = { account: id, ...sum, reference, nowMs: NOW_MS };
    const first = await ledger.credit(credit);
    assert.ok(first.outcome === 'credited' && !first.repeated);
    const twice = await ledger.credit(credit);
    assert.ok(twice.outcome === 'credited' && twice.repeated);
    const whole = reserveOf(id, 50n, { asset: 'USDT' });
    assert.equal((await ledger.reserve(whole)).outcome, 'reserved');
    const more = await ledger.reserve(reserveOf(id, 1n, { asset: 'USDT' }));
    assert.ok(more.outcome === 'refused' && more.code === 'insufficient_deposit');
    const flood = { ...credit, amount: amount(AMOUNT_MAX), reference: randomBytes(32) };
    assert.deepEqual(await ledger.credit(flood), { outcome: 'refused', code: 'out_of_range' });
    const coins = { ...credit, asset: 'TON', reference: randomBytes(32) } as const;
    assert.deepEqual(await ledger.credit(coins), { outcome: 'refused', code: 'asset_differs' });
    const { id: channel } = await fundedChannel(ledger);
    const elsewhere = { ...credit, reference: randomBytes(32), account: channel };
    assert.deepEqual(await ledger.credit(elsewhere), { outcome: 'refused', code: 'not_custodial' });
    const nowhere = { ...elsewhere, account: randomBytes(32) };
    assert.deepEqual(await ledger.credit(nowhere), { outcome: 'refused', code: 'account_unknown' });
  });

  test(`${name}: without money everything is counted and nothing costs`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const id = randomBytes(32);
    await ledger.openAccount({ kind: 'none', id, asset: 'TON' });
    const free = reserveOf(id, 0n);
    assert.equal((await ledger.reserve(free)).outcome, 'reserved');
    const settled = await ledger.settle(settleOf(free.requestId, 5n));
    assert.ok(settled.outcome === 'settled');
    const { amount: part, n } = parseStatementUnverified(settled.statement).statement;
    assert.deepEqual([part, n], [0n, 1n]);
    const priced = await ledger.reserve(reserveOf(id, 1n));
    assert.ok(priced.outcome === 'refused' && priced.code === 'account_free');
  });

  test(`${name}: a witness that remembers more is believed, and its number never used again`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const channel = await fundedChannel(ledger);
    await ledger.recordChainState(channel.state({ claimed: amount(40n), blockSeqno: 2 }));
    const adopt = { account: channel.id, reference: randomBytes(32), nowMs: NOW_MS };
    const low = await ledger.adoptCharge({ ...adopt, cum: amount(30n), n: 7n });
    assert.ok(low.outcome === 'adopted');
    const still = await ledger.reserve(reserveOf(channel.id, 1n));
    assert.ok(still.outcome === 'refused' && still.code === 'account_frozen', 'claimed 40');
    await ledger.adoptCharge({ ...adopt, cum: amount(45n), n: 9n });
    const known = await ledger.adoptCharge({ ...adopt, cum: amount(44n), n: 8n });
    assert.equal(known.outcome, 'known');
    const settled = await reservedAndSettled(ledger, channel.id, 5n);
    const { cum, n } = parseStatementUnverified(settled.statement).statement;
    assert.deepEqual([cum, n], [50n, 10n]);
    const nobody = await ledger.adoptCharge({
      ...adopt,
      account: randomBytes(32),
      cum: amount(1n),
    });
    assert.deepEqual(nobody, { outcome: 'refused', code: 'account_unknown' });
  });

  test(`${name}: an anchored head is found in the journal, another one is not`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const channel = await fundedChannel(ledger);
    const empty = await ledger.journalHead();
    assert.equal(empty.seq, 0n);
    await reservedAndSettled(ledger, channel.id, 1n);
    const anchored = await ledger.journalHead();
    await reservedAndSettled(ledger, channel.id, 1n);
    assert.equal(await ledger.hasHead(empty), true);
    assert.equal(await ledger.hasHead(anchored), true);
    assert.equal(await ledger.hasHead({ ...anchored, hash: randomBytes(32) }), false);
    assert.equal(await ledger.hasHead({ ...anchored, seq: 2n }), false);
    assert.equal(await ledger.hasHead({ ...anchored, seq: 3n }), false, 'rolled back');
    assert.equal(await ledger.hasHead({ seq: 0n, hash: randomBytes(32) }), false);
  });

  test(`${name}: a worker that remembers a later receipt shows that rows are missing`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const channel = await fundedChannel(ledger);
    const statementHash = fixed(new Uint8Array(32).fill(9), 32);
    assert.equal(await ledger.hasWorkerSeq({ statementHash, workerSeq: 0n }), true);
    for (const workerSeq of [2n ** 64n - 2n, 3n]) {
      const { requestId, ...rest } = reserveOf(channel.id, 1n);
      await ledger.reserve({ requestId, ...rest });
      const receipt = receiptOf(requestId, 1n, { workerSeq });
      await ledger.settle({ receipt, policyDigest: POLICY, nowMs: NOW_MS });
    }
    const has = (workerSeq: bigint) => ledger.hasWorkerSeq({ statementHash, workerSeq });
    assert.deepEqual([await has(2n ** 64n - 2n), await has(2n ** 64n - 1n)], [true, false]);
  });

  test(`${name}: a planned payout is paid once, whatever becomes of its messages`, async (context) => {
    const lab = await fresh(context);
    const ledger = lab.ledger();
    const channel = await fundedChannel(ledger);
    await reservedAndSettled(ledger, channel.id, 100n);
    const payees = [
      { workerId: WORKER, destination: 'EQ' },
      { workerId: WORKER, destination: 'EQ' },
      { workerId: randomBytes(32), destination: 'EQ' },
    ];
    const plan = {
      queryId: 1n,
      asset: 'TON',
      payees,
      minimum: amount(95n),
      validUntilMs: 10,
    } as const;
    const dear = await ledger.planPayouts({ ...plan, minimum: amount(96n) });
    assert.equal(dear.payouts.length, 0);
    const planned = await ledger.planPayouts(plan);
    assert.deepEqual(
      planned.payouts.map(({ amount: part }) => part),
      [95n],
    );
    const again = await ledger.planPayouts({ ...plan, minimum: amount(0n) });
    assert.deepEqual(again, { ...planned, repeated: true });
    assert.equal((await ledger.planPayouts({ ...plan, queryId: 2n })).payouts.length, 0);

    const early = await ledger.expirePayout(1n, 10);
    assert.deepEqual(early, { outcome: 'refused', code: 'payout_pending' });
    assert.deepEqual(await ledger.expirePayout(1n, 11), { outcome: 'expired', repeated: false });
    assert.deepEqual(await ledger.expirePayout(1n, 11), { outcome: 'expired', repeated: true });
    const second = await ledger.planPayouts({ ...plan, queryId: 2n });
    assert.equal(second.payouts.length, 1);
    const confirmed = { outcome: 'confirmed', repeated: false, late: false };
    assert.deepEqual(await ledger.confirmPayout(2n, 12), confirmed);
    assert.deepEqual(await ledger.confirmPayout(2n, 12), { ...confirmed, repeated: true });
    const tooLate = await ledger.expirePayout(2n, 99);
    assert.deepEqual(tooLate, { outcome: 'refused', code: 'payout_confirmed' });
    for (const answer of [await ledger.expirePayout(9n, 0), await ledger.confirmPayout(9n, 0)]) {
      assert.deepEqual(answer, { outcome: 'refused', code: 'payout_unknown' });
    }
    const { earned, paid, planned: open } = await ledger.findWorker(WORKER, 'TON');
    assert.deepEqual([earned, paid, open], [95n, 95n, 0n]);

    // The chain executed what was given up: the books follow the chain, and later earnings are set off.
    assert.deepEqual(await ledger.confirmPayout(1n, 20), { ...confirmed, late: true });
    await reservedAndSettled(ledger, channel.id, 100n);
    const third = await ledger.planPayouts({ ...plan, queryId: 3n, minimum: amount(0n) });
    assert.equal(third.payouts.length, 0);
    await ledger.close();
    const reopened = await lab.reopen();
    assert.equal((await reopened.findWorker(WORKER, 'TON')).paid, 190n);
  });

  test(`${name}: what something else pays is left out of a plan, and stays owed`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const channel = await fundedChannel(ledger);
    await reservedAndSettled(ledger, channel.id, 100n);
    const planned = async (queryId: bigint, covered: bigint, minimum = 0n) => {
      const payees = [{ workerId: WORKER, destination: 'EQ', covered: amount(covered) }];
      const plan = { queryId, asset: 'TON', payees, validUntilMs: 10 } as const;
      const { payouts } = await ledger.planPayouts({ ...plan, minimum: amount(minimum) });
      return payouts.map(({ amount: part }) => part);
    };
    assert.deepEqual(await planned(1n, 96n), []);
    assert.deepEqual(await planned(2n, 95n), []);
    assert.deepEqual(await planned(3n, 60n, 36n), []);
    assert.deepEqual(await planned(4n, 60n, 35n), [35n]);
    assert.deepEqual(await planned(5n, 60n), []);
    assert.deepEqual(await planned(6n, 0n), [60n]);
  });

  test(`${name}: a nullifier is spent once, of many at once by one`, async (context) => {
    const lab = await fresh(context);
    const nullifier = { epoch: 4, hash: randomBytes(32) };
    const won = await Promise.all(
      Array.from({ length: 20 }, () => lab.ledger().spendNullifier(nullifier)),
    );
    assert.equal(won.filter(Boolean).length, 1);
    await lab.ledger().close();
    const ledger = await lab.reopen();
    assert.equal(await ledger.spendNullifier(nullifier), false);
    assert.equal(await ledger.spendNullifier({ ...nullifier, epoch: 5 }), true);
    assert.equal(await ledger.dropNullifiers(5), 1);
    assert.equal(await ledger.spendNullifier({ ...nullifier, epoch: 5 }), false);
  });

  test(`${name}: whoever opens it last is the only one who writes`, async (context) => {
    const lab = await fresh(context);
    const first = lab.ledger();
    const channel = await fundedChannel(first);
    const second = await lab.reopen();
    const request = reserveOf(channel.id, 1n);
    await assert.rejects(first.reserve(request), { code: 'ledger.fenced' });
    await assert.rejects(first.journalHead(), { code: 'ledger.fenced' });
    assert.equal(await second.findRequest(request.requestId), undefined);
  });

  test(`${name}: more than can wait is refused at once, and what waits is kept`, async (context) => {
    const ledger = (await fresh(context)).ledger();
    const calls = Array.from({ length: WAITING_MAX + 1 }, () => ledger.journalHead());
    const ends = await Promise.allSettled(calls);
    assert.equal(ends.filter(({ status }) => status === 'fulfilled').length, WAITING_MAX);
    const last = ends[WAITING_MAX];
    assert.ok(last?.status === 'rejected' && String(last.reason).includes('ledger.busy'));
  });

  test(`${name}: closing keeps what was asked before, and refuses what comes after`, async (context) => {
    const lab = await fresh(context);
    const channel = await fundedChannel(lab.ledger());
    const request = reserveOf(channel.id, 1n);
    const asked = lab.ledger().reserve(request);
    const closed = lab.ledger().close();
    await assert.rejects(lab.ledger().journalHead(), { code: 'ledger.closed' });
    assert.equal((await asked).outcome, 'reserved');
    await closed;
    await lab.ledger().close();
    const ledger = await lab.reopen();
    assert.equal((await ledger.findRequest(request.requestId))?.state, 'reserved');
  });

  test(`${name}: an operation that fails leaves nothing, and its group is kept`, async (context) => {
    const lab = await openLab(driver, {
      url: new URL('../support/failing-signer.ts', import.meta.url).href,
      data: idOf(666),
    });
    context.after(() => lab.end());
    const ledger = lab.ledger();
    const channel = await fundedChannel(ledger);
    const requests = [665, 666, 667].map((id) =>
      reserveOf(channel.id, 10n, { requestId: idOf(id) }),
    );
    await Promise.all(requests.map((request) => ledger.reserve(request)));
    const ends = await Promise.allSettled(
      requests.map(({ requestId }) => ledger.settle(settleOf(requestId, 10n))),
    );
    assert.deepEqual(
      ends.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    const { charged, reserved, n } = await accountOf(ledger, channel.id);
    assert.deepEqual([charged, reserved, n], [20n, 10n, 2n]);
    await ledger.close();
    await lab.reopen();
  });
}
