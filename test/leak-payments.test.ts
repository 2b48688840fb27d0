/**
 * Nothing remains of what was said, however it was paid for: from a channel, by a voucher for an API key, from a balance, or
 * not at all. And no key, and nothing that is money to whoever reads it, is found anywhere but where it is kept.
 * @module
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { randomBytes } from '#primitives';
import { fromUtf8, toBase64Url, toHex, utf8 } from '../core/bytes.ts';
import { systemClock } from '../core/clock.ts';
import { createApiKey } from '../gateway/accounts.ts';
import type { Caveat } from '../settlement/pass.ts';
import { amount, NOTHING } from '../settlement/money.ts';
import { signWithdraw } from '../settlement/withdraw.ts';
import { findsIn, formsOf, formsOfBytes, type Secret, type Trace } from './support/canaries.ts';
import { bendingLines, PayingWalk } from './support/paying-walk.ts';
import {
  keyFilesAmong,
  PROVIDER_KEY,
  startPaidStack,
  type PaidStack,
} from './support/paid-stack.ts';
import { until } from './support/until.ts';

const CANARY = `canary-${toHex(randomBytes(8))}-\u00e9"`;
const SESSION = 1_000_000_000n;

/** As it should be, past a limit of its own, and with a bill that does not hold. */
async function payFromChannel(walk: PayingWalk): Promise<void> {
  const { path: channelFile } = walk.paid.kept;
  const bills: Uint8Array[] = [];
  const app = walk.sealed({
    pay: { channelFile },
    onSettled: (settlement) => void bills.push(settlement.bill()),
  });
  await walk.converse(app.sdk);
  await until(() => bills.length === 4);
  for (const bill of bills) walk.say(fromUtf8(bill));
  await app.close();
  const limited = walk.sealed({ pay: { channelFile, spendMax: 1n } });
  await walk.refused(limited.sdk);
  await limited.close();
  const onFault = (fault: object): void => walk.say(fault);
  const robbed = walk.sealed({ pay: { channelFile, onFault }, fetch: bendingLines });
  await walk.ask(robbed.sdk);
  await walk.refused(robbed.sdk);
  await robbed.close();
}

/** At an SDK's edge, where the gateway reads; good, capped, over, elsewhere, forged, of nobody, of another epoch. */
async function payByToken(walk: PayingWalk): Promise<void> {
  const voucher = walk.voucher(SESSION);
  const end: Caveat = { kind: 'expiry', notAfterMs: systemClock() + 60_000 };
  await walk.converse(walk.plain(walk.token(voucher, [end])));
  const cap: Caveat = { kind: 'request-cap', cap: amount(SESSION) };
  await walk.ask(walk.plain(walk.token(voucher, [end, cap])));
  for (const token of [
    walk.token(voucher, [end, { kind: 'expiry', notAfterMs: 1 }]),
    walk.token(voucher, [end, { kind: 'models', models: ['other'] }]),
    walk.token({ ...voucher, ceiling: amount(SESSION + 1n) }, [end]),
    walk.token({ ...voucher, channel: randomBytes(32) }, [end]),
    walk.token(walk.voucher(SESSION, 1), [end]),
  ]) {
    await walk.refused(walk.plain(token));
  }
}

/** From what the operator holds, and from nothing. */
async function payFromBalance(walk: PayingWalk): Promise<string> {
  const { stack } = walk.paid;
  await walk.converse(stack.plain());
  await walk.ask(stack.sealed());
  const { apiKey } = createApiKey(stack.gateway.store, 'poor', systemClock());
  for (const app of [stack.plain(), stack.sealed()])
    await walk.refused(app.withOptions({ apiKey }));
  return apiKey;
}

