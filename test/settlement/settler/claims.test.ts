/** Claims over the devnet: when they come, that they are paid once, and what a payer's withdraw does. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestWithdrawBody } from '../../../settlement/ton/contracts/pay-channel.ts';
import { TON, withSettler } from '../../support/settler-lab.ts';
import { MODES } from '../ton/devnet/wallets.ts';

const WITHDRAW = requestWithdrawBody(0n, 0n);

for (const { mode, blockTimeMs } of MODES) {
  test(`what was charged is claimed once it is enough, and seen (${mode})`, async () => {
    await withSettler({ blockTimeMs, providers: 2 }, async (lab) => {
      const channel = await lab.open();
      await lab.use(channel, TON - 1n);
      await lab.settler.round();
      assert.equal(lab.named('settler.claim_sent').length, 0);
      await lab.use(channel, 1n);
      await lab.rounds(() => lab.named('settler.claim_seen').length > 0);
      assert.equal((await lab.onChain(channel)).claimed, TON);
      assert.equal((await lab.ledger.findAccount(channel.channel))?.claimed, TON);
      assert.equal(lab.named('settler.claim_sent').length, 1);
      const balance = await lab.balanceOf(lab.treasury.address);
      assert.ok(balance > (TON * 99n) / 100n && balance <= TON);
    });
  });

  test(`a payer that withdraws is claimed from at once (${mode})`, async () => {
    await withSettler({ blockTimeMs, providers: 2 }, async (lab) => {
      const channel = await lab.open();
      await lab.use(channel, TON / 4n);
      await lab.pay({ to: channel.address, nanoton: TON / 10n, body: WITHDRAW });
      await lab.rounds(async () => (await lab.onChain(channel)).claimed === TON / 4n);
      assert.equal(lab.named('settler.channel_closing').length, 1);
      assert.equal(lab.named('settler.claim_sent')[0]?.fields['why'], 'closing');
    });
  });
}
