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
import { deliver, withdrawUntilS } from '../../settlement/ton/payer/deliver.ts';
import {
  CLOCK_AHEAD_MAX_S,
  ORDER_VALID_S,
  WITHDRAW_VALID_S,
} from '../../settlement/ton/payer/limits.ts';
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

test('nor where its clock is ahead by no more than clocks may be', async () => {
  await withLab({}, async (lab) => {
    await lab.devnet.faucet(wallet.address, 10n * TON);
    const beganMs = systemClock();
    let nowMs = beganMs;
    const onSend = (): void => {
      nowMs += 7000;
    };
    const near = lying(lab, { aheadS: CLOCK_AHEAD_MAX_S - 5, fromLook: 1, onSend });
    let looks = 0;
    // After the order was signed it says what ends the waiting soonest.
    const chain: TonChain = {
      ...near,
      readAccount: async (...words) => {
        const account = await near.readAccount(...words);
        return ++looks < 3 ? account : { ...account, timeS: account.timeS + YEAR_S };
      },
    };
    const signal = new AbortController().signal;
    const waiting = { chain, now: () => nowMs, signal, pollMs: 1 };
    await assert.rejects(deliver(waiting, wallet, [payment]), { code: 'payer.expired' });
    const goodForMs = (CLOCK_AHEAD_MAX_S - 5 + ORDER_VALID_S) * 1000;
    assert.ok(nowMs - beganMs >= goodForMs - 2000, `said to be over after ${nowMs - beganMs} ms`);
  });
});

test('no withdraw, nor the proof with which a close is asked for, is signed by such a clock', async () => {
  await withLab({}, async (lab) => {
    const chain = lying(lab, { aheadS: YEAR_S, fromLook: 1, onSend: () => undefined });
    const { timeS } = await chain.readAccount(wallet.address);
    const waiting = { chain, now: systemClock };
    assert.throws(() => withdrawUntilS(waiting, timeS), { code: 'payer.clock' });
    assert.equal(withdrawUntilS(waiting, timeS - YEAR_S), timeS - YEAR_S + WITHDRAW_VALID_S);
  });
});