/** Every page that says something about money, to whom it may be said. */
async function lookAround(walk: PayingWalk): Promise<void> {
  const { stack, kept } = walk.paid;
  const origin = new URL(stack.baseUrl).origin;
  const owner = { headers: { authorization: `Bearer ${stack.apiKey}` } };
  const payer = { headers: walk.headersOf(walk.voucher(SESSION)) };
  const settled = walk.requestIds.slice(0, 3).map((id) => `/v1/settlements/${id}`);
  for (const path of ['/v1/account', '/v1/pricing', '/v1/gateway', ...settled]) {
    for (const who of [owner, payer, {}]) await walk.shown(`${origin}${path}`, who);
  }
  await walk.shown(`${origin}/v1/channels/${toHex(kept.channel.id)}`, payer);
  await walk.shown(`${origin}/v1/settlements/${encodeURIComponent(CANARY)}`, owner);
  await walk.shown(`${origin}/v1/channels/${encodeURIComponent(CANARY)}`);
  for (const path of ['/v1/channels', '/v1/payments/voucher']) {
    for (const body of [CANARY, JSON.stringify({ voucher: CANARY, channel: CANARY })]) {
      const headers = { 'content-type': 'application/json' };
      await walk.shown(`${origin}${path}`, { method: 'POST', headers, body });
    }
  }
  for (const page of ['/settlement', '/settlements?after=0', '/policy', '/metrics']) {
    const text = await walk.shown(`${stack.adminUrl}${page}`);
    assert.ok(text.length > 100, page);
  }
}

/** By agreement: what was charged goes over the chain, and the rest comes back. */
async function closeChannel(walk: PayingWalk): Promise<void> {
  const { stack, money, kept, payerKey } = walk.paid;
  const { id: channel } = kept.channel;
  const validUntilS = money.devnet.nowS() + 600;
  const wish = { channel, epoch: 0, amount: NOTHING, validUntilS };
  const signature = toBase64Url(signWithdraw(payerKey, wish));
  const body = JSON.stringify({
    withdraw: { epoch: 0, amount: '0', validUntil: validUntilS, signature },
  });
  const url = `${new URL(stack.baseUrl).origin}/v1/channels/${toHex(channel)}/close`;
  const headers = { 'content-type': 'application/json' };
  await walk.shown(url, { method: 'POST', headers, body });
  await until(async () => {
    const account = await stack.gateway.ledger.findAccount(channel);
    return account !== undefined && account.claimed > 0n;
  });
  await walk.shown(`${stack.adminUrl}/settlement`);
}

function receiptCommand(traces: readonly Trace[]): readonly Trace[] {
  const bills = traces.map(({ name }) => name).filter((name) => /\.bill-[^/]*\.json$/.test(name));
  assert.equal(bills.length, 1);
  return [['verify'], ['verify', '--json'], ['show'], ['show', '--json']].map((words) => {
    const command = ['cli/veilgate.ts', 'receipt', ...words, ...bills];
    const { stdout, stderr } = spawnSync(process.execPath, command, { timeout: 30_000 });
    assert.ok(stdout.length > 100, words.join(' '));
    return { name: `veilgate receipt ${words.join(' ')}`, bytes: Buffer.concat([stdout, stderr]) };
  });
}

/** Of the paths above, that each was really walked. */
function assertWalked(walk: PayingWalk, traces: readonly Trace[]): void {
  const has = (pattern: RegExp) =>
    traces.some(({ name, bytes }) => pattern.test(name) && bytes.length > 0);
  for (const pattern of [
    /channels\/[0-9a-f]+\.json\.state$/,
    /\.bill-[0-9a-f]+\.json$/,
    /gateway\/ledger\.sqlite/,
    /earnings-0\//,
    /devnet\.json$/,
    /worker-0\.log$/,
    /^gateway log$/,
  ]) {
    assert.ok(has(pattern), pattern.source);
  }
  const said = walk.said.join('\n');
  for (const word of ['x_settlement', 'payment-response', 'payment-required']) {
    assert.ok(said.includes(word), word);
  }
  for (const refusal of [
    '402 pay_limit',
    '402 pay_halted',
    '403 bearer_forbids',
    '403 pass_invalid',
    '402 voucher_bad_signature',
    '402 channel_unknown',
    '402 epoch_mismatch',
    '402 insufficient_deposit',
  ]) {
    assert.ok(walk.refusals.has(refusal), `${refusal} of ${[...walk.refusals].join()}`);
  }
  assert.ok(walk.answers.length === 6 && walk.answers.every((answer) => answer.length >= 40));
}

