/** `veilgate channel deposit|status|withdraw|close|list` over the devnet. @module */

import assert from 'node:assert/strict';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixed, fromBase64Url, fromHex, toHex, type Bytes } from '../../core/bytes.ts';
import { channelKey, findChannel, type KeptChannel } from '../../cli/channel/channel-files.ts';
import { runChannelClose } from '../../cli/channel/close.ts';
import { runChannelDeposit } from '../../cli/channel/deposit.ts';
import { runChannelList } from '../../cli/channel/list.ts';
import { runChannelOpen } from '../../cli/channel/open.ts';
import { runChannelStatus } from '../../cli/channel/status.ts';
import { runChannelWithdraw } from '../../cli/channel/withdraw.ts';
import { openChannelFile, readCount } from '../../client/node/channel-file.ts';
import { runWalletBalance } from '../../cli/wallet/balance.ts';
import { walletPath } from '../../cli/ton/wallet-file.ts';
import { verifyEd25519 } from '#primitives';
import { NOTHING } from '../../settlement/money.ts';
import { encodeWithdraw } from '../../settlement/withdraw.ts';
import { jsonObject } from '../support/json-object.ts';
import { claimFinal } from '../support/pay-claim.ts';
import { stateJson, textOf, TON, withPayLab, type PayLab } from '../support/pay-lab.ts';

const DAY_S = 86_400;

interface Opened extends PayLab {
  readonly kept: KeptChannel;
  readonly yes: PayLab['common'] & { readonly yes: true };
}

async function withChannel(work: (opened: Opened) => Promise<void>): Promise<void> {
  await withPayLab(async (lab) => {
    const gateway = { gateway: lab.gateway.url, gatewayId: lab.gateway.aud };
    await runChannelOpen({ ...lab.common, ...gateway, deposit: '1.5', yes: true }, lab.io());
    const kept = findChannel(lab.common);
    await work({ ...lab, kept, yes: { ...lab.common, yes: true } });
  });
}

/** The gateway's books say this. */
function books({ gateway, kept }: Opened, changes: Readonly<Record<string, string>>): void {
  gateway.answer = ({ method, path }) =>
    method === 'GET' && path.startsWith('/v1/channels/')
      ? { status: 200, json: stateJson(kept.channel.id, changes) }
      : undefined;
}

test('a deposit arrives whole, and the gateway is told', async () => {
  await withChannel(async ({ yes, io, gateway }) => {
    const before = gateway.asked.length;
    const { json } = await runChannelDeposit('0.25', yes, io());
    assert.equal(json['added'], '250000000');
    assert.equal(json['available'], '1750000000');
    assert.equal(json['gatewayTold'], true);
    assert.equal(gateway.asked.length, before + 1);
  });
});

test('a deposit puts back the rent that years have eaten, beside what was asked for', async () => {
  await withChannel(async ({ yes, io, devnet }) => {
    await devnet.forward(5 * 365 * DAY_S);
    const { json } = await runChannelDeposit('0.25', yes, io());
    const added = BigInt(textOf(json['added']));
    assert.ok(added >= TON / 4n && added < TON / 4n + 10_000_000n, String(added));
  });
});

test('a gateway that is away hinders no deposit', async () => {
  await withChannel(async ({ yes, io, gateway }) => {
    gateway.answer = () => ({ status: 503, json: {} });
    const { json, lines } = await runChannelDeposit('0.25', yes, io());
    assert.equal(json['gatewayTold'], false);
    assert.match(lines.join(' '), /was not told/);
  });
});

test('only the wallet that the channel names makes deposits from here', async () => {
  await withChannel(async ({ yes, io }) => {
    rmSync(walletPath(yes));
    await assert.rejects(runChannelDeposit('0.25', yes, io()), { code: 'money.wallet' });
  });
});

test('status finds nothing to say where both agree', async () => {
  await withChannel(async (opened) => {
    books(opened, { ceiling: '200000000', charged: '120000000', n: '4' });
    const { json, lines, isTroubled } = await runChannelStatus(opened.common, opened.io());
    assert.deepEqual(json['differences'], []);
    assert.equal(isTroubled, false);
    assert.match(lines.join('\n'), /charged +0\.12 TON/);
  });
});

