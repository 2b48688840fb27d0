/** A client that pays for an answer as it arrives: what it signs at first, how that rises, and when it stops. @module */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { utf8 } from '../../core/bytes.ts';
import { openSession } from '../../client/index.ts';
import { coveredIn, roomIn } from '../../client/pay/lost.ts';
import { encodePayState, newPayState } from '../../client/pay/pay-state.ts';
import { clientError } from '../../client/errors.ts';
import { RAISE_ATTEMPTS } from '../../client/limits.ts';
import { TEST_PRICES } from '../support/attested-key.ts';
import { refusedRaise } from '../support/memory-books.ts';
import { isAbsent, meteredAnswer, MODEL, PROMPT } from '../support/memory-gateway.ts';
import {
  channelParts,
  paidGateway,
  payingApp,
  TestMemory,
  type PaidGateway,
  type PayingApp,
  type PayingOptions,
} from '../support/paying.ts';
import { until } from '../support/until.ts';

const CHUNK = 80;
const STEP = 40n;
const TOKENS = 400;
const PER_TOKEN = 8n;
const AHEAD = 3n * STEP * PER_TOKEN;
/** base and five tokens of prompt. */
const used = (tokens: bigint | number): bigint => 1010n + BigInt(tokens) * PER_TOKEN;
const COST = used(TOKENS);
const STEPS = Array.from({ length: 10 }, (_, at) => used(BigInt(at + 1) * STEP));

async function metered(context: TestContext, worker = {}): Promise<PaidGateway> {
  return paidGateway(context, {
    answer: meteredAnswer(TOKENS, Number(STEP)),
    usage: { prompt: 5, cached: 0, completion: TOKENS, reasoning: 0 },
    ...worker,
  });
}

/** The count of a channel that was just opened. */
function steppingApp(gateway: PaidGateway, options: PayingOptions = {}): PayingApp {
  return payingApp(gateway, {
    memory: new TestMemory(encodePayState(newPayState(gateway.books.channel, 'known'))),
    ...options,
    pay: { policy: { chunkTokens: CHUNK }, ...options.pay },
  });
}

/** Behind what a first voucher covers, one for each METER. */
function risen(first: bigint): readonly bigint[] {
  return STEPS.map((step) => step + AHEAD).filter((ceiling) => ceiling > first);
}

test('a first voucher covers the prompt and three steps, and each METER raises it by what it counts', async (context) => {
  const gateway = await metered(context);
  const app = steppingApp(gateway);
  assert.match(await app.stream(), /^(word ){400}$/);
  const [first = 0n, ...more] = gateway.books.vouchers;
  // base, the bound on the prompt, and three steps.
  assert.ok(first >= 1000n + AHEAD + 2n * 512n && first < 1000n + AHEAD + 2n * 1024n);
  assert.deepEqual(more, []);
  assert.deepEqual(gateway.books.raised, risen(first));
  assert.ok(gateway.books.raised.length >= 5);
  await until(() => app.settled.length === 1);
  assert.equal(app.settled[0]?.amount, COST);
  assert.deepEqual([app.faults, app.heldBack], [[], []]);
  await app.close();
  const { ceiling, confirmed, charged, stranded } = app.state();
  assert.deepEqual([ceiling, confirmed, charged, stranded], [COST + AHEAD, COST, COST, 0n]);
});

test('what one answer left over pays for the beginning of the next', async (context) => {
  const gateway = await metered(context);
  const app = steppingApp(gateway);
  await app.stream();
  await until(() => app.settled.length === 1);
  await app.stream();
  const [first = 0n, second = 0n] = gateway.books.vouchers;
  assert.equal(second, COST + first);
  await until(() => app.settled.length === 2);
  assert.equal((await gateway.books.account()).charged, 2n * COST);
  assert.deepEqual(app.faults, []);
});

