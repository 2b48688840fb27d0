/**
 * Payers close channels that owe next to nothing, one after the other, so that the treasury always has a close of theirs to
 * bring and never comes to pay its workers. The two take turns. Spec: ton-settlement §4.7, §4.8.
 * @module
 */

import assert from 'node:assert/strict';
import { Address } from '@ton/core';
import { test } from 'node:test';
import { PAYEES, TON, withSettler } from '../support/settler-lab.ts';

test('with closes wanted all the time workers are paid every other time', async () => {
  await withSettler({ payees: PAYEES, rampCap: 10n * TON }, async (lab) => {
    await lab.devnet.faucet(Address.parse(lab.treasury.address), 20n * TON);
    const [earning, first, second] = [await lab.open(4n * TON), await lab.open(), await lab.open()];
    for (const channel of [first, second]) await lab.use(channel, 1n);
    await lab.settler.closeChannel(first.channel);
    await lab.rounds(() => lab.named('settler.order_sent').length === 1);
    await lab.use(earning, 3n * TON);
    await lab.settler.closeChannel(second.channel);
    await lab.rounds(() => lab.named('settler.order_sent').length === 3);
    const kinds = lab.named('settler.order_sent').map(({ fields }) => fields['kind']);
    assert.deepEqual(kinds, ['transfers', 'payouts', 'transfers']);
  });
});
