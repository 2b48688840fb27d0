/** A client pays from a channel: what it signs, what it writes down first, and what it makes of the bill. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodePayState, newPayState } from '../../client/pay/pay-state.ts';
import { resumePaying } from '../../client/index.ts';
import { amount } from '../../settlement/money.ts';
import { TEST_PRICES } from '../support/attested-key.ts';
import { isAbsent, MODEL, PROMPT } from '../support/memory-gateway.ts';
import { COST, paidGateway, payingApp, TestMemory } from '../support/paying.ts';
import { until } from '../support/until.ts';

test('each request is paid, settled to the nanoTON, and its price handed to the app', async (context) => {
  const gateway = await paidGateway(context);
  const app = payingApp(gateway);
  assert.equal(await app.ask(), 'whole answer');
  assert.equal(await app.stream(), 'whole answer');
  await until(() => app.settled.length === 2);
  assert.deepEqual(
    app.settled.map(({ amount: cost, cum, n }) => [cost, cum, n]),
    [
      [COST, COST, 1n],
      [COST, 2n * COST, 2n],
    ],
  );
  assert.equal((await gateway.books.account()).charged, 2n * COST);
  assert.deepEqual(app.faults, []);
});

test('the ceiling is what was charged and the most that this request can cost', async (context) => {
  const gateway = await paidGateway(context);
  const app = payingApp(gateway);
  await app.ask();
  await app.ask();
  const [first = 0n, second = 0n] = gateway.books.vouchers;
  assert.ok(first > COST);
  assert.equal(second, first + COST);
});

test('what the SDK calls an API key is not sent, and no word of the prompt', async (context) => {
  const gateway = await paidGateway(context);
  const app = payingApp(gateway);
  await app.ask();
  assert.ok(isAbsent('none needed', gateway.sent));
  assert.ok(isAbsent(PROMPT, [...gateway.sent, ...app.memory.saved]));
  assert.ok(
    isAbsent(
      PROMPT,
      app.settled.map(({ bill }) => bill()),
    ),
  );
});

test('a voucher is on the disk before it leaves', async (context) => {
  const gateway = await paidGateway(context);
  const app = payingApp(gateway);
  const written = Promise.withResolvers<void>();
  const saving = Promise.withResolvers<void>();
  app.memory.before = () => {
    saving.resolve();
    return written.promise;
  };
  const asked = app.ask();
  await saving.promise;
  assert.ok(!gateway.asked.includes('/sx/v1/exchange'));
  written.resolve();
  await asked;
  assert.equal(app.state().ceiling, gateway.books.vouchers[0]);
});

test('a count that cannot be written keeps the voucher here, and the next request tries again', async (context) => {
  const gateway = await paidGateway(context);
  const app = payingApp(gateway);
  app.memory.before = () => Promise.reject(new Error('the disk is full'));
  await assert.rejects(app.ask());
  assert.deepEqual(gateway.books.vouchers, []);
  app.memory.before = () => Promise.resolve();
  assert.equal(await app.ask(), 'whole answer');
});

test('requests side by side on one channel are all served, and the sums agree', async (context) => {
  const gateway = await paidGateway(context);
  const app = payingApp(gateway);
  const texts = await Promise.all(Array.from({ length: 8 }, () => app.ask()));
  assert.deepEqual(new Set(texts), new Set(['whole answer']));
  await app.close();
  assert.deepEqual(app.faults, []);
  assert.equal(app.state().confirmed, 8n * COST);
  assert.equal(app.state().charged, 8n * COST);
  assert.equal((await gateway.books.account()).charged, 8n * COST);
  assert.ok(app.memory.saved.length < 16 + 1);
});

test('a session signs once, serves within its budget, and stops at its end', async (context) => {
  const gateway = await paidGateway(context);
  const per = payingApp(gateway);
  await per.ask();
  const need = gateway.books.vouchers[0] ?? 0n;
  await per.close();
  const app = payingApp(gateway, {
    memory: per.memory,
    pay: { policy: { session: need + COST } },
  });
  await app.ask();
  await app.ask();
  assert.deepEqual(gateway.books.vouchers.slice(1), [2n * COST + need, 2n * COST + need]);
  await assert.rejects(app.ask(), { status: 402, code: 'pay_limit' });
});

test('no ceiling above spendMax is signed, and the request is refused here', async (context) => {
  const gateway = await paidGateway(context);
  const probe = payingApp(gateway);
  await probe.ask();
  const need = gateway.books.vouchers[0] ?? 0n;
  await probe.close();
  const app = payingApp(gateway, { memory: probe.memory, pay: { spendMax: need + COST } });
  await app.ask();
  await assert.rejects(app.ask(), { status: 402, code: 'pay_limit' });
  assert.ok(gateway.books.vouchers.every((ceiling) => ceiling <= need + COST));
});

test('a restart goes on where the count was, and a crash counts what was under way as spent', async (context) => {
  const gateway = await paidGateway(context);
  const app = payingApp(gateway);
  await app.ask();
  await app.close();
  const again = payingApp(gateway, { memory: app.memory });
  await again.ask();
  assert.equal(gateway.books.vouchers[1], (gateway.books.vouchers[0] ?? 0n) + COST);
  // The state before the answer came: the request was under way.
  const crashed = payingApp(gateway, { memory: new TestMemory(app.memory.saved[0]) });
  assert.equal(await crashed.ask(), 'whole answer');
  assert.deepEqual(crashed.faults, []);
});

test('a lost count is found again by our own signature, and one request more is served', async (context) => {
  const gateway = await paidGateway(context);
  const app = payingApp(gateway);
  for (let i = 0; i < 4; i++) await app.ask();
  await app.close();
  // So much was spent that a voucher from zero does not cover it.
  const need = gateway.books.vouchers[0] ?? 0n;
  const times = Number(need / COST) + 1;
  for (let i = 0; i < times; i++) await app.ask();
  const lost = payingApp(gateway);
  assert.equal(await lost.ask(), 'whole answer');
  assert.equal(lost.state().baseline, 'known');
  assert.deepEqual(lost.faults, []);
});

test('a channel that the gateway does not know yet is announced, once', async (context) => {
  const gateway = await paidGateway(context, {}, 'fresh');
  const app = payingApp(gateway);
  assert.equal(await app.ask(), 'whole answer');
  await app.ask();
  assert.equal(gateway.asked.filter((path) => path === '/v1/channels').length, 1);
});

for (const [code, edge] of [
  ['insufficient_deposit', 402],
  ['channel_closing', 402],
  ['account_frozen', 402],
  ['epoch_mismatch', 402],
  ['voucher_bad_signature', 402],
  ['quote_expired', 402],
  ['something_new', 402],
  ['channel_unsynced', 503],
] as const) {
  test(`a refusal with ${code} reaches the app as ${edge} and is not tried again`, async (context) => {
    const gateway = await paidGateway(context);
    gateway.books.mischief.demand = (asked) => ({ ...asked, code });
    const app = payingApp(gateway);
    const named: Readonly<Record<string, string>> = {
      quote_expired: 'refused',
      something_new: 'refused',
    };
    await assert.rejects(app.ask(), {
      status: edge,
      code: named[code] ?? code,
      type: edge === 402 ? 'payment_required' : 'server_error',
    });
    assert.equal(gateway.books.vouchers.length, 1);
    delete gateway.books.mischief.demand;
    await app.ask();
  });
}

test('a deposit that does not suffice is the honest answer of a ledger, and names itself', async (context) => {
  const gateway = await paidGateway(context, {}, 'fresh');
  await gateway.books.fund({ deposited: amount(10n) });
  await assert.rejects(payingApp(gateway).ask(), { status: 402, code: 'insufficient_deposit' });
});

test('a request that breaks off counts with what its bill says, which is asked for before more is signed', async (context) => {
  const gateway = await paidGateway(context);
  const app = payingApp(gateway);
  await app.ask();
  gateway.mischief.answer = (pieces) => pieces.slice(0, -1);
  await assert.rejects(app.ask());
  delete gateway.mischief.answer;
  await app.ask();
  const [need = 0n, , next = 0n] = gateway.books.vouchers;
  assert.equal(next, 2n * COST + need);
  await app.close();
  assert.deepEqual(app.faults, []);
  assert.deepEqual(app.state().lost, []);
  assert.equal(app.state().confirmed, 3n * COST);
  assert.equal(app.state().statements.length, 3);
});

test('where nobody says what it cost it counts with all it could', async (context) => {
  const gateway = await paidGateway(context);
  gateway.books.mischief.fate = () => new Response('', { status: 503 });
  const app = payingApp(gateway);
  await app.ask();
  gateway.mischief.answer = (pieces) => pieces.slice(0, -1);
  await assert.rejects(app.ask());
  delete gateway.mischief.answer;
  await app.ask();
  const [need = 0n, broken = 0n, next = 0n] = gateway.books.vouchers;
  assert.equal(next, broken + need);
  assert.deepEqual(app.faults, []);
});

test('one that was never charged counts until nobody can charge it any more', async (context) => {
  const gateway = await paidGateway(context);
  const app = payingApp(gateway);
  await app.ask();
  gateway.mischief.hold = () => Promise.reject(new Error('the connection breaks'));
  await assert.rejects(app.ask());
  delete gateway.mischief.hold;
  await app.ask();
  await app.ask();
  const [need = 0n] = gateway.books.vouchers;
  assert.equal(app.state().lost.length, 1);
  assert.equal(gateway.books.vouchers[3], 2n * COST + 2n * need);
  gateway.advance(2_200_000);
  // The evidence of the first worker is as old by then.
  await gateway.addWorker({ prices: TEST_PRICES });
  await app.ask();
  await app.close();
  assert.equal(app.state().stranded, 0n);
  assert.equal(app.state().confirmed, 4n * COST);
  assert.deepEqual(app.faults, []);
});

test('a gateway that fails may have asked a worker; one that refuses has not', async (context) => {
  const gateway = await paidGateway(context);
  gateway.books.mischief.fate = () => new Response('', { status: 503 });
  const app = payingApp(gateway);
  await app.ask();
  const [need = 0n] = gateway.books.vouchers;
  for (const [status, expected] of [
    [403, COST + need],
    [504, COST + need],
    [403, COST + 2n * need],
  ] as const) {
    gateway.books.mischief.refuse = () => new Response('{}', { status });
    await assert.rejects(app.ask());
    assert.equal(gateway.books.vouchers.at(-1), expected);
  }
});

test('no voucher leaves for a gateway that is not the payee of the channel', async (context) => {
  const gateway = await paidGateway(context);
  gateway.books.mischief.settlement = (honest) => ({ ...honest, payee: null });
  await assert.rejects(payingApp(gateway).ask(), { status: 402, code: 'pay_foreign' });
  for (const change of [
    { network: 'tvm:-239' },
    { address: `0:${'0'.repeat(64)}` },
    { key: gateway.books.payerKeys.publicKey },
  ]) {
    gateway.books.mischief.settlement = ({ payee, ...rest }) => ({
      ...rest,
      payee: payee && { ...payee, ...change },
    });
    await assert.rejects(payingApp(gateway).ask(), { status: 402, code: 'pay_foreign' });
  }
  assert.deepEqual(gateway.books.vouchers, []);
});

test('a channel whose key, count or gateway is another one is refused at once', async (context) => {
  const gateway = await paidGateway(context);
  const other = await paidGateway(context);
  const memory = new TestMemory(encodePayState(newPayState(other.books.channel, 'known')));
  await assert.rejects(payingApp(gateway, { memory }).ask(), { status: 400 });
  const broken = new TestMemory(new Uint8Array([1, 2, 3]));
  await assert.rejects(payingApp(gateway, { memory: broken }).ask(), { status: 400 });
  const client = { gateway: other.aud };
  await assert.rejects(payingApp(gateway, { client }).ask(), { status: 400 });
  assert.ok(!gateway.asked.includes('/sx/v1/exchange'));
});

test('after a fault nothing is signed until somebody resumes', async (context) => {
  const gateway = await paidGateway(context);
  gateway.books.mischief.line = () => undefined;
  const app = payingApp(gateway);
  assert.equal(await app.ask(), 'whole answer');
  assert.deepEqual(
    app.faults.map(({ faults, savedAs }) => [faults, savedAs]),
    [[['missing'], 'kept']],
  );
  delete gateway.books.mischief.line;
  await assert.rejects(app.ask(), { status: 402, code: 'pay_halted' });
  await app.close();
  const again = payingApp(gateway, { memory: app.memory });
  await assert.rejects(again.ask(), { status: 402, code: 'pay_halted' });
  assert.equal(gateway.books.vouchers.length, 1);
  await again.close();
  assert.deepEqual(await resumePaying(app.memory, gateway.books.channel), ['missing']);
  const resumed = payingApp(gateway, { memory: app.memory });
  assert.equal(await resumed.ask(), 'whole answer');
});

test('the bill of a fault names the request and holds none of its text', async (context) => {
  const gateway = await paidGateway(context);
  gateway.books.mischief.line = () => undefined;
  const app = payingApp(gateway);
  const { response } = await app.sdk.chat.completions
    .create({ model: MODEL, messages: [{ role: 'user', content: PROMPT }] })
    .withResponse();
  const id = (response.headers.get('x-request-id') ?? '').replace('sx_', '');
  const [bill] = app.memory.bills;
  assert.ok(bill !== undefined && isAbsent(PROMPT, [bill]) && isAbsent('whole answer', [bill]));
  assert.ok(Buffer.from(bill).toString().includes('veilgate.bill/1'));
  assert.match(id, /^[0-9a-f]{32}$/);
});