test('a raised voucher is on the disk before it leaves', async (context) => {
  const gateway = await metered(context);
  const app = steppingApp(gateway);
  let seen = 0;
  gateway.books.mischief.raise = (ceiling) => {
    seen++;
    assert.ok(app.state().ceiling >= ceiling);
    // Whoever reads this after a crash takes all of it for spent.
    const { confirmed, lost, ceiling: signed } = app.state();
    assert.ok(confirmed + coveredIn(lost) + roomIn(lost) >= signed);
    return undefined;
  };
  await app.stream();
  assert.ok(seen >= 5);
});

test('a count that cannot be written keeps the raised voucher here', async (context) => {
  const gateway = await metered(context);
  gateway.mischief.pace = () => Promise.resolve();
  const app = steppingApp(gateway);
  gateway.mischief.hold = () => {
    app.memory.before = () => Promise.reject(clientError('client.channel_file', 'ENOSPC'));
    return Promise.resolve();
  };
  await app.stream();
  assert.deepEqual(
    app.heldBack.map(({ reason }) => reason.code),
    ['client.channel_file'],
  );
  assert.deepEqual(gateway.books.raised, []);
});

test('a voucher that was still being written when the answer ended does not leave', async (context) => {
  const gateway = await metered(context);
  gateway.mischief.pace = () => Promise.resolve();
  const app = steppingApp(gateway);
  const written = Promise.withResolvers<void>();
  gateway.mischief.hold = () => {
    app.memory.before = () => written.promise;
    return Promise.resolve();
  };
  await app.stream();
  await until(() => app.settled.length === 1);
  written.resolve();
  await app.close();
  // Everything that could be sent by now has been.
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(gateway.books.raised, []);
  assert.ok(app.state().ceiling > (gateway.books.vouchers[0] ?? 0n));
});

test('a raised voucher that gets lost is shown again', async (context) => {
  const gateway = await metered(context);
  const app = steppingApp(gateway);
  let lost = 0;
  gateway.books.mischief.raise = () => {
    lost++;
    if (lost === 1) return new Response('{}', { status: 503 });
    if (lost === 2) throw new Error('the connection broke');
    return undefined;
  };
  assert.match(await app.stream(), /^(word ){400}$/);
  assert.equal(gateway.books.raised[0], gateway.books.raised[2]);
  assert.deepEqual([app.faults, app.heldBack], [[], []]);
});

test('one that gets lost again and again is given up, told once, and the answer is settled for what was signed', async (context) => {
  const gateway = await metered(context);
  const waited = Promise.withResolvers<void>();
  gateway.mischief.pace = (meter) => (meter.seq < 10 ? Promise.resolve() : waited.promise);
  gateway.books.mischief.raise = () => new Response('{}', { status: 503 });
  const app = steppingApp(gateway);
  const streamed = app.stream();
  await until(() => app.heldBack.length > 0);
  waited.resolve();
  await streamed;
  assert.equal(gateway.books.raised.length, RAISE_ATTEMPTS);
  assert.deepEqual(
    app.heldBack.map(({ reason }) => reason.code),
    ['client.gateway_refused'],
  );
  assert.match(app.heldBack[0]?.requestId ?? '', /^sx_[0-9a-f]{32}$/);
  await until(() => app.settled.length === 1);
  assert.equal(app.settled[0]?.amount, gateway.books.vouchers[0]);
});

for (const [code, told] of [
  ['channel_closing', 'client.pay_channel_closing'],
  ['account_frozen', 'client.pay_account_frozen'],
  ['something_new', 'client.pay_refused'],
] as const) {
  test(`a gateway that answers ${code} is not asked again, and the app hears of it once`, async (context) => {
    const gateway = await metered(context);
    gateway.mischief.pace = () => Promise.resolve();
    gateway.books.mischief.raise = () => refusedRaise(code);
    const app = steppingApp(gateway);
    await app.stream();
    assert.equal(gateway.books.raised.length, 1);
    assert.deepEqual(
      app.heldBack.map(({ reason }) => reason.code),
      [told],
    );
    await until(() => app.settled.length === 1);
    assert.deepEqual(app.faults, []);
  });
}

