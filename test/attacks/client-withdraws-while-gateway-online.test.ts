/**
 * A payer lets itself be served, and asks the contract for its money back before anything was claimed. The notice of the
 * contract, or the next look at the channel, comes long before the delay is over. Spec: ton-settlement §4.12 (client,
 * gateway): nothing to gain while the gateway looks once per delay.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  finalizeWithdrawBody,
  requestWithdrawBody,
} from '../../settlement/ton/contracts/pay-channel.ts';
import { reserveOf } from '../support/ledger-lab.ts';
import { TON, withSettler, type PaidChannel, type SettlerLab } from '../support/settler-lab.ts';

const USED = TON / 4n;

async function withdraw(lab: SettlerLab, { address: to }: PaidChannel): Promise<void> {
  await lab.pay({ to, nanoton: TON / 10n, body: requestWithdrawBody(0n, 0n) });
}

async function finalize(lab: SettlerLab, { address: to }: PaidChannel): Promise<void> {
  await lab.devnet.forward(3700);
  await lab.pay({ to, nanoton: TON / 10n, body: finalizeWithdrawBody(0n) });
}

test('what was charged is claimed before it unlocks, and nothing more is served meanwhile', async () => {
  await withSettler({ providers: 2 }, async (lab) => {
    const channel = await lab.open();
    await lab.use(channel, USED);
    await withdraw(lab, channel);
    await lab.settler.round();
    const refused = await lab.ledger.reserve(reserveOf(channel.channel, 0n));
    assert.ok(refused.outcome === 'refused' && refused.code === 'channel_closing');
    await finalize(lab, channel);
    await lab.settler.round();
    const { claimed, refunded, deposited } = await lab.onChain(channel);
    assert.deepEqual([claimed, refunded], [USED, deposited - USED]);
    assert.equal(lab.settler.status().channels.lost, '0');
  });
});

test('a notice that never came is made up for by reading every channel eight times per delay', async () => {
  await withSettler({ providers: 2 }, async (lab) => {
    const channel = await lab.open();
    await lab.use(channel, USED);
    await lab.settler.round();
    await withdraw(lab, channel);
    // As if the notice had been lost: what the treasury got so far counts as looked at.
    const { lt } = await lab.treasury.readState(lab.chain);
    const [note] = await lab.ledger.listNotes({ kind: 'progress', after: undefined, limit: 1 });
    assert.ok(note);
    const text = new TextDecoder().decode(note.value).replace(/"lt":"\d+"/, `"lt":"${lt}"`);
    await lab.settler.close();
    await lab.ledger.saveNote({ ...note, value: new TextEncoder().encode(text) });
    await lab.start();
    await lab.devnet.forward(3600 / 8);
    await lab.rounds(async () => (await lab.onChain(channel)).claimed === USED);
    await finalize(lab, channel);
    await lab.settler.round();
    assert.equal(lab.settler.status().channels.lost, '0');
  });
});

test('asking again and again makes no more than a claim in ten minutes', async () => {
  await withSettler({ providers: 2 }, async (lab) => {
    const channel = await lab.open(5n * TON);
    for (let again = 0; again < 4; again++) {
      await lab.use(channel, 25_000_000n);
      const amounts = requestWithdrawBody(1n, 0n);
      if (again === 0) await lab.pay({ to: channel.address, nanoton: TON / 10n, body: amounts });
      await lab.settler.round();
      await lab.devnet.forward(60);
    }
    assert.equal(lab.named('settler.claim_sent').length, 1);
  });
});
