/** The rest of a settler's duties over the devnet. Spec: ton-settlement §4.7 to §4.11, D8. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address, beginCell, type Cell } from '@ton/core';
import { ed25519PublicKey } from '#primitives';
import { toHex } from '../../../core/bytes.ts';
import { amount } from '../../../settlement/money.ts';
import {
  CHANNEL_OP,
  finalizeWithdrawBody,
  requestWithdrawBody,
} from '../../../settlement/ton/contracts/pay-channel.ts';
import { verifyVoucher } from '../../../settlement/voucher.ts';
import { signVoucher } from '../../../settlement/voucher.ts';
import { reserveOf } from '../../support/ledger-lab.ts';
import {
  PAYER_SEED,
  seed,
  TON,
  withSettler,
  type PaidChannel,
  type SettlerLab,
} from '../../support/settler-lab.ts';
import { impatientChain } from '../../support/ton/told-chain.ts';
import { until } from '../../support/until.ts';

async function promise(lab: SettlerLab, { channel }: PaidChannel, ceiling: bigint) {
  const terms = { channel, epoch: 0, ceiling: amount(ceiling) };
  const voucher = verifyVoucher(signVoucher(PAYER_SEED, terms), ed25519PublicKey(PAYER_SEED));
  assert.ok(voucher);
  await lab.ledger.acceptVoucher(voucher);
}

test('a channel closes by agreement: what was charged is paid and the rest goes back at once', async () => {
  await withSettler({ providers: 2 }, async (lab) => {
    const channel = await lab.open();
    await lab.use(channel, TON / 2n);
    const before = (await lab.wallet.readState(lab.chain)).balanceNanoton;
    assert.deepEqual(await lab.settler.closeChannel(channel.channel), { outcome: 'closing' });
    await lab.rounds(async () => (await lab.ledger.findAccount(channel.channel))?.epoch === 1);
    const after = (await lab.wallet.readState(lab.chain)).balanceNanoton;
    assert.ok(after - before > (TON * 14n) / 10n, 'two less a half, and fees');
    const account = await lab.ledger.findAccount(channel.channel);
    assert.deepEqual([account?.claimed, account?.isClosing], [TON / 2n, false]);
  });
});

test('with nothing left to claim our own wallet brings the final charge', async () => {
  await withSettler({ providers: 2 }, async (lab) => {
    const channel = await lab.open();
    await lab.devnet.faucet(Address.parse(lab.treasury.address), 2n * TON);
    await promise(lab, channel, 1n);
    await lab.settler.closeChannel(channel.channel);
    await lab.rounds(async () => (await lab.ledger.findAccount(channel.channel))?.epoch === 1);
    assert.equal((await lab.onChain(channel)).status, 'idle');
  });
});

test('a close is refused while requests are open, without a promise, and of strangers', async () => {
  await withSettler({ providers: 2 }, async (lab) => {
    const channel = await lab.open();
    const codeOf = async (id: PaidChannel['channel']) => {
      const answer = await lab.settler.closeChannel(id);
      return answer.outcome === 'refused' ? answer.code : answer.outcome;
    };
    assert.equal(await codeOf(seed(1)), 'channel_unknown');
    assert.equal(await codeOf(channel.channel), 'voucher_needed');
    await promise(lab, channel, TON);
    await lab.ledger.reserve(reserveOf(channel.channel, 1n));
    assert.equal(await codeOf(channel.channel), 'requests_open');
  });
});

test('a final charge is signed only after the account was closed for good, whatever dies in between', async () => {
  await withSettler({ providers: 2 }, async (lab) => {
    const channel = await lab.open();
    await lab.use(channel, TON / 2n);
    await lab.ledger.closeAccount(channel.channel);
    await lab.restart();
    const late = await lab.ledger.reserve(reserveOf(channel.channel, 0n));
    assert.ok(late.outcome === 'refused' && late.code === 'channel_closing');
    await lab.rounds(async () => (await lab.ledger.findAccount(channel.channel))?.epoch === 1);
    assert.equal((await lab.onChain(channel)).claimed, TON / 2n);
  });
});

test('a stranger’s withdraw notice makes nobody do anything', async () => {
  await withSettler({ providers: 2 }, async (lab) => {
    const channel = await lab.open();
    await lab.settler.round();
    const notice = beginCell()
      .storeUint(CHANNEL_OP.withdrawNotice, 32)
      .storeUint(0, 64)
      .storeCoins(TON)
      .storeUint(1, 32)
      .endCell();
    const to = Address.parse(lab.treasury.address);
    await lab.use(channel, TON / 4n);
    await lab.pay({ to, nanoton: TON / 10n, body: notice });
    await lab.settler.round();
    assert.equal(lab.named('settler.channel_closing').length, 0);
    assert.equal(lab.named('settler.claim_sent').length, 0);
    assert.equal(lab.named('settler.duty_failed').length, 0);
  });
});

test('a withdraw that was missed costs what was not claimed, and no more; then nothing is served', async () => {
  await withSettler({ providers: 2 }, async (lab) => {
    const channel = await lab.open();
    await lab.use(channel, TON / 4n);
    await lab.settler.close();
    const order = { to: channel.address, nanoton: TON / 10n };
    await lab.pay({ ...order, body: requestWithdrawBody(0n, 0n) });
    await lab.devnet.forward(3700);
    await lab.pay({ ...order, body: finalizeWithdrawBody(0n) });
    await lab.restart();
    const lost = lab.named('settler.channel_lost');
    assert.deepEqual(
      lost.map(({ fields }) => fields['lost']),
      [TON / 4n],
    );
    assert.equal(lab.settler.status().channels.lost, (TON / 4n).toString());
    const refused = await lab.ledger.reserve(reserveOf(channel.channel, 1n));
    assert.equal(refused.outcome, 'refused');
    await lab.settler.round();
    assert.equal(lab.named('settler.channel_lost').length, 1);
    assert.equal(lab.named('settler.claim_sent').length, 0);
  });
});

test('a reorganisation that takes a channel back is an alarm, and moves no counter', async () => {
  await withSettler({ providers: 2 }, async (lab) => {
    const channel = await lab.open();
    await lab.use(channel, TON);
    await lab.rounds(() => lab.named('settler.claim_seen').length > 0);
    const before = await lab.ledger.findAccount(channel.channel);
    await lab.devnet.reorganise(1, 'lost');
    await lab.devnet.mine(5);
    assert.deepEqual(await lab.settler.sync(channel.channel), {
      outcome: 'refused',
      code: 'chain_regressed',
    });
    assert.equal(lab.named('settler.channel_contradicted').length, 1);
    const { claimed, charged } = (await lab.ledger.findAccount(channel.channel)) ?? {};
    assert.deepEqual([claimed, charged], [before?.claimed, before?.charged]);
  });
});

test('a channel that is not there any more is served no longer', async () => {
  await withSettler({ providers: 2 }, async (lab) => {
    await lab.devnet.snapshot('before');
    const channel = await lab.open();
    await lab.use(channel, TON / 4n);
    await lab.devnet.restore('before');
    const answer = await lab.settler.sync(channel.channel);
    assert.deepEqual(answer, { outcome: 'refused', code: 'channel_gone' });
    await promise(lab, channel, TON);
    const refused = await lab.ledger.reserve(reserveOf(channel.channel, 1n));
    assert.ok(refused.outcome === 'refused' && refused.code === 'account_frozen');
  });
});

test('while the chain is away known channels are served, within what was known, and it goes on by itself', async () => {
  await withSettler({ providers: 1 }, async (lab) => {
    const channel = await lab.open();
    await lab.restart({ chain: impatientChain(lab.chain) });
    lab.devnet.inject({ kind: 'hang_up' });
    await lab.use(channel, TON / 10n);
    await lab.settler.round();
    assert.equal(lab.settler.status().state, 'degraded');
    assert.equal(lab.named('settler.chain_away').length, 1);
    assert.deepEqual(await lab.settler.sync(channel.channel), {
      outcome: 'refused',
      code: 'chain_away',
    });
    lab.devnet.faults.clear();
    await lab.rounds(async () => (await lab.onChain(channel)).claimed === TON / 10n);
    assert.equal(lab.settler.status().state, 'running');
    assert.equal(lab.named('settler.chain_back').length, 1);
  });
});

test('a start without the chain admits no channel until it was read, and everybody else', async () => {
  await withSettler({ providers: 1, policy: { startMs: 100, roundMs: 20 } }, async (lab) => {
    const channel = await lab.open();
    await promise(lab, channel, TON);
    lab.devnet.inject({ kind: 'hang_up' });
    await lab.restart({ chain: impatientChain(lab.chain) });
    assert.equal(lab.named('settler.started').at(-1)?.fields['degraded'], true);
    const early = await lab.ledger.reserve(reserveOf(channel.channel, 1n));
    assert.ok(early.outcome === 'refused' && early.code === 'channel_unsynced');
    lab.devnet.faults.clear();
    await until(async () => {
      const answer = await lab.ledger.reserve(reserveOf(channel.channel, 1n));
      return answer.outcome === 'reserved';
    });
  });
});

test('the anchor is put on chain, moved by one with each new head, and left alone otherwise', async () => {
  const policy = { anchor: { everyMs: 3_600_000 } };
  await withSettler({ providers: 2, policy }, async (lab) => {
    await lab.devnet.faucet(Address.parse(lab.treasury.address), 2n * TON);
    const channel = await lab.open();
    await lab.use(channel, 1000n);
    await lab.rounds(() => lab.named('settler.anchored').length === 1);
    await lab.settler.round();
    assert.equal(lab.named('settler.anchored').length, 1, 'the hour is not over');
    await lab.devnet.forward(3601);
    await lab.settler.round();
    assert.equal(lab.named('settler.anchored').length, 1, 'nothing new');
    await lab.use(channel, 1000n);
    await lab.devnet.forward(3601);
    await lab.rounds(() => lab.named('settler.anchored').length === 2);
    assert.equal(lab.named('settler.anchored')[1]?.fields['seq'], 2n);
    await lab.restart();
    assert.equal(lab.named('settler.rolled_back').length, 0);
  });
});

function memo(text: string): Cell {
  return beginCell().storeUint(0, 32).storeStringTail(text).endCell();
}

test('a transfer with a memo is credited to the account it names, once', async () => {
  const policy = { topUps: { minimum: amount(TON / 10n) } };
  const id = seed(9);
  const accountOfMemo = (code: string) => Promise.resolve(code === 'k7q4' ? id : undefined);
  await withSettler({ policy, options: { accountOfMemo } }, async (lab) => {
    await lab.ledger.openAccount({ kind: 'custodial', id, asset: 'TON' });
    const to = Address.parse(lab.treasury.address);
    const credited = async () => (await lab.ledger.findAccount(id))?.deposited;
    await lab.pay({ to, nanoton: TON, body: memo(`vg:${toHex(id)}`) });
    await lab.rounds(async () => (await credited()) === TON);
    await lab.pay({ to, nanoton: TON, body: memo('vg:k7q4') });
    await lab.rounds(async () => (await credited()) === 2n * TON);
    // What was seen before the note of how far it looked was written is seen again.
    const page = { kind: 'progress', after: undefined, limit: 1 };
    const [note] = await lab.ledger.listNotes(page);
    assert.ok(note);
    const text = new TextDecoder().decode(note.value).replace(/"lt":"\d+"/, '"lt":"0"');
    await lab.ledger.saveNote({ ...note, value: new TextEncoder().encode(text) });
    await lab.restart();
    assert.equal(await credited(), 2n * TON);
    for (const [nanoton, text2] of [
      [TON, 'vg:zzzz'],
      [TON, 'k7q4'],
      [TON / 20n, 'vg:k7q4'],
    ] as const) {
      await lab.pay({ to, nanoton, body: memo(text2) });
    }
    await lab.settler.round();
    assert.equal(await credited(), 2n * TON);
    assert.deepEqual(
      lab.named('settler.top_up_unmatched').map(({ fields }) => fields['reason']),
      ['memo_unknown', 'below_minimum'],
    );
    assert.equal(lab.named('settler.topped_up').length, 2);
  });
});

test('nothing is credited where that was not asked for', async () => {
  await withSettler({}, async (lab) => {
    const id = seed(9);
    await lab.ledger.openAccount({ kind: 'custodial', id, asset: 'TON' });
    const to = Address.parse(lab.treasury.address);
    await lab.pay({ to, nanoton: TON, body: memo(`vg:${toHex(id)}`) });
    await lab.settler.round();
    assert.equal((await lab.ledger.findAccount(id))?.deposited, 0n);
  });
});

test('a claim that was asked for is sent when it is worth its gas', async () => {
  await withSettler({ providers: 2 }, async (lab) => {
    const channel = await lab.open();
    const none = { outcome: 'none', code: 'nothing_due' };
    assert.deepEqual(await lab.settler.claim(channel.channel), none);
    await lab.use(channel, 20_000_000n);
    const sent = await lab.settler.claim(channel.channel);
    assert.deepEqual(sent, { outcome: 'sent', why: 'asked' });
    await lab.rounds(async () => (await lab.onChain(channel)).claimed === 20_000_000n);
    assert.deepEqual(await lab.settler.claim(seed(3)), {
      outcome: 'none',
      code: 'channel_unknown',
    });
  });
});
