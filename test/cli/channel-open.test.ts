/** `veilgate channel open`: what is agreed to, what is written, what is sent, and what happens when it is cut short. @module */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixed, fromHex, toHex } from '../../core/bytes.ts';
import { readCount } from '../../client/node/channel-file.ts';
import { CHANNEL_FILE } from '../../settlement/channel-terms.ts';
import { listChannels } from '../../cli/channel/channel-files.ts';
import { runChannelOpen } from '../../cli/channel/open.ts';
import { jsonObject } from '../support/json-object.ts';
import { HONEST_PAYEE, textOf, TON, withPayLab, type PayLab } from '../support/pay-lab.ts';

function optionsOf({ common, gateway }: PayLab) {
  return {
    ...common,
    gateway: gateway.url,
    gatewayId: gateway.aud,
    deposit: '1.5',
    yes: true,
  } as const;
}

test('a channel opens with exactly the deposit, is announced, and its file is what a client reads', async () => {
  await withPayLab(async (lab) => {
    const { json } = await runChannelOpen(optionsOf(lab), lab.io());
    assert.equal(json['opened'], true);
    assert.equal(json['available'], (TON * 3n) / 2n + '');
    const path = textOf(json['file']);
    const file = CHANNEL_FILE.parse(jsonObject(readFileSync(path, 'utf8')));
    assert.equal(file.gateway, lab.gateway.aud);
    assert.equal(file.terms.payer, lab.wallet.address.toRawString());
    assert.equal(file.terms.withdrawDelayS, 86_400);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(join(path, '..', file.keyFile)).mode & 0o777, 0o600);
    const announced = lab.gateway.asked.filter(({ path: at }) => at === '/v1/channels');
    assert.equal(announced.length, 1);
    const { channel, terms } = jsonObject(announced[0]?.body ?? '');
    assert.equal(channel, json['channel']);
    assert.deepEqual(
      Object.keys(Object(terms)).sort(),
      ['network', 'payeeKey', 'payer', 'payerKey', 'payee', 'salt', 'withdrawDelayS'].sort(),
    );
  });
});

test('the count of its payer begins with it, so that no gateway says what came before', async () => {
  await withPayLab(async (lab) => {
    const { json } = await runChannelOpen(optionsOf(lab), lab.io());
    assert.equal(readCount(textOf(json['file']))?.baseline, 'known');
  });
});

test('also where blocks take their time', async () => {
  await withPayLab(
    async (lab) => {
      const { json } = await runChannelOpen(optionsOf(lab), lab.io());
      assert.equal(json['available'], '1500000000');
    },
    { blockTimeMs: 40 },
  );
});

test('opening again sends nothing and announces again', async () => {
  await withPayLab(async (lab) => {
    const first = await runChannelOpen(optionsOf(lab), lab.io());
    const second = await runChannelOpen(optionsOf(lab), lab.io());
    assert.equal(second.json['opened'], false);
    assert.equal(second.json['channel'], first.json['channel']);
    assert.equal(second.json['deposited'], '1500000000');
    assert.equal(lab.gateway.asked.filter(({ path }) => path === '/v1/channels').length, 2);
    const another = await runChannelOpen({ ...optionsOf(lab), another: true }, lab.io());
    assert.notEqual(another.json['channel'], first.json['channel']);
  });
});

test('cut short before the deposit, it goes on with the same key and terms', async () => {
  await withPayLab(
    async (lab) => {
      await assert.rejects(runChannelOpen(optionsOf(lab), lab.io()), { code: 'payer.balance' });
      const [kept] = listChannels(join(lab.dir, 'channels')).channels;
      assert.ok(kept !== undefined);
      await lab.devnet.faucet(lab.wallet.address, 5n * TON);
      const { json } = await runChannelOpen(optionsOf(lab), lab.io());
      assert.equal(json['channel'], toHex(kept.channel.id));
      assert.equal(
        readdirSync(join(lab.dir, 'channels')).filter((name) => name.endsWith('.key')).length,
        1,
      );
    },
    { coins: 0n },
  );
});

test('cut short after the deposit, it waits for that one and sends no second', async () => {
  await withPayLab(
    async (lab) => {
      const io = lab.io();
      const cut = new AbortController();
      const leaving = {
        ...io,
        signal: cut.signal,
        say: (line: string) => {
          if (line.startsWith('The wallet has sent it')) cut.abort();
        },
      };
      await assert.rejects(runChannelOpen(optionsOf(lab), leaving));
      const { json } = await runChannelOpen(optionsOf(lab), io);
      assert.equal(json['deposited'], '1500000000');
    },
    { blockTimeMs: 40 },
  );
});

test('a gateway that has not seen the deposit yet is told again', async () => {
  await withPayLab(async (lab) => {
    let left = 3;
    lab.gateway.answer = ({ path }) => {
      if (path !== '/v1/channels' || left-- <= 0) return undefined;
      return { status: 402, json: { error: { code: 'channel_unknown', message: 'not yet' } } };
    };
    await runChannelOpen(optionsOf(lab), lab.io());
    assert.equal(lab.gateway.asked.filter(({ path }) => path === '/v1/channels').length, 4);
  });
});

test('a gateway that refuses the open channel leaves its file, and its words move no cursor', async () => {
  await withPayLab(async (lab) => {
    lab.gateway.answer = ({ path }) =>
      path === '/v1/channels'
        ? {
            status: 402,
            json: { error: { code: 'wrong_payee', message: 'no\u001B[2J\nveilgate: all is well' } },
          }
        : undefined;
    await assert.rejects(runChannelOpen(optionsOf(lab), lab.io()), (error: Error) => {
      assert.match(error.message, /402 wrong_payee/);
      assert.doesNotMatch(error.message, /\p{Cc}/u);
      return true;
    });
    assert.equal(listChannels(join(lab.dir, 'channels')).channels.length, 1);
  });
});

