/** Which channels are taken: one that is as it should be, and each way of not being it. Spec: ton-settlement §4.6. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginCell, Cell } from '@ton/core';
import { ed25519PublicKey } from '#primitives';
import type { AccountState, TonChain } from '../../../settlement/ton/chain.ts';
import { NO_KEY, placeChannel, usdtChannelId } from '../../../settlement/ton/channels/place.ts';
import {
  cancelWithdrawBody,
  requestWithdrawBody,
} from '../../../settlement/ton/contracts/pay-channel.ts';
import type { AnnouncedChannel } from '../../../settlement/channel-terms.ts';
import type { ChannelRefusal } from '../../../settlement/settler/open-channel.ts';
import { createSettler } from '../../../settlement/settler/settler.ts';
import { SMALL_ORDER_KEYS } from '../../support/payer-keys.ts';
import { impatientChain, toldChain } from '../../support/ton/told-chain.ts';
import { seed, SettlerLab, TON, withSettler } from '../../support/settler-lab.ts';

type Spoil = (lab: SettlerLab) => Promise<{
  readonly announced: AnnouncedChannel;
  readonly chain?: TonChain;
}>;

const announcedOnly =
  (change: Parameters<SettlerLab['terms']>[0]): Spoil =>
  (lab) =>
    Promise.resolve({ announced: lab.announce(lab.terms(change)) });

const told =
  (lie: (state: AccountState) => Partial<AccountState>): Spoil =>
  async (lab) => ({ announced: await lab.fund(lab.terms()), chain: toldChain(lab.chain, lie) });

const withData =
  (change: (data: Cell) => Cell): Spoil =>
  (lab) =>
    told(({ data }) => (data === undefined ? {} : { data: change(data) }))(lab);

const REFUSALS: readonly (readonly [code: ChannelRefusal, what: string, spoil: Spoil])[] = [
  ['wrong_network', 'another network', announcedOnly({ network: 'tvm:-3' })],
  ['wrong_payee', 'another treasury', announcedOnly({ payee: `0:${'01'.repeat(32)}` })],
  ['wrong_payee_key', 'another key', announcedOnly({ payeeKey: ed25519PublicKey(seed(1)) })],
  [
    'wrong_payee_key',
    'a single lock',
    (lab) => {
      const terms = lab.terms({ payeeKey: NO_KEY });
      return Promise.resolve({ announced: { terms, channel: placeChannel(terms, 'single').id } });
    },
  ],
  ['delay_too_short', 'a second less', announcedOnly({ withdrawDelayS: 3599 })],
  [
    'key_unsound',
    'a key of everybody',
    announcedOnly({ payerKey: SMALL_ORDER_KEYS[1] ?? seed(0) }),
  ],
  [
    'code_hash_unknown',
    'the address of other terms',
    (lab) => {
      const { terms } = lab.announce(lab.terms());
      return Promise.resolve({ announced: { terms, channel: seed(9) } });
    },
  ],
  [
    'asset_unsupported',
    'a channel that counts USDT',
    (lab) => {
      const terms = lab.terms();
      return Promise.resolve({ announced: { terms, channel: usdtChannelId(terms) } });
    },
  ],
  ['channel_unknown', 'nothing on chain', announcedOnly({})],
  ['code_hash_unknown', 'other code', told(() => ({ code: beginCell().endCell() }))],
  ['code_hash_unknown', 'no data of ours', told(() => ({ data: beginCell().endCell() }))],
  ['account_frozen', 'frozen for rent', told(() => ({ state: 'frozen' }))],
  [
    'channel_unknown',
    'other terms in it',
    withData((data) => {
      const slice = data.beginParse();
      return beginCell()
        .storeBits(slice.loadBits(slice.remainingBits))
        .storeRef(Cell.EMPTY)
        .endCell();
    }),
  ],
  [
    'channel_unknown',
    'another payer key in it',
    withData((data) => {
      const slice = data.beginParse();
      const bits = slice.loadBits(slice.remainingBits - 256);
      return beginCell().storeBits(bits).storeUint(7n, 256).storeRef(slice.loadRef()).endCell();
    }),
  ],
  [
    'channel_idle',
    'not open',
    withData((data) => {
      const slice = data.beginParse().skip(2);
      return beginCell().storeUint(0, 2).storeSlice(slice).endCell();
    }),
  ],
  [
    'channel_closing',
    'the payer is withdrawing',
    async (lab) => {
      const announced = await lab.fund(lab.terms());
      const body = requestWithdrawBody(0n, 0n);
      await lab.pay({ to: announced.address, nanoton: TON / 10n, body });
      return { announced };
    },
  ],
  [
    'deposit_too_small',
    'too little in it',
    async (lab) => ({ announced: await lab.fund(lab.terms(), (TON * 14n) / 100n) }),
  ],
  [
    'deposit_too_small',
    'fewer coins than it counts',
    told(() => ({ balanceNanoton: 99_999_999n })),
  ],
];

test('a channel that is as it should be is opened, and found again', async () => {
  await withSettler({}, async (lab) => {
    const announced = await lab.fund(lab.terms(), (TON * 16n) / 100n);
    const opened = await lab.settler.openChannel(announced);
    assert.ok(opened.outcome === 'opened');
    assert.equal(opened.account.deposited, 105_000_000n);
    assert.equal((await lab.settler.openChannel(announced)).outcome, 'existing');
    await lab.restart();
    assert.equal((await lab.settler.openChannel(announced)).outcome, 'existing');
    await lab.use(announced, 1000n);
  });
});

test('nothing but what is wrong with it refuses a channel that would be taken', async (context) => {
  await withSettler({}, async (lab) => {
    for (const [code, what, spoil] of REFUSALS) {
      await context.test(`${code}: ${what}`, async () => {
        const { announced, chain = lab.chain } = await spoil(lab);
        const settler = createSettler(lab.optionsOf({ chain }));
        await settler.start();
        const answer = await settler.openChannel(announced);
        await settler.close();
        assert.deepEqual(answer, { outcome: 'refused', code });
        assert.equal(await lab.ledger.findAccount(announced.channel), undefined);
      });
    }
  });
});

test('a channel that is known is read again in whatever state it is', async () => {
  await withSettler({}, async (lab) => {
    const channel = await lab.open();
    const withdraw = { to: channel.address, nanoton: TON / 10n };
    await lab.pay({ ...withdraw, body: requestWithdrawBody(0n, 0n) });
    const closing = await lab.settler.openChannel(channel);
    assert.ok(closing.outcome === 'existing' && closing.account.withdrawing > 0n);
    await lab.pay({ ...withdraw, body: cancelWithdrawBody(0n) });
    const open = await lab.settler.openChannel(channel);
    assert.ok(open.outcome === 'existing' && open.account.withdrawing === 0n);
  });
});

test('an epoch below the one that is known is a contradiction', async () => {
  await withSettler({}, async (lab) => {
    const channel = await lab.open();
    const { deposited, claimed, refunded, withdrawing, blockSeqno } = await lab.onChain(channel);
    const counters = { deposited, claimed, refunded, withdrawing, blockSeqno };
    await lab.ledger.recordChainState({ channel: channel.channel, epoch: 1, ...counters });
    const answer = await lab.settler.openChannel(channel);
    assert.deepEqual(answer, { outcome: 'refused', code: 'chain_regressed' });
    assert.equal(lab.named('settler.channel_contradicted').length, 1);
  });
});

test('an id that is already another account stays that', async () => {
  await withSettler({}, async (lab) => {
    const channel = await lab.fund(lab.terms());
    const { channel: id } = channel;
    await lab.ledger.openAccount({ kind: 'custodial', id, asset: 'TON' });
    const answer = await lab.settler.openChannel(channel);
    assert.deepEqual(answer, { outcome: 'refused', code: 'account_differs' });
  });
});

test('while nothing can be read no channel is opened', async () => {
  await withSettler({}, async (lab) => {
    const channel = await lab.fund(lab.terms());
    await lab.settler.close();
    const settler = await lab.start({ chain: impatientChain(lab.chain) });
    lab.devnet.inject({ kind: 'hang_up', method: 'getAddressInformation' });
    const answer = await settler.openChannel(channel);
    assert.deepEqual(answer, { outcome: 'refused', code: 'chain_away' });
    lab.devnet.faults.clear();
    assert.equal((await settler.openChannel(channel)).outcome, 'opened');
  });
});

test('a channel whose claims this ledger lost is taken with what the chain says', async () => {
  await withSettler({ providers: 2 }, async (lab) => {
    const channel = await lab.open();
    await lab.use(channel, TON);
    await lab.rounds(async () => (await lab.onChain(channel)).claimed === TON);
    const other = await SettlerLab.open({});
    try {
      const settler = createSettler(lab.optionsOf({ ledger: other.ledger }));
      await settler.start();
      const opened = await settler.openChannel(channel);
      assert.ok(opened.outcome === 'opened' && opened.account.charged === TON);
      assert.equal(lab.named('settler.channel_behind').length, 1);
      await settler.close();
    } finally {
      await other.close();
    }
  });
});