test('a voucher that a higher one has overtaken is not needed', async (context) => {
  const gateway = await metered(context);
  gateway.mischief.pace = () => Promise.resolve();
  gateway.books.mischief.raise = () => refusedRaise('voucher_stale');
  const app = steppingApp(gateway);
  await app.stream();
  assert.ok(gateway.books.raised.length > 1);
  assert.deepEqual(app.heldBack, []);
});

test('nothing is signed above spendMax: the answer goes on unpaid, and the app hears of it once', async (context) => {
  const gateway = await metered(context);
  gateway.mischief.pace = () => Promise.resolve();
  const spendMax = used(6n * STEP) + AHEAD;
  const app = steppingApp(gateway, { pay: { spendMax } });
  await app.stream();
  assert.deepEqual(
    app.heldBack.map(({ reason }) => reason.code),
    ['client.pay_limit'],
  );
  assert.ok([...gateway.books.vouchers, ...gateway.books.raised].every((each) => each <= spendMax));
  await until(() => app.settled.length === 1);
  assert.deepEqual(app.faults, []);
});

test('nothing is signed above the most that the request may cost', async (context) => {
  const gateway = await metered(context);
  const chunkTokens = 200;
  const ahead = 3n * 100n * PER_TOKEN;
  const app = steppingApp(gateway, { pay: { policy: { chunkTokens } } });
  await app.stream(TOKENS);
  const [first = 0n] = gateway.books.vouchers;
  const most = first - ahead + BigInt(TOKENS) * PER_TOKEN;
  assert.ok(COST + ahead > most, 'three steps ahead of the end are more than the request may cost');
  assert.equal(gateway.books.raised.at(-1), most);
  // And no voucher is shown again that covers no more.
  assert.equal(new Set(gateway.books.raised).size, gateway.books.raised.length);
  await until(() => app.settled.length === 1);
  assert.equal(app.settled[0]?.amount, COST);
});

test('answers side by side on one channel are all served, and the sums agree', async (context) => {
  const gateway = await metered(context);
  const app = steppingApp(gateway);
  const texts = await Promise.all(Array.from({ length: 6 }, () => app.stream()));
  assert.ok(texts.every((text) => text.length === TOKENS * 5));
  await until(() => app.settled.length === 6);
  await app.close();
  assert.deepEqual([app.faults, app.heldBack], [[], []]);
  assert.equal(app.state().confirmed, 6n * COST);
  assert.equal((await gateway.books.account()).charged, 6n * COST);
  const [first = 0n] = gateway.books.vouchers;
  // Each was ahead by what covers it, and by nothing of the others.
  assert.ok(app.state().ceiling <= 6n * (COST + (first > AHEAD ? first : AHEAD)));
});

test('what is not streamed is paid for as by per-request', async (context) => {
  const gateway = await paidGateway(context);
  const app = steppingApp(gateway);
  await app.ask();
  const plain = payingApp(gateway);
  await plain.ask();
  const [one = 0n, other = 0n] = gateway.books.vouchers;
  assert.equal(one, other);
  assert.ok(isAbsent('x-vg-chunk', gateway.sent));
});

test('a METER that nobody asked for changes nothing', async (context) => {
  const gateway = await metered(context);
  const app = payingApp(gateway);
  assert.match(await app.stream(), /^(word ){400}$/);
  assert.deepEqual(gateway.books.raised, []);
});

test('an answer that breaks off counts with what was signed for it, and no more', async (context) => {
  const gateway = await metered(context);
  const app = steppingApp(gateway);
  gateway.mischief.pace = (meter, honest) =>
    meter.seq === 6 ? Promise.reject(new Error('cut')) : honest();
  await assert.rejects(app.stream());
  const cut = gateway.books.raised.at(-1) ?? 0n;
  delete gateway.mischief.pace;
  const [first = 0n] = gateway.books.vouchers;
  await app.stream();
  assert.equal(gateway.books.vouchers[1], cut + first);
  await until(() => app.settled.length === 1);
  assert.deepEqual(app.faults, []);
});

