/** The chain and the channel of a trial, started, stopped and started again. @module */

import assert from 'node:assert/strict';
import { existsSync, globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDataDirectory } from '../../cli/up/data-directory.ts';
import { startDevMoney, type DevMoney } from '../../cli/up/money.ts';
import { loadChannel } from '../../cli/channel/channel-files.ts';
import { withFakeGateway, type FakeGateway } from '../support/pay-lab.ts';

async function started(
  dir: string,
  gateway: FakeGateway,
  work: (money: DevMoney) => Promise<void>,
): Promise<void> {
  const data = openDataDirectory(dir);
  try {
    const money = await startDevMoney({ data, onProgress: () => undefined });
    gateway.payee = money.payee;
    try {
      await work(money);
    } finally {
      await money.close();
    }
  } finally {
    data.release();
  }
}

async function withDirectory(
  work: (dir: string, gateway: FakeGateway) => Promise<void>,
): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'veilgate-up-money-'));
  try {
    await withFakeGateway(async (gateway) => await work(dir, gateway));
  } finally {
    rmSync(dir, { recursive: true });
  }
}

test('a trial has an open channel, and the next start has the same one', async () => {
  await withDirectory(async (dir, gateway) => {
    const at = { gatewayUrl: gateway.url, aud: gateway.aud };
    let first = '';
    await started(dir, gateway, async (money) => {
      const demo = await money.openDemoChannel(at);
      assert.equal(demo.how, 'opened');
      assert.equal(demo.available, 5_000_000_000n);
      const { file } = loadChannel(demo.channelFilePath);
      assert.equal(file.terms.payee, money.treasuryAddress);
      assert.equal(file.terms.payer, money.payerAddress);
      first = demo.channel;
    });
    await started(dir, gateway, async (money) => {
      const demo = await money.openDemoChannel(at);
      assert.deepEqual([demo.how, demo.channel, demo.available], ['known', first, 5_000_000_000n]);
    });
  });
});

test('where the chain was lost, a new channel is made at another address', async () => {
  await withDirectory(async (dir, gateway) => {
    const at = { gatewayUrl: gateway.url, aud: gateway.aud };
    const channels: string[] = [];
    for (let start = 0; start < 2; start++) {
      await started(dir, gateway, async (money) => {
        const demo = await money.openDemoChannel(at);
        assert.equal(demo.how, 'opened');
        assert.ok(existsSync(demo.channelFilePath));
        channels.push(demo.channel);
      });
      rmSync(join(dir, 'devnet.json'));
    }
    assert.notEqual(channels[0], channels[1]);
    assert.equal(
      globSync('payer/channels.before-*/*.key', { cwd: dir }).length,
      1,
      'nothing is lost',
    );
  });
});

test('the trial opens nothing with a gateway that is not the one it started', async () => {
  await withDirectory(async (dir, gateway) => {
    await started(dir, gateway, async (money) => {
      const aud = `gw1.${'A'.repeat(43)}`;
      await assert.rejects(money.openDemoChannel({ gatewayUrl: gateway.url, aud }), {
        code: 'money.gateway',
      });
    });
  });
});
