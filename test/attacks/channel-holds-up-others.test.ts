/**
 * A payer brings it about that its channel cannot be read or claimed, as long as it likes: its providers never agree on it,
 * or take no message for it. Nobody else's claims, notices and payouts wait for that. Spec: ton-settlement §4.8, §4.10.
 * @module
 */

import assert from 'node:assert/strict';
import { loadMessage, type Address } from '@ton/core';
import { test } from 'node:test';
import type { TonChain } from '../../settlement/ton/chain.ts';
import { requestWithdrawBody } from '../../settlement/ton/contracts/pay-channel.ts';
import { tonError } from '../../settlement/ton/errors.ts';
import { impatientChain } from '../support/ton/told-chain.ts';
import { reserveOf } from '../support/ledger-lab.ts';
import { TON, withSettler, type PaidChannel, type SettlerLab } from '../support/settler-lab.ts';

const WITHDRAW = requestWithdrawBody(0n, 0n);

/** The two say different balances of it from now on. */
function dispute(lab: SettlerLab, { address }: PaidChannel): void {
  lab.devnet.inject({ kind: 'balance', address: address.toString(), nanoton: '1' });
}

/** As the channel's one provider of messages would be, were it broken for this contract alone. */
function deaf(chain: TonChain, address: () => Address | undefined): TonChain {
  return {
    ...impatientChain(chain),
    send: (message, options) => {
      const { info } = loadMessage(message.beginParse());
      const poison = address();
      const isPoison =
        poison !== undefined && info.type === 'external-in' && info.dest.equals(poison);
      return isPoison ? Promise.reject(tonError('ton.unreachable')) : chain.send(message, options);
    },
  };
}

test('a channel whose claims cannot be sent does not keep those after it from being claimed', async () => {
  await withSettler({ providers: 2 }, async (lab) => {
    let poison: Address | undefined;
    await lab.restart({ chain: deaf(lab.chain, () => poison) });
    const channels = [await lab.open(), await lab.open(), await lab.open()];
    for (const channel of channels) await lab.use(channel, TON);
    poison = channels[0]?.address;
    await lab.rounds(async () => {
      const claims = await Promise.all(channels.map((channel) => lab.onChain(channel)));
      return claims.filter(({ claimed }) => claimed === TON).length === 2;
    });
  });
});

test('a notice of a channel that nobody can read does not stop the look at the treasury', async () => {
  await withSettler({ providers: 2 }, async (lab) => {
    await lab.restart({ chain: impatientChain(lab.chain) });
    const [poison, other] = [await lab.open(), await lab.open()];
    await lab.use(other, TON / 4n);
    dispute(lab, poison);
    for (const { address } of [poison, other]) {
      await lab.pay({ to: address, nanoton: TON / 10n, body: WITHDRAW });
    }
    await lab.rounds(async () => (await lab.onChain(other)).claimed === TON / 4n);
    lab.devnet.faults.clear();
    await lab.rounds(async () => {
      const account = await lab.ledger.findAccount(poison.channel);
      return (account?.withdrawing ?? 0n) > 0n;
    });
  });
});

test('a channel that was not read for half its withdraw delay is served no longer, until it is', async () => {
  await withSettler({ providers: 2 }, async (lab) => {
    await lab.restart({ chain: impatientChain(lab.chain) });
    const channel = await lab.open();
    await lab.use(channel, TON / 10n);
    dispute(lab, channel);
    await lab.devnet.forward(channel.terms.withdrawDelayS / 2);
    await lab.settler.round();
    const late = await lab.ledger.reserve(reserveOf(channel.channel, 0n));
    assert.ok(late.outcome === 'refused' && late.code === 'channel_unsynced');
    lab.devnet.faults.clear();
    await lab.rounds(async () => {
      const answer = await lab.ledger.reserve(reserveOf(channel.channel, 0n));
      return answer.outcome === 'reserved';
    });
  });
});
