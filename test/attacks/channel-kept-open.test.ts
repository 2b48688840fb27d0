/**
 * A stranger who deposits dust while a channel closes keeps it from becoming idle. The payer still gets everything it
 * asked for in time, and the dust with the next withdraw; holding up the rent costs the stranger more each time.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  availableOf,
  CHANNEL_FEES,
  destroyBody,
  finalizeWithdrawBody,
} from '../../settlement/ton/contracts/pay-channel.ts';
import { ChannelLab, DELAY_S, PAYER, STRANGER, TON } from '../support/ton/channel-lab.ts';

const DUST = CHANNEL_FEES.minDeposit + CHANNEL_FEES.depositFee;

test('dust delays nothing but the rent, and is the payer’s', async () => {
  const lab = await ChannelLab.open();
  const asked = availableOf(await lab.state());
  await lab.requestWithdraw();
  assert.equal((await lab.deposit(DUST, STRANGER)).exitCode, 0);
  lab.chain.pass(DELAY_S);
  const paid = await lab.send(finalizeWithdrawBody(1n), PAYER);
  assert.ok((paid.sent[0]?.value ?? 0n) >= asked);
  const { status, epoch } = await lab.state();
  assert.deepEqual([status, epoch], ['open', 0]);
  await lab.requestWithdraw();
  lab.chain.pass(DELAY_S);
  await lab.send(finalizeWithdrawBody(1n), PAYER);
  assert.equal((await lab.state()).refunded, asked + CHANNEL_FEES.minDeposit);
  assert.equal((await lab.send(destroyBody(1n), PAYER, TON / 10n)).exitCode, 0);
});
