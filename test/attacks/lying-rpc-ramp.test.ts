/**
 * A client and the provider of the gateway's view of the chain are one: a deposit that does not exist, a state of yesterday,
 * a claim that never happened. What one provider says alone is worth the ramp and not more; with two, one cannot lie.
 * Spec: ton-settlement §4.6, §4.11 rule 7, §4.12 (client + lying RPC: at most rampCap per channel).
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginCell } from '@ton/core';
import { ed25519PublicKey } from '#primitives';
import { amount } from '../../settlement/money.ts';
import { placeChannel } from '../../settlement/ton/channels/place.ts';
import { PAY_CHANNEL } from '../../settlement/ton/contracts/compiled.ts';
import { requestWithdrawBody } from '../../settlement/ton/contracts/pay-channel.ts';
import { signVoucher, verifyVoucher } from '../../settlement/voucher.ts';
import { reserveOf, settleOf } from '../support/ledger-lab.ts';
import { PAYER_SEED, TON, withSettler, type PaidChannel } from '../support/settler-lab.ts';
import { toldChain } from '../support/ton/told-chain.ts';

const RAMP = 200_000_000n;

function promise({ channel }: PaidChannel, ceiling: bigint) {
  const terms = { channel, epoch: 0, ceiling: amount(ceiling) };
  return verifyVoucher(signVoucher(PAYER_SEED, terms), ed25519PublicKey(PAYER_SEED));
}

test('a deposit that one provider made up is served for the ramp, once', async () => {
  await withSettler({}, async (lab) => {
    const paid = lab.announce(lab.terms());
    const { init } = placeChannel(paid.terms);
    const data = beginCell()
      .storeUint(1, 2)
      .storeUint(0, 16)
      .storeCoins(1000n * TON)
      .storeCoins(0)
      .storeCoins(0)
      .storeCoins(0)
      .storeUint(0, 32)
      .storeBuffer(Buffer.from(paid.terms.payerKey))
      .storeRef(init.data.refs[0] ?? beginCell().endCell())
      .endCell();
    const lie = { state: 'active', code: PAY_CHANNEL.code, data } as const;
    const told = toldChain(lab.chain, () => ({ ...lie, balanceNanoton: 1000n * TON }));
    await lab.restart({ chain: told });
    assert.equal((await lab.settler.openChannel(paid)).outcome, 'opened');
    const voucher = promise(paid, 1000n * TON);
    assert.ok(voucher);
    await lab.ledger.acceptVoucher(voucher);
    let served = 0n;
    for (let again = 0; again < 12; again++) {
      const request = reserveOf(paid.channel, RAMP / 10n);
      const answer = await lab.ledger.reserve(request);
      if (answer.outcome !== 'reserved') {
        assert.ok(answer.outcome === 'refused' && answer.code === 'ramp_cap');
        continue;
      }
      await lab.ledger.settle(settleOf(request.requestId, RAMP / 10n));
      served += RAMP / 10n;
      await lab.settler.round();
      await lab.devnet.forward(700);
    }
    assert.equal(served, RAMP);
    assert.ok(lab.named('settler.claim_refused').length > 0, 'there is no contract to claim from');
  });
});

test('an honest channel of one provider gets past the ramp by its first claim', async () => {
  await withSettler({}, async (lab) => {
    const channel = await lab.open();
    await lab.use(channel, RAMP / 2n);
    await lab.use(channel, RAMP / 2n);
    const over = await lab.ledger.reserve(
      reserveOf(channel.channel, 1n, { voucher: must(promise(channel, TON)) }),
    );
    assert.ok(over.outcome === 'refused' && over.code === 'ramp_cap');
    await lab.rounds(() => lab.named('settler.claim_seen').length > 0);
    assert.equal(lab.named('settler.claim_sent')[0]?.fields['why'], 'ramp');
    await lab.use(channel, TON / 2n);
  });
});

test('a state of yesterday does not bring back what the payer withdraws', async () => {
  await withSettler({}, async (lab) => {
    const channel = await lab.open();
    const body = requestWithdrawBody(0n, 0n);
    await lab.pay({ to: channel.address, nanoton: TON / 10n, body });
    await lab.settler.round();
    lab.devnet.inject({ kind: 'stale', blocks: 2, method: 'getAddressInformation', times: 1 });
    await lab.settler.sync(channel.channel);
    const account = await lab.ledger.findAccount(channel.channel);
    assert.ok((account?.withdrawing ?? 0n) > 0n);
  });
});

test('of two providers one that lies about a channel gets nobody served', async () => {
  await withSettler({ providers: 2 }, async (lab) => {
    const channel = await lab.fund(lab.terms());
    lab.devnet.inject({
      kind: 'balance',
      address: channel.address.toString(),
      nanoton: '999000000000',
    });
    const chain = lab.chain;
    await assert.rejects(chain.readAccount(channel.address, { deadlineMs: 600 }), {
      code: 'ton.disagree',
    });
    lab.devnet.faults.clear();
    assert.equal((await lab.settler.openChannel(channel)).outcome, 'opened');
  });
});

function must<Value>(value: Value | undefined): Value {
  assert.ok(value !== undefined);
  return value;
}
