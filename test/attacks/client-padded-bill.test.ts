/** A gateway that bills for more than it served, in each way a ledger line can say so: found, kept as evidence, paid no more. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519, randomBytes } from '#primitives';
import { utf8 } from '../../core/bytes.ts';
import { parseBill } from '../../client/pay/bill.ts';
import { encodePayState, newPayState } from '../../client/pay/pay-state.ts';
import { amount } from '../../settlement/money.ts';
import { signStatement, statementSigner, type Statement } from '../../settlement/statement.ts';
import type { BookMischief } from '../support/memory-books.ts';
import { COST, paidGateway, payingApp, TestMemory, type PaidGateway } from '../support/paying.ts';
import { until } from '../support/until.ts';

/** The count of a channel that was just opened. */
function freshCount({ books }: PaidGateway): TestMemory {
  return new TestMemory(encodePayState(newPayState(books.channel, 'known')));
}

const OTHER_KEY = generateEd25519();

const LIES: readonly (readonly [
  what: string,
  line: NonNullable<BookMischief['line']>,
  faults: readonly string[],
])[] = [
  ['leaves the line out', () => undefined, ['missing']],
  ['sends something else in its place', () => utf8('not a line'), ['malformed']],
  [
    'signs with a key that its document does not list',
    (line) => signStatement(line, statementSigner(OTHER_KEY.secretKey)).payload,
    ['signature'],
  ],
  ['books it on another channel', (line) => ({ ...line, channel: randomBytes(32) }), ['channel']],
  ['books it in another epoch', (line) => ({ ...line, epoch: 1 }), ['epoch']],
  ['names another request', (line) => ({ ...line, requestId: randomBytes(16) }), ['request']],
  ['names another receipt', (line) => ({ ...line, receiptHash: randomBytes(32) }), ['receipt']],
  [
    'charges more than the receipt says',
    (line) => ({ ...line, amount: amount(COST + 1n), cum: amount(line.cum + 1n) }),
    ['amount'],
  ],
  [
    'counts a charge that nobody asked for',
    (line) => ({ ...line, n: line.n + 1n, cum: amount(line.cum + 1n) }),
    ['unrequested'],
  ],
  [
    'counts more than was ever promised',
    (line) => ({ ...line, n: line.n + 1n, cum: amount(line.cum + 10n ** 9n) }),
    ['ceiling', 'unrequested'],
  ],
];

for (const [what, line, faults] of LIES) {
  test(`a gateway that ${what} is found out, and paid no more`, async (context) => {
    const gateway = await paidGateway(context);
    const app = payingApp(gateway, { memory: freshCount(gateway) });
    await app.ask();
    gateway.books.mischief.line = line;
    assert.equal(await app.ask(), 'whole answer');
    assert.deepEqual(
      app.faults.map((fault) => fault.faults),
      [faults],
    );
    assert.equal(app.settled.length, 1);
    const [bill] = app.memory.bills;
    assert.ok(bill);
    assert.deepEqual(parseBill(bill).faults, faults);
    const paid = gateway.books.vouchers.length;
    await assert.rejects(app.ask(), { status: 402, code: 'pay_halted' });
    assert.equal(gateway.books.vouchers.length, paid);
  });
}

test('two contents under one number are evidence, and the bill holds both', async (context) => {
  const gateway = await paidGateway(context);
  const app = payingApp(gateway, { memory: freshCount(gateway) });
  await app.ask();
  let first: Statement | undefined;
  gateway.books.mischief.line = (line) => {
    first = { ...line, n: 1n };
    return first;
  };
  await app.ask();
  assert.deepEqual(app.faults[0]?.faults, ['contradiction']);
  const [bill] = app.memory.bills;
  assert.ok(bill);
  assert.equal(parseBill(bill).seen.length, 1);
});

test('side by side requests do not hide a charge that none of them asked for', async (context) => {
  const gateway = await paidGateway(context);
  const app = payingApp(gateway, { memory: freshCount(gateway) });
  await app.ask();
  let padding = 0n;
  gateway.books.mischief.line = (line) => ({
    ...line,
    n: line.n + padding,
    cum: amount(line.cum + padding),
  });
  await Promise.all([app.ask(), app.ask()]);
  padding = 1n;
  await app.ask();
  assert.deepEqual(app.faults[0]?.faults, ['unrequested']);
});

