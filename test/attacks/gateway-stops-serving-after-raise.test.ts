/**
 * A gateway that takes a raised voucher and never sends another byte: whatever it is shown by then is all it can ever claim,
 * and that is a chunk and a half more than what it served. Measured at every METER of an answer.
 * @module
 */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { encodePayState, newPayState } from '../../client/pay/pay-state.ts';
import { meteredAnswer } from '../support/memory-gateway.ts';
import { paidGateway, payingApp, TestMemory, type PaidGateway } from '../support/paying.ts';
import { until } from '../support/until.ts';

const CHUNK = 80;
const STEP = 40;
const TOKENS = 400;
const PER_TOKEN = 8n;
const CHUNK_AND_A_HALF = 120n * PER_TOKEN;
const used = (tokens: number): bigint => 1010n + BigInt(tokens) * PER_TOKEN;

async function stage(context: TestContext) {
  const gateway = await paidGateway(context, {
    answer: meteredAnswer(TOKENS, STEP),
    usage: { prompt: 5, cached: 0, completion: TOKENS, reasoning: 0 },
  });
  const memory = new TestMemory(encodePayState(newPayState(gateway.books.channel, 'known')));
  const app = payingApp(gateway, { memory, pay: { policy: { chunkTokens: CHUNK } } });
  return { gateway, app };
}

function highest({ books }: PaidGateway): bigint {
  return [...books.vouchers, ...books.raised].reduce((a, b) => (a > b ? a : b), 0n);
}

for (let meters = 1; meters <= TOKENS / STEP; meters++) {
  test(`one that stops behind METER ${meters} keeps no more than a chunk and a half`, async (context) => {
    const { gateway, app } = await stage(context);
    gateway.mischief.pace = async (meter, honest) => {
      // It takes the voucher for this step first.
      await honest();
      if (meter.seq === meters) throw new Error('no byte more');
    };
    await assert.rejects(app.stream());
    const [first = 0n] = gateway.books.vouchers;
    const served = used(meters * STEP);
    const most = served + CHUNK_AND_A_HALF;
    // Below what was reserved for the prompt it could be, the first voucher is the higher one.
    assert.equal(highest(gateway), most > first ? most : first);
    await app.close();
    assert.equal(app.state().ceiling, highest(gateway));
  });
}

test('one that stops again and again is paid for each beginning alone, never for the rest of what was asked for', async (context) => {
  const { gateway, app } = await stage(context);
  gateway.mischief.pace = () => Promise.reject(new Error('no byte more'));
  for (let turn = 0; turn < 3; turn++) await assert.rejects(app.stream());
  const [first = 0n] = gateway.books.vouchers;
  assert.deepEqual(gateway.books.vouchers, [first, 2n * first, 3n * first]);
  assert.deepEqual(gateway.books.raised, []);
});

test('one that holds its answer to the voucher back gets no second one meanwhile', async (context) => {
  const { gateway, app } = await stage(context);
  const never = Promise.withResolvers<undefined>();
  gateway.mischief.pace = () => Promise.resolve();
  gateway.books.mischief.raise = () => never.promise;
  const streamed = app.stream();
  await streamed;
  await until(() => app.settled.length === 1);
  assert.equal(gateway.books.raised.length, 1);
  never.resolve(undefined);
});
