/**
 * A payer opens channels with the same coins again and again and closes each at once, so that the gateway looks after ever
 * more of them and no longer has the time to see who withdraws. An empty one is hardly looked at, and serves again when it
 * is filled and announced. Spec: ton-settlement §4.8, §4.11 rule 7.
 * @module
 */

import assert from 'node:assert/strict';
import type { Address } from '@ton/core';
import { test } from 'node:test';
import { depositBody } from '../../settlement/ton/contracts/pay-channel.ts';
import type { TonChain } from '../../settlement/ton/chain.ts';
import { impatientChain } from '../support/ton/told-chain.ts';
import { TON, withSettler } from '../support/settler-lab.ts';

/** Keeps which accounts were read. */
function counting(chain: TonChain, read: string[]): TonChain {
  const through = impatientChain(chain, 10_000);
  return {
    ...through,
    readAccount: (address: Address, options) => {
      read.push(address.toRawString());
      return through.readAccount(address, options);
    },
  };
}

test('an empty channel is read a quarter as often as a full one, and at once when it is filled again', async () => {
  await withSettler({ providers: 2 }, async (lab) => {
    const read: string[] = [];
    await lab.restart({ chain: counting(lab.chain, read) });
    const [empty, full] = [await lab.open(), await lab.open()];
    await lab.use(empty, TON / 2n);
    await lab.settler.closeChannel(empty.channel);
    await lab.rounds(async () => (await lab.ledger.findAccount(empty.channel))?.epoch === 1);
    await lab.settler.round();
    read.length = 0;
    const eighthS = empty.terms.withdrawDelayS / 8;
    for (let eighth = 1; eighth <= 4; eighth++) {
      await lab.devnet.forward(eighthS);
      await lab.settler.round();
    }
    const times = ({ address }: typeof empty): number =>
      read.filter((one) => one === address.toRawString()).length;
    assert.ok(times(full) >= 4 && times(empty) <= 1, `${times(full)} and ${times(empty)}`);
    await lab.pay({ to: empty.address, nanoton: TON, body: depositBody(0n) });
    const again = await lab.settler.openChannel(empty);
    assert.equal(again.outcome, 'existing');
    await lab.use(empty, TON / 10n, 1);
  });
});
