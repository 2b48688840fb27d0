/** A payment out of a wallet happens once or not at all, and what is said about it is true. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address } from '@ton/core';
import { ed25519PublicKey } from '#primitives';
import { fixed } from '../../../../core/bytes.ts';
import { systemClock } from '../../../../core/clock.ts';
import { CHANNEL_EXIT } from '../../../../settlement/ton/contracts/exit-codes.ts';
import { DEVNET } from '../../../../settlement/ton/network.ts';
import {
  awaitHandled,
  deliver,
  isUnderWay,
  type Waiting,
} from '../../../../settlement/ton/payer/deliver.ts';
import {
  awaitChannel,
  finalizePayment,
  openingPayment,
  payerChannelOf,
} from '../../../../settlement/ton/payer/payer-channel.ts';
import { openWallet, type TonWallet } from '../../../../settlement/ton/wallet.ts';
import type { Payment } from '../../../../settlement/ton/wallet/payment.ts';
import { withLab, type Lab } from '../lab.ts';

const TON = 1_000_000_000n;
const TO = new Address(0, Buffer.alloc(32, 7));
const SEED = fixed(new Uint8Array(32).fill(40), 32);
const payment: Payment = { to: TO, nanoton: TON, bounce: false };

interface Paying extends Lab {
  readonly wallet: TonWallet;
  readonly waiting: Waiting;
}

async function withWallet(
  work: (paying: Paying) => Promise<void>,
  { blockTimeMs = 0 } = {},
): Promise<void> {
  await withLab({ blockTimeMs }, async (lab) => {
    const wallet = openWallet(SEED, DEVNET);
    await lab.devnet.faucet(wallet.address, 10n * TON);
    if (blockTimeMs > 0) await lab.devnet.mine(1);
    const signal = new AbortController().signal;
    const waiting = { chain: lab.chain, now: systemClock, signal, pollMs: 5 };
    await work({ ...lab, wallet, waiting });
  });
}

async function received({ chain }: Paying): Promise<bigint> {
  return (await chain.readAccount(TO)).balanceNanoton;
}

test('a payment arrives once, and the transaction that is named is the wallet’s', async () => {
  await withWallet(async (paying) => {
    const { hash } = await deliver(paying.waiting, paying.wallet, [payment]);
    const { last } = await paying.chain.readAccount(paying.wallet.address);
    assert.equal(hash, last?.hash);
    assert.equal(await received(paying), TON);
  });
});

test('it arrives once where messages are lost and doubled and answers come late', async () => {
  await withWallet(
    async (paying) => {
      for (const front of paying.fronts) {
        front.faults.add({ kind: 'drop', times: 2 });
        front.faults.add({ kind: 'duplicate', times: 3 });
      }
      await deliver(paying.waiting, paying.wallet, [payment]);
      assert.equal(await received(paying), TON);
    },
    { blockTimeMs: 20 },
  );
});

test('an order that another one overtook is void, and that is said', async () => {
  await withWallet(async (paying) => {
    const { devnet, chain, wallet } = paying;
    for (const front of paying.fronts) front.faults.add({ kind: 'drop', times: 1 });
    const rival = await wallet.order({
      payments: [{ ...payment, nanoton: 2n * TON }],
      seqno: 0,
      validUntilS: devnet.nowS() + 60,
    });
    // Ours is signed and lost; the rival comes before it is sent again.
    const spied: typeof chain = {
      ...spyOf(chain),
      send: async (message, options) => {
        await chain.send(message, options);
        await chain.send(rival, options).catch(() => undefined);
      },
    };
    const waiting = { ...paying.waiting, chain: spied };
    await assert.rejects(deliver(waiting, wallet, [payment]), { code: 'payer.overtaken' });
    assert.equal(await received(paying), 2n * TON);
  });
});

function spyOf(chain: Lab['chain']): Lab['chain'] {
  return {
    network: chain.network,
    readAccount: chain.readAccount.bind(chain),
    runGetMethod: chain.runGetMethod.bind(chain),
    transactionsSince: chain.transactionsSince.bind(chain),
    send: chain.send.bind(chain),
    health: chain.health.bind(chain),
    providers: chain.providers.bind(chain),
    close: chain.close.bind(chain),
  };
}

test('an order that never arrives is over when its time is, and not before', async () => {
  await withWallet(async (paying) => {
    const { devnet } = paying;
    for (const front of paying.fronts) front.faults.add({ kind: 'drop' });
    const now = (): number => devnet.nowS() * 1000;
    let looks = 0;
    const spied = {
      ...spyOf(paying.chain),
      send: async () => {
        looks++;
        if (looks === 3) await devnet.forward(121);
      },
    };
    const waiting = { ...paying.waiting, now, chain: spied };
    await assert.rejects(deliver(waiting, paying.wallet, [payment]), { code: 'payer.expired' });
    assert.equal(looks, 3);
    assert.equal(await received(paying), 0n);
  });
});

test('nothing is sent that the wallet cannot pay', async () => {
  await withWallet(async (paying) => {
    const much = { ...payment, nanoton: 10n * TON };
    await assert.rejects(deliver(paying.waiting, paying.wallet, [much]), { code: 'payer.balance' });
    assert.equal((await paying.wallet.readState(paying.chain)).seqno, 0);
  });
});

test('a wallet that took the order and sent less of it is no success', async () => {
  await withWallet(async (paying) => {
    const { wallet, chain } = paying;
    // What is said of the balance is not what there is: more is asked for than the wallet has.
    const rich = {
      ...spyOf(chain),
      readAccount: async (...words: Parameters<typeof chain.readAccount>) => ({
        ...(await chain.readAccount(...words)),
        balanceNanoton: 100n * TON,
      }),
    };
    const much = { ...payment, nanoton: 20n * TON };
    const waiting = { ...paying.waiting, chain: rich };
    await assert.rejects(deliver(waiting, wallet, [much]), { code: 'payer.unsent' });
  });
});

test('what was sent and came back is not under way any more', async () => {
  await withWallet(async (paying) => {
    const { waiting, wallet } = paying;
    assert.equal(await isUnderWay(waiting, wallet.address, TO), false);
    await deliver(waiting, wallet, [payment]);
    assert.equal(await isUnderWay(waiting, wallet.address, TO), true);
    const empty = new Address(0, Buffer.alloc(32, 9));
    await deliver(waiting, wallet, [{ ...payment, to: empty, bounce: true }]);
    assert.equal(await isUnderWay(waiting, wallet.address, empty), false);
  });
});

test('a message that its contract refuses is named by its exit code', async () => {
  await withWallet(async (paying) => {
    const { waiting, wallet } = paying;
    const channel = payerChannelOf({
      network: 'tvm:-217',
      payer: wallet.address.toRawString(),
      payee: TO.toRawString(),
      payerKey: ed25519PublicKey(SEED),
      payeeKey: ed25519PublicKey(SEED),
      withdrawDelayS: 60,
      salt: 1n,
    });
    await deliver(waiting, wallet, [openingPayment(channel, { amount: TON, queryId: 1n })]);
    await awaitHandled(waiting, channel.address, { afterLt: 0n, queryId: 1n });
    const { lastLt: afterLt } = await awaitChannel(waiting, channel, { isSo: () => true });
    await deliver(waiting, wallet, [finalizePayment(channel, 2n)]);
    await assert.rejects(awaitHandled(waiting, channel.address, { afterLt, queryId: 2n }), {
      code: 'payer.refused',
      facts: { exitCode: CHANNEL_EXIT.status },
    });
  });
});
