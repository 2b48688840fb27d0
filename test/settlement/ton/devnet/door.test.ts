/** What the devnet's door refuses: strangers, pages, and requests that are none. @module */

import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { openDevnet, type Devnet } from '../../../../settlement/ton/devnet/devnet.ts';
import { addressOf, call, clientOf, post, withDevnet } from './wallets.ts';

function baseOf(devnet: Devnet): string {
  return devnet.endpoint.replace('/api/v2/jsonRPC', '/devnet');
}

/** `fetch` does not let anyone choose a Host. */
function statusWith(devnet: Devnet, headers: Readonly<Record<string, string>>): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', port: devnet.port, path: '/devnet/status', headers },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      },
    );
    asked.on('error', reject);
    asked.end();
  });
}

test('what comes from a page, or under another name, is refused', async () => {
  await withDevnet({}, async (devnet) => {
    const good = `127.0.0.1:${devnet.port}`;
    assert.equal(await statusWith(devnet, { host: good }), 200);
    assert.equal(await statusWith(devnet, { host: good, origin: 'https://evil.example' }), 403);
    assert.equal(await statusWith(devnet, { host: good, 'sec-fetch-site': 'cross-site' }), 403);
    assert.equal(await statusWith(devnet, { host: 'evil.example' }), 403);
  });
});

test('with a key, nothing works without it', async () => {
  await withDevnet({ apiKey: 'right' }, async (devnet) => {
    await clientOf(devnet, 'right').getMasterchainInfo();
    await assert.rejects(clientOf(devnet, 'wrong').getMasterchainInfo(), /401/);
    await assert.rejects(clientOf(devnet).getMasterchainInfo(), /401/);
    assert.equal((await post(`${baseOf(devnet)}/mine`, { blocks: 1 })).status, 401);
  });
});

const ADDRESS = addressOf(1).toString();
const MALFORMED: readonly (readonly [what: string, method: string, params: unknown])[] = [
  ['no method of ours', 'getEverything', {}],
  ['no params', 'getAddressInformation', undefined],
  ['params that are a list', 'getAddressInformation', []],
  ['an address that is none', 'getAddressInformation', { address: 'EQabc' }],
  ['a very long address', 'getAddressInformation', { address: 'E'.repeat(100_000) }],
  ['no boc', 'sendBoc', { boc: 'AAAA' }],
  ['an empty boc', 'sendBoc', { boc: '' }],
  ['a cell that is no message', 'sendBoc', { boc: 'te6ccgEBAQEAAgAAAA==' }],
  ['too large a message', 'sendBoc', { boc: Buffer.alloc(70_000).toString('base64') }],
  ['a page too long', 'getTransactions', { address: ADDRESS, limit: 1000 }],
  ['a page of none', 'getTransactions', { address: ADDRESS, limit: 0 }],
  ['a hash that is none', 'getTransactions', { address: ADDRESS, limit: 1, lt: '1', hash: 'xyz' }],
  ['a block that is not', 'shards', { seqno: 4_000_000 }],
  ['another shard', 'getBlockTransactions', { workchain: 0, shard: '1', seqno: 1 }],
  [
    'a stack of nonsense',
    'runGetMethod',
    { address: ADDRESS, method: 'x', stack: [['num', '1e9']] },
  ],
  [
    'a cell of nonsense',
    'runGetMethod',
    { address: ADDRESS, method: 'x', stack: [['cell', 'AAAA']] },
  ],
  ['no body to estimate', 'estimateFee', { address: ADDRESS, body: 'AAAA' }],
  [
    'a transaction that is not',
    'tryLocateResultTx',
    { source: ADDRESS, destination: ADDRESS, created_lt: '1' },
  ],
];

test('malformed calls are answered as such, and the devnet goes on', async () => {
  await withDevnet({}, async (devnet) => {
    for (const [what, method, params] of MALFORMED) {
      const { status, json } = await call(devnet, method, params);
      assert.ok(status >= 400 && status <= 500, `${what}: ${status}`);
      assert.equal(json['ok'], false, what);
    }
    assert.equal((await post(devnet.endpoint, 'not json')).status, 422);
    assert.equal((await post(devnet.endpoint, '[]')).status, 422);
    assert.equal((await post(devnet.endpoint, 'x'.repeat(300_000))).status, 413);
    assert.equal((await fetch(devnet.endpoint)).status, 405);
    await clientOf(devnet).getMasterchainInfo();
  });
});

const CONTROL: readonly (readonly [path: string, body: unknown])[] = [
  ['/time', { forwardS: -1 }],
  ['/time', { forwardS: 1e12 }],
  ['/faucet', { address: ADDRESS, nanoton: '-5' }],
  ['/faucet', { address: 'nobody', nanoton: '5' }],
  ['/faucet', { address: ADDRESS, nanoton: '9999999999999999999' }],
  ['/faults', { kind: 'fire' }],
  ['/faults', { kind: 'balance', address: 'nobody', nanoton: '5' }],
  ['/faults', { kind: 'drop', times: 0 }],
  ['/restore', { name: 'never' }],
  ['/snapshot', { name: '../../x' }],
  ['/reorg', { blocks: 60 }],
  ['/nowhere', {}],
];

test('control paths refuse what they do not know', async () => {
  await withDevnet({}, async (devnet) => {
    for (const [path, body] of CONTROL) {
      const { status } = await post(`${baseOf(devnet)}${path}`, body);
      assert.ok(status === 400 || status === 404, `${path} ${JSON.stringify(body)}: ${status}`);
    }
    const lots = Array.from(
      { length: 65 },
      async () => await post(`${baseOf(devnet)}/faults`, { kind: 'drop' }),
    );
    assert.equal((await Promise.all(lots)).filter(({ status }) => status === 400).length, 1);
  });
});

test('it ends while somebody waits, and twice', async () => {
  const devnet = await openDevnet({ blockTimeMs: 20 });
  devnet.inject({ kind: 'delay', ms: 60_000 });
  const waiting = call(devnet, 'getMasterchainInfo', {});
  const refused = assert.rejects(waiting);
  await new Promise((resolve) => setImmediate(resolve));
  await Promise.all([devnet.close(), devnet.close()]);
  await refused;
  await assert.rejects(post(`${baseOf(devnet)}/mine`, { blocks: 1 }));
});

test('a block time that is none is refused', async () => {
  await assert.rejects(openDevnet({ blockTimeMs: -1 }), { code: 'devnet.option' });
  await assert.rejects(openDevnet({ blockTimeMs: 1e9 }), { code: 'devnet.option' });
});