const REFUSED: readonly (readonly [
  name: string,
  change: Partial<typeof HONEST_PAYEE>,
  says: RegExp,
])[] = [
  ['another contract', { codeHash: fixed(new Uint8Array(32).fill(1), 32) }, /another contract/],
  ['a delay without end', { withdrawDelayMinS: 0xffff_ffff }, /wait/],
  ['a key that anybody signs for', { key: fixed(fromHex('01' + '00'.repeat(31)), 32) }, /anybody/],
  ['a key of zeros, which would mean one lock', { key: fixed(new Uint8Array(32), 32) }, /anybody/],
  ['more than is deposited', { depositMin: 2n * TON }, /from 2 TON on/],
  ['a network nobody knows', { network: 'tvm:5' }, /no network known/],
];
for (const [name, change, says] of REFUSED) {
  test(`nothing is written or sent for a gateway that wants ${name}`, async () => {
    await withPayLab(async (lab) => {
      lab.gateway.payee = { ...HONEST_PAYEE, ...change };
      await assert.rejects(runChannelOpen(optionsOf(lab), lab.io()), (error: Error) => {
        assert.match(error.message, says);
        return true;
      });
      assert.equal(listChannels(join(lab.dir, 'channels')).channels.length, 0);
    });
  });
}

test('a gateway without channels, and one of another identity, are refused', async () => {
  await withPayLab(async (lab) => {
    const other = `gw1.${'A'.repeat(43)}`;
    await assert.rejects(
      runChannelOpen({ ...optionsOf(lab), gatewayId: other }, lab.io()),
      /not the one you named/,
    );
    lab.gateway.payee = null;
    await assert.rejects(runChannelOpen(optionsOf(lab), lab.io()), /takes no payment channels/);
  });
});

test('another network than asked for is refused', async () => {
  await withPayLab(async (lab) => {
    const options = { ...optionsOf(lab), network: 'mainnet' } as const;
    await assert.rejects(runChannelOpen(options, lab.io()), /paid on devnet, not on mainnet/);
  });
});

test('an identity that was not named is asked about, and --yes does not answer that', async () => {
  await withPayLab(async (lab) => {
    const { gatewayId: _, ...unpinned } = optionsOf(lab);
    await assert.rejects(runChannelOpen(unpinned, lab.io()), { code: 'money.consent' });
    await assert.rejects(runChannelOpen(unpinned, lab.io(['n'])), { code: 'money.consent' });
    assert.equal(listChannels(join(lab.dir, 'channels')).channels.length, 0);
    const { json } = await runChannelOpen(unpinned, lab.io(['y']));
    assert.equal(json['opened'], true);
  });
});

test('a no at the last question leaves nothing behind', async () => {
  await withPayLab(async (lab) => {
    const { yes: _, ...asking } = optionsOf(lab);
    await assert.rejects(runChannelOpen(asking, lab.io()), { code: 'money.consent' });
    await assert.rejects(runChannelOpen(asking, lab.io([''])), { code: 'money.consent' });
    assert.equal(listChannels(join(lab.dir, 'channels')).channels.length, 0);
  });
});

test('with --link the channel is opened by whoever pays the link', async () => {
  await withPayLab(async (lab) => {
    const { yes: _, ...asking } = optionsOf(lab);
    const payer = lab.wallet.address.toRawString();
    const options = { ...asking, link: true, payer } as const;
    const opening = runChannelOpen(options, lab.io());
    const link = await shownLink(lab);
    await payLink(lab, link);
    const { json } = await opening;
    assert.equal(json['available'], '1500000000');
  });
});

async function shownLink({ shown }: PayLab): Promise<URL> {
  const { until } = await import('../support/until.ts');
  await until(() => shown.some((line) => line.startsWith('ton://')));
  return new URL(shown.find((line) => line.startsWith('ton://')) ?? '');
}

/** As a wallet app does that knows nothing of channels. */
async function payLink({ wallet, devnet }: PayLab, link: URL): Promise<void> {
  const { Address, Cell, loadStateInit } = await import('@ton/core');
  const { openToncenter } = await import('../../settlement/ton/toncenter.ts');
  const { DEVNET } = await import('../../settlement/ton/network.ts');
  const { systemClock } = await import('../../core/clock.ts');
  const cellOf = (name: string) =>
    Cell.fromBoc(Buffer.from(link.searchParams.get(name) ?? '', 'base64url'))[0];
  const state = cellOf('init');
  assert.ok(state !== undefined);
  const { code, data } = loadStateInit(state.beginParse());
  assert.ok(code && data);
  const body = cellOf('bin');
  assert.ok(body !== undefined);
  const to = Address.parse(link.pathname.split('/').at(-1) ?? '');
  const chain = openToncenter({
    network: DEVNET,
    quorum: 1,
    now: systemClock,
    providers: [{ name: 'a', url: devnet.endpoint }],
  });
  const nanoton = BigInt(link.searchParams.get('amount') ?? '');
  const payments = [{ to, nanoton, body, bounce: true, init: { code, data } }];
  await chain.send(await wallet.order({ payments, seqno: 0, validUntilS: devnet.nowS() + 60 }));
  await chain.close();
}