test('after a crash in the middle everything signed counts as spent, and requests are served', async (context) => {
  const gateway = await metered(context);
  const app = steppingApp(gateway);
  await app.stream();
  await until(() => app.settled.length === 1);
  await app.close();
  const [first = 0n] = gateway.books.vouchers;
  const last = gateway.books.raised.at(-1) ?? 0n;
  gateway.books.mischief.fate = () => new Response('', { status: 503 });
  // As it was when the last voucher left.
  const before = app.memory.saved.at(-2);
  const again = steppingApp(gateway, { memory: new TestMemory(before) });
  await again.stream();
  assert.equal(gateway.books.vouchers[1], last + first);
  assert.deepEqual(again.faults, []);
});

for (const chunkTokens of [0, -1, 1.5, 1_000_001, Number.NaN]) {
  test(`a chunk of ${chunkTokens} tokens is refused here`, async (context) => {
    const gateway = await metered(context);
    const app = steppingApp(gateway, { pay: { policy: { chunkTokens } } });
    await assert.rejects(app.stream(), { status: 400 });
    assert.deepEqual(gateway.books.vouchers, []);
  });
}

test('no word of prompt or answer is in what is sent beside the seal, or kept', async (context) => {
  const gateway = await metered(context);
  const app = steppingApp(gateway);
  await app.stream();
  for (const word of [PROMPT, 'word ']) {
    assert.ok(isAbsent(word, [...gateway.sent, ...app.memory.saved]));
  }
});

test('without prices nothing is raised', async (context) => {
  const free = { ...TEST_PRICES, base: 0n, prompt: 0n, cached: 0n, completion: 0n, reasoning: 0n };
  const gateway = await metered(context, { prices: free });
  gateway.mischief.pace = () => Promise.resolve();
  const app = steppingApp(gateway);
  await app.stream();
  assert.deepEqual([gateway.books.vouchers, gateway.books.raised], [[0n], []]);
});

test('a gateway that was ahead of us and could not admit a request is asked once more, and one that was not is not', async (context) => {
  const gateway = await metered(context);
  const app = steppingApp(gateway);
  const admitted = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  gateway.mischief.pace = async (_, honest) => {
    admitted.resolve();
    await released.promise;
    await honest();
  };
  const running = app.stream();
  await admitted.promise;
  let refusals = 1;
  gateway.books.mischief.demand = (asked) =>
    refusals-- > 0 ? { ...asked, code: 'insufficient_ceiling' } : undefined;
  const beside = app.stream();
  await until(() => gateway.books.vouchers.length === 3);
  released.resolve();
  assert.equal(await beside, await running);
  await until(() => app.settled.length === 2);
  refusals = 1;
  await assert.rejects(app.stream(), { status: 402, code: 'insufficient_ceiling' });
});

test("what the app's own callback throws surfaces, and the bill is judged before", async (context) => {
  const gateway = await metered(context);
  gateway.mischief.pace = () => Promise.resolve();
  gateway.books.mischief.raise = () => refusedRaise('account_frozen');
  const { fetch, policy, clock } = gateway;
  const session = await openSession({
    baseUrl: 'https://gateway.test/v1',
    apiKey: '',
    fetch,
    policy,
    clock,
    pay: {
      ...channelParts(gateway, new TestMemory()),
      policy: { chunkTokens: CHUNK },
      onHeldBack: () => {
        throw new Error('a bug of the app');
      },
    },
  });
  const body = utf8(
    JSON.stringify({ model: MODEL, stream: true, messages: [{ role: 'user', content: PROMPT }] }),
  );
  const call = { path: '/v1/chat/completions', headers: [], body } as const;
  await assert.rejects(session.complete(call), /a bug of the app/);
  assert.equal((await gateway.books.account()).charged, gateway.books.vouchers[0]);
});