const DIFFERENCES: readonly (readonly [
  name: string,
  told: Readonly<Record<string, string>>,
  says: RegExp,
])[] = [
  [
    'deposited',
    { deposited: '1400000000' },
    /^deposited: the gateway says 1\.4 TON, the chain 1\.5 TON/,
  ],
  ['claimed', { claimed: '1' }, /^claimed: the gateway says 0\.000000001 TON/],
  ['refunded', { refunded: '1' }, /^refunded/],
  ['withdrawing', { withdrawing: '1' }, /^withdrawing/],
  ['the epoch', { epoch: '1' }, /^epoch: the gateway is at 1, the chain at 0/],
  [
    'a charge above what was signed',
    { charged: '2' },
    /^charged: 0\.000000002 TON is more than 0 TON/,
  ],
  [
    'a charge above what there is',
    { charged: '1500000001', ceiling: '2000000000' },
    /more than the channel ever held/,
  ],
];
for (const [name, told, says] of DIFFERENCES) {
  test(`status names a difference in ${name}, and only that`, async () => {
    await withChannel(async (opened) => {
      books(opened, told);
      const { json, isTroubled } = await runChannelStatus(opened.common, opened.io());
      const differences = [json['differences']].flat();
      assert.equal(differences.length, 1);
      assert.match(textOf(differences[0]), says);
      assert.equal(isTroubled, true);
    });
  });
}

test('status says what the chain says where the gateway does not answer or does not know', async () => {
  await withChannel(async ({ common, io, gateway }) => {
    const unknown = await runChannelStatus(common, io());
    assert.match(JSON.stringify(unknown.json['differences']), /does not know/);
    gateway.answer = () => ({ status: 500, json: {} });
    const silent = await runChannelStatus(common, io());
    assert.match(JSON.stringify(silent.json['differences']), /does not answer/);
    assert.equal(Object(silent.json['chain']).deposited, '1500000000');
  });
});

test('status does not take the state of another channel for this one', async () => {
  await withChannel(async ({ common, io, gateway }) => {
    gateway.answer = () => ({ status: 200, json: stateJson(new Uint8Array(32)) });
    const { json } = await runChannelStatus(common, io());
    assert.equal(json['gateway'], null);
    assert.match(JSON.stringify(json['differences']), /money\.gateway/);
  });
});

test('a withdraw needs no wallet: it is asked for, waits, and pays out', async () => {
  await withChannel(async ({ yes, io, devnet, wallet }) => {
    rmSync(walletPath(yes));
    const asked = await runChannelWithdraw(undefined, yes, io());
    assert.equal(asked.json['withdrawing'], '1500000000');
    assert.ok(Number(asked.json['remainingS']) > DAY_S);
    await assert.rejects(
      runChannelWithdraw(undefined, { ...yes, finish: true }, io()),
      /not before .* in /,
    );
    const again = await runChannelWithdraw(undefined, yes, io());
    assert.match(again.lines.join(' '), /was asked for before/);
    await devnet.forward(DAY_S + 400);
    const before = await balanceOf(devnet, wallet.address.toRawString());
    const done = await runChannelWithdraw(undefined, { ...yes, finish: true }, io());
    assert.equal(done.json['refunded'], '1500000000');
    assert.equal(done.json['status'], 'idle');
    const got = (await balanceOf(devnet, wallet.address.toRawString())) - before;
    assert.ok(got > (TON * 148n) / 100n && got <= (TON * 3n) / 2n, String(got));
  });
});

test('an empty channel gives its rent back, and opens no more', async () => {
  await withChannel(async ({ yes, io, devnet, wallet }) => {
    const rent = { ...yes, rent: true } as const;
    await assert.rejects(runChannelWithdraw(undefined, rent, io()), /not empty/);
    await runChannelWithdraw(undefined, yes, io());
    await devnet.forward(DAY_S + 400);
    await runChannelWithdraw(undefined, { ...yes, finish: true }, io());
    const before = await balanceOf(devnet, wallet.address.toRawString());
    const { json } = await runChannelWithdraw(undefined, rent, io());
    assert.equal(json['status'], 'retired');
    const got = (await balanceOf(devnet, wallet.address.toRawString())) - before;
    assert.ok(got > (TON * 4n) / 100n && got < (TON * 5n) / 100n, String(got));
    await assert.rejects(runChannelWithdraw(undefined, rent, io()), /given up before/);
    await assert.rejects(runChannelDeposit('0.25', yes, io()), { code: 'money.state' });
  });
});

test('a deposit into an emptied channel brings its count into the new epoch', async () => {
  await withChannel(async ({ yes, io, devnet, kept }) => {
    await runChannelWithdraw(undefined, yes, io());
    await devnet.forward(DAY_S + 400);
    await runChannelWithdraw(undefined, { ...yes, finish: true }, io());
    assert.equal(readCount(kept.path)?.epoch, 0);
    const done = await runChannelDeposit('0.25', yes, io());
    assert.equal(done.json['countBehind'], null);
    assert.equal(readCount(kept.path)?.epoch, 1);
  });
});

