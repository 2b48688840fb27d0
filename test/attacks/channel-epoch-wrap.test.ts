/** After 65535 lives an epoch counter comes round to signatures of the first; here it stops instead. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHANNEL_EXIT } from '../../settlement/ton/contracts/exit-codes.ts';
import { EPOCH_RETIRED } from '../../settlement/ton/contracts/pay-channel.ts';
import { ChannelLab, DELAY_S, TON } from '../support/ton/channel-lab.ts';

test('the last epoch pays out and none comes after it', async () => {
  for (const ending of ['close', 'withdraw'] as const) {
    const lab = await ChannelLab.open();
    const epoch = EPOCH_RETIRED - 1;
    await lab.setState({ epoch });
    assert.equal((await lab.claimExternal({ charged: TON, epoch })).exitCode, 0);
    if (ending === 'close') {
      const closed = await lab.claim({ charged: TON, ends: 'final', epoch });
      assert.equal(closed.exitCode, 0);
    } else {
      await lab.requestWithdraw();
      lab.chain.pass(DELAY_S);
      assert.equal((await lab.finalizeExternal()).exitCode, 0);
    }
    const state = await lab.state();
    assert.deepEqual([state.status, state.epoch], ['idle', EPOCH_RETIRED]);
    assert.equal((await lab.deposit(TON)).exitCode, CHANNEL_EXIT.retired);
  }
});
