/**
 * A worker, or a gateway with the worker's key, meters more than it has sent, to have more signed: nothing is signed for it,
 * paying stops, and what the worker signed is kept with what had been read by then. Spec: P§10.7; ton-settlement §4.4.
 * @module
 */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { checkBill } from '../../client/pay/check-bill.ts';
import { SPECIAL_TOKENS_PER_CHOICE } from '../../client/limits.ts';
import { parseBill } from '../../client/pay/bill.ts';
import { encodePayState, newPayState } from '../../client/pay/pay-state.ts';
import { isAbsent, meteredAnswer, PROMPT, type Answer } from '../support/memory-gateway.ts';
import { paidGateway, payingApp, TestMemory, type PayingOptions } from '../support/paying.ts';
import { until } from '../support/until.ts';

const CHUNK = 80;
const STEP = 40;
const TOKENS = 400;
/** By bytes: five a word. */
const READ_AT_THREE = 3 * STEP * 5 + SPECIAL_TOKENS_PER_CHOICE;

/** The third METER counts `claimed` tokens, and those behind it go on from there. */
function padded(claimed: number): Answer {
  const honest = meteredAnswer(TOKENS, STEP);
  let meters = 0;
  const pieces = honest.pieces.map((piece) => {
    if (typeof piece === 'string') return piece;
    meters++;
    return meters < 3 ? piece : Math.max(piece, claimed) + (meters - 3);
  });
  return { ...honest, pieces };
}

async function stage(
  context: TestContext,
  { answer, completion = TOKENS }: { readonly answer: Answer; readonly completion?: number },
  pay: PayingOptions['pay'] = {},
) {
  const usage = { prompt: 5, cached: 0, completion, reasoning: 0 };
  const gateway = await paidGateway(context, { answer, usage });
  gateway.mischief.pace = () => Promise.resolve();
  const memory = new TestMemory(encodePayState(newPayState(gateway.books.channel, 'known')));
  const app = payingApp(gateway, { memory, pay: { policy: { chunkTokens: CHUNK }, ...pay } });
  return { gateway, app };
}

function failedIn(bill: Uint8Array | undefined): readonly string[] {
  assert.ok(bill);
  const { checks } = checkBill(parseBill(bill));
  return checks.flatMap(({ id, outcome }) => (outcome === 'fail' ? [id] : []));
}

test('what the text can be at most is followed, and not a token more', async (context) => {
  const { gateway, app } = await stage(context, { answer: padded(READ_AT_THREE) });
  await app.stream();
  await until(() => app.settled.length + app.faults.length > 0);
  assert.deepEqual([app.faults, app.heldBack], [[], []]);
  assert.ok(gateway.books.raised.length > 0);
});

test('a METER that counts one token more than was read: nothing is signed for it, and nothing after it', async (context) => {
  const { gateway, app } = await stage(context, { answer: padded(READ_AT_THREE + 1) });
  // As fast as it is followed, so that everything before it was signed.
  gateway.mischief.pace = (meter, honest) => (meter.seq < 3 ? honest() : Promise.resolve());
  await app.stream();
  await until(() => app.faults.length > 0);
  const served = 1010n + 2n * 40n * 8n;
  const [first = 0n] = gateway.books.vouchers;
  assert.ok(gateway.books.raised.every((ceiling) => ceiling <= served + 120n * 8n));
  assert.equal(app.state().ceiling, first);
  assert.deepEqual(
    app.heldBack.map(({ reason }) => [reason.code, reason.message]),
    [['client.pay_halted', 'client.pay_halted: metered']],
  );
  assert.deepEqual(
    app.faults.map(({ faults }) => faults),
    [['metered']],
  );
  await assert.rejects(app.stream(), { code: 'pay_halted' });
});

test('the evidence holds on its own, but for the client word of what it had read', async (context) => {
  const { app } = await stage(context, { answer: padded(READ_AT_THREE + 1) });
  await app.stream();
  await until(() => app.faults.length > 0);
  const [fault] = app.faults;
  assert.equal(fault?.savedAs, 'kept');
  assert.deepEqual(failedIn(fault.bill), ['meter.recount']);
  assert.ok(fault.bill && isAbsent(PROMPT, [fault.bill]) && isAbsent('word ', [fault.bill]));
});

test('one that breaks off behind it leaves what the worker signed, and paying has stopped before', async (context) => {
  const { gateway, app } = await stage(context, { answer: padded(1000) });
  const halted: (readonly string[])[] = [];
  gateway.mischief.pace = (meter) => {
    if (meter.seq <= 3) return Promise.resolve();
    halted.push(app.state().faults);
    return Promise.reject(new Error('cut'));
  };
  await assert.rejects(app.stream());
  await until(() => app.faults.length > 0);
  // On the disk already when the next piece came.
  assert.deepEqual(halted, [['metered']]);
  const [fault] = app.faults;
  assert.deepEqual(fault?.faults, ['metered']);
  assert.deepEqual(failedIn(fault.bill), ['receipt.form', 'meter.recount', 'line.present']);
});

test('a request that begins while such an answer still runs is not paid for', async (context) => {
  const { gateway, app } = await stage(context, { answer: padded(READ_AT_THREE + 1) });
  const refused: Promise<void>[] = [];
  gateway.mischief.pace = async (meter) => {
    if (meter.seq !== 5) return;
    refused.push(assert.rejects(app.stream(), { code: 'pay_halted' }));
    await Promise.all(refused);
  };
  await app.stream();
  assert.equal(refused.length, 1);
  assert.equal(gateway.books.vouchers.length, 1);
});

test("with the model's tokenizer a METER is held to its count", async (context) => {
  const countTokens = (text: string): number => Math.ceil(text.length / 5);
  const counted = Math.ceil(3 * STEP * 1.02) + SPECIAL_TOKENS_PER_CHOICE;
  for (const [claimed, faults] of [
    [counted, []],
    [counted + 1, [['metered']]],
  ] as const) {
    const { app } = await stage(context, { answer: padded(claimed) }, { countTokens });
    await app.stream();
    await until(() => app.settled.length + app.faults.length > 0);
    assert.deepEqual(
      app.faults.map((fault) => fault.faults),
      faults,
    );
  }
});

test('a METER whose amount holds more prompt than there is', async (context) => {
  const usage = { prompt: 600, cached: 0, completion: TOKENS, reasoning: 0 };
  const gateway = await paidGateway(context, { answer: meteredAnswer(TOKENS, STEP), usage });
  gateway.mischief.pace = () => Promise.resolve();
  const app = payingApp(gateway, {
    pay: { policy: { chunkTokens: CHUNK }, countTokens: (text) => Math.ceil(text.length / 5) },
  });
  await app.stream();
  await until(() => app.faults.length > 0);
  assert.deepEqual(app.faults[0]?.faults, ['usage', 'metered']);
  assert.deepEqual(gateway.books.raised, []);
});
