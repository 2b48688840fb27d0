/**
 * A provider that is believed alone says that it is next year. An order signed by that clock would be good for a year: it
 * could be held back, said to be over, and brought to the chain when it suits. @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixed } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import type { TonChain } from '../../settlement/ton/chain.ts';
import { DEVNET, TESTNET } from '../../settlement/ton/network.ts';
import { deliver } from '../../settlement/ton/payer/deliver.ts';
import { openWallet } from '../../settlement/ton/wallet.ts';
import { withLab, type Lab } from '../settlement/ton/lab.ts';

const TON = 1_000_000_000n;
const YEAR_S = 31_536_000;
const wallet = openWallet(fixed(new Uint8Array(32).fill(50), 32), DEVNET);
const payment = { to: wallet.address, nanoton: TON, bounce: false };

/** As on a real network, with a clock that is `aheadS` ahead, from the look number `fromLook` on. */
function lying(
  { chain }: Lab,
  { aheadS, fromLook, onSend }: { aheadS: number; fromLook: number; onSend: () => void },
): TonChain {
  let looks = 0;
  return {
    network: TESTNET,
    readAccount: async (...words) => {
      const account = await chain.readAccount(...words);
      return ++looks < fromLook ? account : { ...account, timeS: account.timeS + aheadS };
    },
    runGetMethod: chain.runGetMethod.bind(chain),
    transactionsSince: chain.transactionsSince.bind(chain),
    send: async () => {
      onSend();
      await Promise.resolve();
    },
    health: chain.health.bind(chain),
    providers: chain.providers.bind(chain),
    close: chain.close.bind(chain),
  };
}

test('no order is signed by a clock that is ahead', async () => {
  await withLab({}, async (lab) => {
    await lab.devnet.faucet(wallet.address, 10n * TON);
    let sent = 0;
    const chain = lying(lab, { aheadS: YEAR_S, fromLook: 1, onSend: () => void sent++ });
    const signal = new AbortController().signal;
    const waiting = { chain, now: systemClock, signal, pollMs: 1 };
    await assert.rejects(deliver(waiting, wallet, [payment]), { code: 'payer.clock' });
    assert.equal(sent, 0);
  });
});

test('an order that is still good is not said to be over, whatever the provider’s clock says', async () => {
  await withLab({}, async (lab) => {
    await lab.devnet.faucet(wallet.address, 10n * TON);
    const ended = new AbortController();
    let sent = 0;
    const onSend = (): void => {
      if (++sent === 5) ended.abort();
    };
    const chain = lying(lab, { aheadS: YEAR_S, fromLook: 3, onSend });
    const waiting = { chain, now: systemClock, signal: ended.signal, pollMs: 1 };
    await assert.rejects(deliver(waiting, wallet, [payment]), { code: 'payer.unconfirmed' });
    assert.equal(sent, 5);
  });
});