test('while a client pays, the deposit arrives and its count is said to be behind', async () => {
  await withChannel(async ({ common, gateway, yes, io, devnet, kept }) => {
    await runChannelWithdraw(undefined, yes, io());
    await devnet.forward(DAY_S + 400);
    await runChannelWithdraw(undefined, { ...yes, finish: true }, io());
    const { release } = openChannelFile(kept.path);
    const done = await runChannelDeposit('0.25', yes, io());
    assert.equal(done.json['countBehind'], 'client.channel_file');
    assert.equal(done.isTroubled, true);
    assert.match(done.lines.join(' '), /epoch 1/);
    const open = {
      ...common,
      gateway: gateway.url,
      gatewayId: gateway.aud,
      deposit: '1',
      yes: true,
    };
    await assert.rejects(runChannelOpen({ ...open, yes: true }, io()), {
      code: 'client.channel_file',
    });
    release();
    assert.equal((await runChannelOpen({ ...open, yes: true }, io())).json['opened'], false);
    assert.equal(readCount(kept.path)?.epoch, 1);
  });
});

test('evidence that a client has kept beside a channel is not taken for a channel', async () => {
  await withChannel(async ({ common, io, kept }) => {
    writeFileSync(`${kept.path}.bill-${'0a'.repeat(16)}.json`, '{}', { mode: 0o600 });
    const { json, isTroubled } = await runChannelList(common, io());
    assert.deepEqual(json['unreadable'], []);
    assert.equal(isTroubled, false);
  });
});

test('a part of it leaves the channel open', async () => {
  await withChannel(async ({ yes, io, devnet }) => {
    await runChannelWithdraw('0.5', yes, io());
    await devnet.forward(DAY_S + 400);
    const done = await runChannelWithdraw(undefined, { ...yes, finish: true }, io());
    assert.equal(done.json['status'], 'open');
    assert.equal(done.json['available'], '1000000000');
  });
});

test('a withdraw of too little to pay for itself goes by the wallet', async () => {
  await withChannel(async ({ yes, io, devnet }) => {
    await runChannelWithdraw('0.01', yes, io());
    await devnet.forward(DAY_S + 400);
    const done = await runChannelWithdraw(undefined, { ...yes, finish: true }, io());
    assert.equal(done.json['refunded'], '10000000');
  });
});

test('a channel whose rent is used up withdraws by the wallet', async () => {
  await withChannel(async ({ yes, io, devnet }) => {
    await devnet.forward(2 * 365 * DAY_S);
    await runChannelWithdraw('0.5', yes, io());
    const { json } = await runWalletBalance({ ...yes, network: 'devnet' }, io());
    assert.equal(json['seqno'], 2);
    await devnet.forward(DAY_S + 400);
    const done = await runChannelWithdraw(undefined, { ...yes, finish: true }, io());
    assert.equal(done.json['refunded'], '500000000');
  });
});

test('a withdraw can be taken back', async () => {
  await withChannel(async ({ yes, io }) => {
    await runChannelWithdraw(undefined, yes, io());
    const { json } = await runChannelWithdraw(undefined, { ...yes, cancel: true }, io());
    assert.equal(json['status'], 'open');
    await assert.rejects(runChannelWithdraw(undefined, { ...yes, cancel: true }, io()), {
      code: 'money.state',
    });
    await assert.rejects(runChannelWithdraw(undefined, { ...yes, finish: true }, io()), {
      code: 'money.state',
    });
  });
});

test('no more than there is can be asked for, and nothing without a yes', async () => {
  await withChannel(async ({ yes, common, io }) => {
    await assert.rejects(runChannelWithdraw('1.6', yes, io()), /1\.5 TON are available/);
    await assert.rejects(runChannelWithdraw('1', common, io()), { code: 'money.consent' });
    await assert.rejects(runChannelWithdraw('1', { ...yes, finish: true }, io()), {
      code: 'cli.option',
    });
    const { json } = await runChannelStatus(common, io());
    assert.equal(Object(json['chain']).status, 'open');
  });
});

test('a withdraw whose message is lost is sent again', async () => {
  await withChannel(async ({ yes, io, devnet }) => {
    devnet.inject({ kind: 'drop', times: 2 });
    const { json } = await runChannelWithdraw(undefined, yes, io());
    assert.equal(json['withdrawing'], '1500000000');
  });
});

test('a gateway that closes pays the rest back at once', async () => {
  await withChannel(async (opened) => {
    const { yes, io, gateway, kept } = opened;
    gateway.answer = async ({ path, body }) => {
      if (!path.endsWith('/close')) return undefined;
      assert.ok(isPayers(kept, jsonObject(body)['withdraw']));
      await claimFinal(opened, kept, { secretKey: channelKey(kept), charged: TON / 10n });
      return { status: 200, json: { closing: true } };
    };
    const { json } = await runChannelClose(yes, io());
    assert.equal(json['closing'], true);
    assert.equal(json['claimed'], '100000000');
    assert.equal(json['refunded'], '1400000000');
    await assert.rejects(runChannelClose(yes, io()), /closed already/);
  });
});