function textSecret(name: string, text: string): Secret {
  return { name, forms: formsOf(text) };
}

/** What is money, or makes it, outside of where it is kept. */
function findsOfKeys(walk: PayingWalk, traces: readonly Trace[], apiKeys: readonly string[]) {
  const keys = keyFilesAmong(traces);
  for (const name of ['keys/settlement', 'keys/treasury', '.key', 'wallet.key']) {
    assert.ok(
      keys.some(({ path }) => path.endsWith(name)),
      name,
    );
  }
  const elsewhere = keys.flatMap(({ path, key }) => {
    const secret = { name: path, forms: formsOfBytes(key) };
    assert.ok(findsIn(traces, [secret]).length > 0, 'the search finds it at home');
    return findsIn(
      traces.filter(({ name }) => name !== path),
      [secret],
    );
  });
  const texts = [...apiKeys, ...walk.tokens].map((text) => textSecret(text.slice(0, 12), text));
  const provider = textSecret('the key of the provider', PROVIDER_KEY);
  assert.ok(findsIn(traces, [provider]).length > 0, 'the search finds it at home');
  // A ledger keeps the voucher that it claims by, a chain sees it, a bill proves it; and a refusal shows its payer which is held.
  const signed = traces.filter(
    ({ name }) => !/ledger\.sqlite|devnet\.json|\.bill-|^said/.test(name),
  );
  const signatures = walk.vouchers.map(({ ceiling, signature }) => ({
    name: `the voucher for ${ceiling}`,
    forms: formsOfBytes(signature),
  }));
  const passes = walk.passes.map(({ signature }, at) => ({
    name: `pass ${at}`,
    forms: formsOfBytes(signature),
  }));
  return [
    ...findsIn(traces, passes),
    ...elsewhere,
    ...findsIn(traces, texts),
    ...findsIn(
      traces.filter(({ name }) => !name.endsWith('provider.key')),
      [provider],
    ),
    ...findsIn(signed, signatures),
  ];
}

async function walked(paid: PaidStack): Promise<{ walk: PayingWalk; apiKeys: readonly string[] }> {
  const walk = new PayingWalk(paid, CANARY);
  await payFromChannel(walk);
  await payByToken(walk);
  const poor = await payFromBalance(walk);
  await lookAround(walk);
  await closeChannel(walk);
  return { walk, apiKeys: [paid.stack.apiKey, poor] };
}

test('no prompt, no answer and no key is found in anything that paying leaves behind', async () => {
  const paid = await startPaidStack();
  try {
    const { walk, apiKeys } = await walked(paid);
    // Ended first: what a process writes last is searched too.
    await paid.stop();
    const files = paid.traces();
    const told = [
      ...walk.said.map((text, at) => ({ name: `said ${at}: ${text}`, bytes: utf8(text) })),
      ...walk.pages.map((text, at) => ({ name: `page ${at}: ${text}`, bytes: utf8(text) })),
    ];
    const traces = [...files, ...told, ...receiptCommand(files)];
    assertWalked(walk, traces);
    const content = [
      textSecret('the prompt', CANARY),
      ...[...new Set(walk.answers)].map((answer) => textSecret('an answer', answer)),
    ];
    assert.deepEqual(findsIn(traces, content), []);
    assert.deepEqual(findsOfKeys(walk, traces, apiKeys), []);
  } finally {
    await paid.close();
  }
});
