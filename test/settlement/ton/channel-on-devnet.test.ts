/**
 * A channel's whole life over the network as a gateway and a payer see it: several providers in front of a devnet, a wallet
 * that opens and fills the channel, artefacts that settlement signs, and the contract that pays on them.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ed25519PublicKey } from '#primitives';
import { external, storeMessage, beginCell, TupleReader, type Cell } from '@ton/core';
import { fixed } from '../../../core/bytes.ts';
import { signCharge } from '../../../settlement/charge.ts';
import { amount } from '../../../settlement/money.ts';
import type { TonChain } from '../../../settlement/ton/chain.ts';
import {
  channelAddress,
  channelId,
  channelInit,
  claimExternalBody,
  decodeChannelState,
  type ChannelTerms,
} from '../../../settlement/ton/contracts/pay-channel.ts';
import { DEVNET } from '../../../settlement/ton/network.ts';
import { openWallet } from '../../../settlement/ton/wallet.ts';
import { signVoucher } from '../../../settlement/voucher.ts';
import { until } from '../../support/until.ts';
import { addressOf, MODES, TON } from './devnet/wallets.ts';
import { withLab } from './lab.ts';

const seedOf = (byte: number) => fixed(new Uint8Array(32).fill(byte), 32);
const PAYER_SEED = seedOf(21);
const PAYEE_SEED = seedOf(22);

for (const { mode, blockTimeMs } of MODES) {
  test(`a channel opens with its deposit, pays what both signed, and nothing twice (${mode})`, async () => {
    await withLab({ blockTimeMs }, async ({ devnet, chain }) => {
      const wallet = openWallet(seedOf(20), DEVNET);
      const payee = addressOf(7);
      const terms: ChannelTerms = {
        payer: wallet.address,
        payee,
        payerKey: ed25519PublicKey(PAYER_SEED),
        payeeKey: ed25519PublicKey(PAYEE_SEED),
        withdrawDelayS: 86_400,
        networkId: DEVNET.globalId,
        salt: 1n,
      };
      const address = channelAddress(terms);
      await devnet.faucet(wallet.address, 10n * TON);
      await until(async () => (await wallet.readState(chain)).balanceNanoton > 0n);
      const deposit = { to: address, nanoton: 2n * TON, init: channelInit(terms) };
      const validUntilS = devnet.nowS() + 60;
      await chain.send(await wallet.order({ payments: [deposit], seqno: 0, validUntilS }));
      await until(async () => (await chain.readAccount(address)).state === 'active');
      assert.equal((await stateOf(chain, address)).status, 'open');

      const channel = channelId(address);
      const [ceiling, charged] = [amount(TON), amount(TON / 2n)];
      const voucher = signVoucher(PAYER_SEED, { channel, epoch: 0, ceiling });
      const charge = { channel, epoch: 0, charged, isFinal: false };
      const claim = claimExternalBody({
        epoch: 0,
        ends: 'open',
        ceiling,
        charged,
        voucherSignature: voucher.signature,
        chargeSignature: signCharge(PAYEE_SEED, charge),
      });
      const message = messageTo(address, claim);
      await chain.send(message);
      await until(async () => (await stateOf(chain, address)).claimed === charged);
      const { balanceNanoton } = await chain.readAccount(payee);
      assert.ok(balanceNanoton > charged - TON / 100n && balanceNanoton <= charged);
      await assert.rejects(chain.send(message, { deadlineMs: 3000 }), {
        code: 'ton.not_accepted',
        facts: { exitCode: 103 },
      });
    });
  });
}

async function stateOf(chain: TonChain, address: ReturnType<typeof channelAddress>) {
  const stack = await chain.runGetMethod(address, 'channel_state', []);
  return decodeChannelState(new TupleReader([...stack]));
}

function messageTo(to: ReturnType<typeof channelAddress>, body: Cell): Cell {
  return beginCell()
    .store(storeMessage(external({ to, body })))
    .endCell();
}