/** What a gateway should check before it closes. */
function isPayers(kept: KeptChannel, proof: unknown): boolean {
  const { epoch, validUntil, signature } = Object(proof);
  const withdraw = { channel: kept.channel.id, epoch, amount: NOTHING, validUntilS: validUntil };
  const signed: Bytes<64> = fixed(fromBase64Url(String(signature)), 64);
  return verifyEd25519(kept.file.terms.payerKey, signed, encodeWithdraw(withdraw));
}

for (const [name, answer] of [
  [
    'says no',
    { status: 409, json: { error: { code: 'channel_busy', message: 'requests are running' } } },
  ],
  ['does not know how', { status: 404, json: {} }],
  ['says yes without saying so', { status: 200, json: { ok: true } }],
] as const) {
  test(`a gateway that ${name} is not needed: a withdraw is asked for`, async () => {
    await withChannel(async ({ yes, io, gateway, said }) => {
      gateway.answer = ({ path }) => (path.endsWith('/close') ? answer : undefined);
      const { json } = await runChannelClose(yes, io());
      assert.equal(json['closing'], false);
      assert.equal(json['withdrawing'], '1500000000');
      assert.match(said.join('\n'), /Going on without it/);
    });
  });
}

test('list shows what is there and names what cannot be read', async () => {
  await withChannel(async ({ common, io, kept, dir, said }) => {
    const { json, lines } = await runChannelList(common, io());
    assert.equal(Object(json['channels'])[0].channel, toHex(kept.channel.id));
    assert.match(lines.join('\n'), /devnet/);
    writeFileSync(join(dir, 'channels', 'bad.json'), '{}', { mode: 0o600 });
    const { isTroubled } = await runChannelList(common, io());
    assert.equal(isTroubled, true);
    assert.match(said.join('\n'), /bad\.json cannot be read/);
  });
});

test('a channel file whose terms were changed is not used', async () => {
  await withChannel(async ({ common, io, kept }) => {
    const payee = `0:${'66'.repeat(32)}`;
    const terms = {
      ...kept.file.terms,
      payee,
      payerKey: Buffer.from(kept.file.terms.payerKey).toString('base64url'),
      payeeKey: Buffer.from(kept.file.terms.payeeKey).toString('base64url'),
      salt: String(kept.file.terms.salt),
    };
    const changed = { ...kept.file, channel: toHex(kept.channel.id), terms };
    writeFileSync(kept.path, JSON.stringify(changed));
    await assert.rejects(
      runChannelStatus({ ...common, channel: kept.path }, io()),
      /not that of its terms/,
    );
  });
});

test('a key that others may read signs nothing', async () => {
  await withChannel(async ({ yes, io, kept, dir }) => {
    chmodSync(join(dir, 'channels', kept.file.keyFile), 0o644);
    await assert.rejects(runChannelWithdraw(undefined, yes, io()), { code: 'file.private' });
  });
});

test('the key of another channel signs nothing', async () => {
  await withChannel(async ({ yes, io, kept, dir }) => {
    const path = join(dir, 'channels', kept.file.keyFile);
    writeFileSync(path, fromHex('05'.repeat(32)));
    await assert.rejects(runChannelWithdraw(undefined, yes, io()), /key of another channel/);
  });
});

test('which channel is meant has to be clear', async () => {
  await withChannel(async ({ common, yes, io, gateway, kept }) => {
    const at = {
      gateway: gateway.url,
      gatewayId: gateway.aud,
      deposit: '1',
      another: true,
    } as const;
    await runChannelOpen({ ...yes, ...at }, io());
    await assert.rejects(runChannelStatus(common, io()), /there are 2; say which/);
    await assert.rejects(runChannelStatus({ ...common, channel: '' }, io()), {
      code: 'money.channel',
    });
    const named = { ...common, channel: toHex(kept.channel.id).slice(0, 12) };
    const { json } = await runChannelStatus(named, io());
    assert.equal(json['channel'], toHex(kept.channel.id));
  });
});

async function balanceOf(devnet: PayLab['devnet'], address: string): Promise<bigint> {
  const response = await fetch(devnet.endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      id: '1',
      jsonrpc: '2.0',
      method: 'getAddressInformation',
      params: { address },
    }),
  });
  return BigInt(Object(Object(await response.json()).result).balance);
}
