/** A channel as files: what is read, what is refused, what survives, and that one process pays at a time. @module */

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { randomBytes } from '#primitives';
import { toHex } from '../../core/bytes.ts';
import {
  beginCount,
  openChannelFile,
  readCount,
  resumeCount,
  setCountEpoch,
} from '../../client/node/channel-file.ts';
import type { PayFault } from '../../client/index.ts';
import { openPayer } from '../../client/pay/open-payer.ts';
import { CHANNEL_FILE_FORMAT, channelTermsJson } from '../../settlement/channel-terms.ts';
import { amount } from '../../settlement/money.ts';
import { COST, paidGateway, payingApp, type PaidGateway } from '../support/paying.ts';

const UNUSABLE = { code: 'client.channel_file' };

function channelFile(context: TestContext, { books, aud }: PaidGateway): string {
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-channel-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'channel.json');
  writeFileSync(join(folder, 'channel.key'), books.payerKeys.secretKey, { mode: 0o600 });
  const file = {
    fmt: CHANNEL_FILE_FORMAT,
    gateway: aud,
    url: 'https://gateway.test',
    channel: toHex(books.channel),
    terms: channelTermsJson(books.terms),
    keyFile: 'channel.key',
  };
  writeFileSync(path, JSON.stringify(file), { mode: 0o600 });
  return path;
}

function appOf(gateway: PaidGateway, path: string, faults: PayFault[] = []) {
  const pay = { channelFile: path, onFault: (fault: PayFault) => void faults.push(fault) };
  return payingApp(gateway, { client: { pay } });
}

test('an app pays from a channel file, and goes on from it after a restart', async (context) => {
  const gateway = await paidGateway(context);
  const path = channelFile(context, gateway);
  beginCount(path);
  for (let run = 0; run < 2; run++) {
    const app = appOf(gateway, path);
    assert.equal(await app.ask(), 'whole answer');
    await app.close();
  }
  assert.equal(readCount(path)?.confirmed, 2n * COST);
  assert.equal(readCount(path)?.ceiling, gateway.books.vouchers[1]);
  assert.deepEqual(readdirSync(join(path, '..')).toSorted(), [
    'channel.json',
    'channel.json.state',
    'channel.key',
  ]);
});

test('one process pays at a time, and another one may when it has left', async (context) => {
  const gateway = await paidGateway(context);
  const path = channelFile(context, gateway);
  const first = await openPayer({ channelFile: path }, gateway.clock);
  await assert.rejects(openPayer({ channelFile: path }, gateway.clock), UNUSABLE);
  assert.throws(() => resumeCount(path), UNUSABLE);
  await first.close();
  const second = await openPayer({ channelFile: path }, gateway.clock);
  await second.close();
});

test('a fault is saved beside the channel, holds over a restart, and ends by decision', async (context) => {
  const gateway = await paidGateway(context);
  const path = channelFile(context, gateway);
  gateway.books.mischief.line = () => undefined;
  const faults: PayFault[] = [];
  const app = appOf(gateway, path, faults);
  await app.ask();
  await app.close();
  const [fault] = faults;
  assert.ok(fault?.bill !== undefined && fault.savedAs !== undefined);
  assert.deepEqual(new Uint8Array(readFileSync(fault.savedAs)), fault.bill);
  delete gateway.books.mischief.line;
  const again = appOf(gateway, path);
  await assert.rejects(again.ask(), { status: 402, code: 'pay_halted' });
  await again.close();
  assert.deepEqual(resumeCount(path), ['missing']);
  assert.equal(await appOf(gateway, path).ask(), 'whole answer');
});

test('the epoch changes by what the chain says, and with it all that was promised', async (context) => {
  const gateway = await paidGateway(context);
  const path = channelFile(context, gateway);
  beginCount(path);
  const app = appOf(gateway, path);
  await app.ask();
  await app.close();
  setCountEpoch(path, 0, amount(0n));
  assert.equal(readCount(path)?.confirmed, COST);
  await gateway.books.fund({ epoch: 1, claimed: amount(COST), blockSeqno: 2 });
  const stale = appOf(gateway, path);
  await assert.rejects(stale.ask(), { code: 'epoch_mismatch' });
  await stale.close();
  setCountEpoch(path, 1, amount(COST));
  const current = appOf(gateway, path);
  assert.equal(await current.ask(), 'whole answer');
  await current.close();
  assert.equal(readCount(path)?.confirmed, 2n * COST);
});

test('no word about the chain makes it promise what it never signed for, or go back', async (context) => {
  const gateway = await paidGateway(context);
  const path = channelFile(context, gateway);
  beginCount(path);
  const app = appOf(gateway, path);
  await app.ask();
  await app.close();
  const [ceiling = 0n] = gateway.books.vouchers;
  assert.throws(() => setCountEpoch(path, 1, amount(ceiling + 1n)), UNUSABLE);
  assert.equal(readCount(path)?.epoch, 0);
  setCountEpoch(path, 1, amount(ceiling));
  assert.equal(readCount(path)?.ceiling, 0n);
  assert.throws(() => setCountEpoch(path, 0, amount(0n)), UNUSABLE);
  assert.throws(() => setCountEpoch(path, 2, amount(ceiling + 1n)), UNUSABLE);
  assert.equal(readCount(path)?.epoch, 1);
});

test('a count that begins does not write over one that is there', async (context) => {
  const gateway = await paidGateway(context);
  const path = channelFile(context, gateway);
  const app = appOf(gateway, path);
  await app.ask();
  await app.close();
  const before = readFileSync(`${path}.state`, 'utf8');
  beginCount(path);
  assert.equal(readFileSync(`${path}.state`, 'utf8'), before);
});

const SPOILS: readonly (readonly [what: string, spoil: (path: string) => void])[] = [
  ['that is not there', (path) => rmSync(path)],
  ['that is not JSON', (path) => writeFileSync(path, '{')],
  ['with a member more', (path) => edit(path, (text) => text.replace('{', '{"more":1,'))],
  ['of another form', (path) => edit(path, (text) => text.replace('channel/1', 'channel/2'))],
  ['that others may write', (path) => chmodSync(path, 0o666)],
  ['without its key', (path) => rmSync(keyOf(path))],
  ['whose key others may read', (path) => chmodSync(keyOf(path), 0o644)],
  ['whose key is too short', (path) => writeFileSync(keyOf(path), randomBytes(16))],
  ['whose key is another one', (path) => writeFileSync(keyOf(path), randomBytes(32))],
  ['whose count is spoilt', (path) => writeFileSync(`${path}.state`, '{}', { mode: 0o600 })],
];

function keyOf(path: string): string {
  return path.replace('.json', '.key');
}

function edit(path: string, change: (text: string) => string): void {
  writeFileSync(path, change(readFileSync(path, 'utf8')));
}

for (const [what, spoil] of SPOILS) {
  test(`a channel file ${what} is refused, and leaves nothing locked`, async (context) => {
    const gateway = await paidGateway(context);
    const path = channelFile(context, gateway);
    spoil(path);
    await assert.rejects(openPayer({ channelFile: path }, gateway.clock), UNUSABLE);
    assert.ok(!readdirSync(join(path, '..')).includes('channel.json.lock'));
  });
}

test('a channel file whose key is sound opens', async (context) => {
  const gateway = await paidGateway(context);
  const { parts, release } = openChannelFile(channelFile(context, gateway));
  assert.deepEqual(parts.secretKey, gateway.books.payerKeys.secretKey);
  release();
});