test('a worker that bills tokens that the text cannot hold is found out', async (context) => {
  const usage = { prompt: 5, cached: 0, completion: 77, reasoning: 0 };
  const gateway = await paidGateway(context, { usage });
  const app = payingApp(gateway);
  await app.ask();
  assert.deepEqual(app.faults[0]?.faults, ['usage']);
  const streamed = payingApp(gateway);
  await streamed.stream();
  await until(() => streamed.faults.length > 0);
  assert.deepEqual(streamed.faults[0]?.faults, ['usage']);
  await assert.rejects(streamed.ask(), { code: 'pay_halted' });
});

test("with the model's tokenizer prompts are held to its count too", async (context) => {
  const usage = { prompt: 590, cached: 0, completion: 2, reasoning: 0 };
  const gateway = await paidGateway(context, { usage });
  const byBytes = payingApp(gateway);
  await byBytes.ask();
  assert.deepEqual(byBytes.faults, []);
  const countTokens = (text: string): number => Math.ceil(text.length / 4);
  const app = payingApp(gateway, { memory: byBytes.memory, pay: { countTokens } });
  await app.ask();
  assert.deepEqual(app.faults[0]?.faults, ['usage']);
});

test("with the model's tokenizer a bill is held to its count", async (context) => {
  const usage = { prompt: 5, cached: 0, completion: 70, reasoning: 0 };
  const gateway = await paidGateway(context, { usage });
  const byBytes = payingApp(gateway);
  await byBytes.ask();
  assert.deepEqual(byBytes.faults, []);
  const texts: string[] = [];
  const countTokens = (text: string): number => {
    texts.push(text);
    return Math.ceil(text.length / 4);
  };
  const app = payingApp(gateway, { memory: byBytes.memory, pay: { countTokens } });
  await app.ask();
  assert.deepEqual(app.faults[0]?.faults, ['usage']);
  assert.ok(texts.includes('whole answer'));
});

test('a receipt that was changed on its way stops paying too', async (context) => {
  const gateway = await paidGateway(context);
  const app = payingApp(gateway);
  gateway.mischief.answer = (pieces) =>
    pieces.map((piece, at) => {
      if (at !== pieces.length - 3) return piece;
      const changed = piece.slice();
      changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
      return changed;
    });
  await assert.rejects(app.ask(), { status: 502 });
  assert.deepEqual(
    app.faults.map(({ faults, bill }) => [faults, bill]),
    [[['receipt_refused'], undefined]],
  );
  delete gateway.mischief.answer;
  await assert.rejects(app.ask(), { code: 'pay_halted' });
});

test('a gateway that makes the look at its bill take long is not paid meanwhile', async (context) => {
  const gateway = await paidGateway(context);
  const answered = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  let documents = 0;
  const slow: typeof gateway.fetch = async (url, init) => {
    if (url.endsWith('/v1/gateway') && documents++ > 0) {
      answered.resolve();
      await held.promise;
    }
    return gateway.fetch(url, init);
  };
  const app = payingApp({ ...gateway, fetch: slow });
  gateway.books.mischief.line = (line) =>
    signStatement(line, statementSigner(OTHER_KEY.secretKey)).payload;
  const first = app.ask();
  await answered.promise;
  const second = app.ask();
  const third = app.ask();
  // Everything that could be sent by now has been.
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(gateway.books.vouchers.length, 1);
  held.resolve();
  assert.equal(await first, 'whole answer');
  await assert.rejects(second, { code: 'pay_halted' });
  await assert.rejects(third, { code: 'pay_halted' });
  assert.equal(gateway.books.vouchers.length, 1);
});

test('a ledger key that was added since is looked up before anybody is blamed', async (context) => {
  const gateway = await paidGateway(context);
  const app = payingApp(gateway);
  await app.ask();
  gateway.books.mischief.line = (line) =>
    signStatement(line, statementSigner(OTHER_KEY.secretKey)).payload;
  gateway.books.mischief.settlement = (honest) => ({
    ...honest,
    ledgerKeys: [...honest.ledgerKeys, OTHER_KEY.publicKey],
  });
  await app.ask();
  assert.deepEqual(app.faults, []);
  assert.equal(app.settled.length, 2);
});
