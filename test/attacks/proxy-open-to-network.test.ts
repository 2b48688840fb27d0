/** The local proxy on an address that others reach would let them spend: there is no way to have it. @module */

import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { connect } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import { isLoopbackAddress } from '../../cli/proxy/door.ts';
import { serve } from '../../cli/proxy/serve.ts';
import { settingsOf } from '../../cli/proxy/settings.ts';
import { memoryGateway } from '../support/memory-gateway.ts';
import { memoryProxy } from '../support/proxy-lab.ts';

const OPEN = [
  '0.0.0.0',
  '::',
  '0',
  '',
  '*',
  '10.0.0.1',
  '192.168.1.2',
  '127.0.0.1.evil.test',
  // Names are somebody else's to answer for.
  'localhost',
  'example.com',
  '::ffff:10.0.0.1',
  '127.1',
  '2130706433',
];

test('no option and no call binds anything but loopback', async (context) => {
  const gateway = await memoryGateway();
  for (const host of OPEN) {
    await assert.rejects(
      settingsOf({ gateway: 'https://gateway.test', policy: 'x', host, port: 0, concurrency: 1 }),
      { code: 'proxy.bind' },
      host,
    );
    await assert.rejects(memoryProxy(context, gateway, { host }), { code: 'proxy.bind' }, host);
  }
  assert.equal(serve.length, 1);
});

test('what is loopback, and what is not', () => {
  for (const address of ['127.0.0.1', '127.8.9.10', '::1', '::ffff:127.0.0.1']) {
    assert.ok(isLoopbackAddress(address), address);
  }
  for (const address of [...OPEN, '128.0.0.1', 'fe80::1', undefined]) {
    assert.ok(!isLoopbackAddress(address), String(address));
  }
});

test('it cannot be reached by another address of this machine', async (context) => {
  const lab = await memoryProxy(context, await memoryGateway());
  const others = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ internal, family }) => !internal && family === 'IPv4');
  for (const { address } of others) {
    const socket = connect(lab.port, address);
    const [error] = await once(socket, 'error');
    assert.match(String(error), /ECONNREFUSED/);
  }
  const again = await lab.ask('/healthz');
  assert.equal(again.status, 200);
});
