/** What the local proxy spends, and what it says when paying does not work. @module */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { toHex } from '../../../core/bytes.ts';
import { VeilError } from '../../../core/errors.ts';
import { adviceOnStart } from '../../../cli/proxy/advice.ts';
import { openPayer } from '../../../client/pay/open-payer.ts';
import { CHANNEL_FILE_FORMAT, channelTermsJson } from '../../../settlement/channel-terms.ts';
import { amount } from '../../../settlement/money.ts';
import { MODEL, PROMPT } from '../../support/memory-gateway.ts';
import {
  channelParts,
  COST,
  paidGateway,
  TestMemory,
  type PaidGateway,
} from '../../support/paying.ts';
import { memoryProxy, type ProxyLab } from '../../support/proxy-lab.ts';

const QUESTION = { model: MODEL, messages: [{ role: 'user' as const, content: PROMPT }] };

function payingProxy(context: TestContext, gateway: PaidGateway, spendMax?: bigint) {
  const pay = channelParts(gateway, new TestMemory());
  return memoryProxy(context, gateway, { spendMax }, { pay });
}

function ask({ sdk }: ProxyLab) {
  return sdk.chat.completions.create(QUESTION);
}

test('what was settled is shown for each request, for the run and for the channel', async (context) => {
  const gateway = await paidGateway(context);
  const lab = await payingProxy(context, gateway);
  await ask(lab);
  await ask(lab);
  const { activity } = lab;
  assert.deepEqual(
    activity.ended.map(({ cost, tokens }) => ({ ...cost, ...tokens })),
    Array.from({ length: 2 }, () => ({
      amount: COST,
      asset: 'TON',
      by: 'gateway',
      read: 5,
      written: 2,
    })),
  );
  assert.equal(activity.spent.get('TON'), 2n * COST);
  assert.equal(activity.channelTotal, 2n * COST);
});

test('a bill that does not hold is a fault, and the next request says that paying has stopped', async (context) => {
  const gateway = await paidGateway(context);
  const lab = await payingProxy(context, gateway);
  gateway.books.mischief.line = () => undefined;
  await ask(lab);
  assert.deepEqual(lab.activity.faults, [{ faults: ['missing'], savedAs: 'kept' }]);
  assert.equal(lab.activity.ended[0]?.cost?.by, 'worker');
  assert.equal(lab.activity.spent.get('TON'), undefined);
  await assert.rejects(ask(lab), { status: 402, code: 'pay_halted' });
  const { code, advice } = lab.activity.ended[1] ?? {};
  assert.equal(code, 'client.pay_halted');
  assert.match(advice ?? '', /veilgate channel resume/);
});

test('an empty channel is a 402 that SDKs do not repeat, with the command that fills it', async (context) => {
  const gateway = await paidGateway(context, {}, 'fresh');
  await gateway.books.fund({ deposited: amount(10n) });
  const lab = await payingProxy(context, gateway);
  const patient = lab.sdk.withOptions({ maxRetries: 3 });
  await assert.rejects(patient.chat.completions.create(QUESTION), {
    status: 402,
    code: 'insufficient_deposit',
  });
  assert.equal(lab.activity.ended.length, 1);
  assert.match(lab.activity.ended[0]?.advice ?? '', /veilgate channel deposit/);
});

test('a request that could cost more than --spend-max leaves is refused here', async (context) => {
  const gateway = await paidGateway(context);
  const lab = await payingProxy(context, gateway, 1n);
  await assert.rejects(ask(lab), { status: 402, code: 'pay_limit' });
  assert.ok(!gateway.asked.includes('/sx/v1/exchange'));
});

test('a channel that another program pays from ends the start, and is named', async (context) => {
  const gateway = await paidGateway(context);
  const channelFile = fileOf(context, gateway);
  const other = await openPayer({ channelFile }, gateway.clock);
  const payer = { kind: 'channel', channelFile, channel: toHex(gateway.books.channel) } as const;
  await assert.rejects(memoryProxy(context, gateway, { payer }), (error) => {
    assert.ok(error instanceof VeilError);
    assert.equal(error.code, 'client.channel_file');
    assert.match(adviceOnStart(error) ?? '', /Another program pays from this channel/);
    return true;
  });
  await other.close();
  const lab = await memoryProxy(context, gateway, { payer });
  await ask(lab);
  await lab.close();
  // Given back: the next one may have it.
  await (await openPayer({ channelFile }, gateway.clock)).close();
});

test('a start that fails gives the channel back', async (context) => {
  const gateway = await paidGateway(context);
  const channelFile = fileOf(context, gateway);
  const payer = { kind: 'channel', channelFile, channel: '' } as const;
  const first = await memoryProxy(context, gateway);
  await assert.rejects(memoryProxy(context, gateway, { payer, port: first.port }), {
    code: 'EADDRINUSE',
  });
  await (await openPayer({ channelFile }, gateway.clock)).close();
});

function fileOf(context: TestContext, { books, aud }: PaidGateway): string {
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-proxy-'));
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
