/**
 * A gateway takes every voucher and cuts every answer, or answers that it failed: each request that may have run counts with
 * all it could cost, so the ceiling would climb by one request each time, and all of it can be claimed. Whatever the gateway
 * says when it is asked what became of them, no more is signed for than a few. Spec: overview promise 4; ton-settlement §4.12.
 * @module
 */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { z } from 'zod';
import { fixed, fromBase64, toBase64 } from '../../core/bytes.ts';
import { ADMISSION_MS, STRANDED_MS, UNBILLED_MAX } from '../../client/limits.ts';
import type { CeilingPolicy } from '../../client/pay/account.ts';
import { parseBill } from '../../client/pay/bill.ts';
import { checkBill } from '../../client/pay/check-bill.ts';
import { encodePayState, newPayState } from '../../client/pay/pay-state.ts';
import { notFound } from '../../gateway/payments/account-json.ts';
import { amount } from '../../settlement/money.ts';
import {
  parseStatementUnverified,
  signStatement,
  statementSigner,
  type Statement,
} from '../../settlement/statement.ts';
import { parseVoucherTextUnverified } from '../../settlement/voucher.ts';
import { TEST_PRICES } from '../support/attested-key.ts';
import { LEDGER_KEY } from '../support/ledger-lab.ts';
import {
  COST,
  paidGateway,
  payingApp,
  TestMemory,
  type PaidGateway,
  type PayingApp,
} from '../support/paying.ts';

const ATTEMPTS = 40;
const BROKEN = 503;

interface Cutting {
  readonly gateway: PaidGateway;
  readonly app: PayingApp;
  /** Of the vouchers that came with requests. */
  readonly ceilings: bigint[];
}

type Cut = () => Response;

const cutShort: Cut = () =>
  new Response('', { status: 200, headers: { 'content-type': 'application/vnd.sx1.res' } });
const failed: Cut = () => new Response('{}', { status: BROKEN });

/** Nothing reaches the books. */
async function cutting(context: TestContext, cut: Cut): Promise<Cutting> {
  const gateway = await paidGateway(context);
  const memory = new TestMemory(encodePayState(newPayState(gateway.books.channel, 'known')));
  const ceilings: bigint[] = [];
  const fetch: typeof gateway.fetch = (url, init) => {
    if (!url.endsWith('/exchange')) return gateway.fetch(url, init);
    ceilings.push(parseVoucherTextUnverified(init.headers['x-vg-voucher'] ?? '').ceiling);
    return Promise.resolve(cut());
  };
  return { gateway, app: payingApp(gateway, { memory, client: { fetch } }), ceilings };
}

async function askOften({ gateway, app }: Cutting): Promise<void> {
  for (let turn = 0; turn < ATTEMPTS; turn++) {
    await assert.rejects(app.ask());
    gateway.advance(1000);
  }
}

type Fate = (id: string, honest: () => Promise<Response>) => Response | Promise<Response>;

const said =
  (state: string): Fate =>
  (id) =>
    Response.json({ requestId: id, state });

for (const [what, fate, requests] of [
  ['says nothing when it is asked', () => new Response('', { status: BROKEN }), UNBILLED_MAX],
  ['says that all of them still run', said('reserved'), UNBILLED_MAX],
  ['answers with anything', () => new Response('{"state":"settled"}'), UNBILLED_MAX],
  ['has never seen any', (_, honest) => honest(), 1],
  ['says that it has let them go', said('released'), 1],
] as const satisfies readonly (readonly [string, Fate, number])[]) {
  for (const [how, cut] of [
    ['cuts every answer', cutShort],
    ['fails every request', failed],
  ] as const) {
    test(`who ${how} and ${what} is signed for ${requests}`, async (context) => {
      const lab = await cutting(context, cut);
      lab.gateway.books.mischief.fate = fate;
      await askOften(lab);
      const [need = 0n] = lab.ceilings;
      const highest = lab.ceilings.at(-1) ?? 0n;
      context.diagnostic(
        `${ATTEMPTS} requests, ${lab.ceilings.length} vouchers, R × ${highest / need}`,
      );
      assert.equal(highest, need * BigInt(requests));
      assert.equal(lab.ceilings.length, requests === 1 ? ATTEMPTS : UNBILLED_MAX);
      assert.deepEqual(lab.app.faults, []);
    });
  }
}

test('who first has never seen them and then holds all of them is signed for 8', async (context) => {
  const lab = await cutting(context, cutShort);
  let asked = 0;
  lab.gateway.books.mischief.fate = (id, honest) =>
    ++asked % 3 === 0 ? Response.json({ requestId: id, state: 'reserved' }) : honest();
  await askOften(lab);
  const [need = 0n] = lab.ceilings;
  assert.ok(lab.ceilings.every((ceiling) => ceiling <= need * BigInt(UNBILLED_MAX)));
});

test('once the time of all of them is over one more is signed for, and then no other', async (context) => {
  const lab = await cutting(context, cutShort);
  lab.gateway.books.mischief.fate = () => new Response('', { status: BROKEN });
  await askOften(lab);
  lab.gateway.advance(STRANDED_MS);
  await lab.gateway.addWorker({ prices: TEST_PRICES });
  await askOften(lab);
  const [need = 0n] = lab.ceilings;
  assert.equal(lab.ceilings.at(-1), need * BigInt(UNBILLED_MAX + 1));
});

/** With room below the ceiling a gateway needs no demand that would give it away. */
const ROOMY = { session: 1_000_000n } as const;

/** One answer is lost on its way, settled in the books; then the gateway is asked what became of it. */
async function lostOne(
  context: TestContext,
  fate: Fate,
  policy: CeilingPolicy = 'per-request',
): Promise<{ readonly gateway: PaidGateway; readonly app: PayingApp }> {
  const gateway = await paidGateway(context);
  const memory = new TestMemory(encodePayState(newPayState(gateway.books.channel, 'known')));
  const app = payingApp(gateway, { memory, pay: { policy } });
  await app.ask();
  gateway.mischief.answer = (pieces) => pieces.slice(0, -1);
  await assert.rejects(app.ask());
  delete gateway.mischief.answer;
  gateway.books.mischief.fate = fate;
  return { gateway, app };
}

test('who lets a request go and has charged it is found out by the next sum', async (context) => {
  const { app } = await lostOne(context, said('released'), ROOMY);
  await app.ask();
  assert.deepEqual(
    app.faults.map(({ faults }) => faults),
    [['unrequested']],
  );
  await assert.rejects(app.ask(), { status: 402, code: 'pay_halted' });
});

test('who has never seen a request and has charged it has until nobody would admit it any more', async (context) => {
  const { gateway, app } = await lostOne(context, () => notFound(), ROOMY);
  await app.ask();
  assert.deepEqual(app.faults, []);
  gateway.advance(ADMISSION_MS);
  await app.ask();
  assert.deepEqual(
    app.faults.map(({ faults }) => faults),
    [['unrequested']],
  );
});

const SHOWN = z.looseObject({ receipt: z.string(), statement: z.string() });

/** The honest answer with other bytes in it. */
function bent(change: (shown: { receipt: Uint8Array; line: Uint8Array }) => void): Fate {
  return async (_, honest) => {
    const json = SHOWN.parse(await (await honest()).json());
    const shown = { receipt: fromBase64(json.receipt), line: fromBase64(json.statement) };
    change(shown);
    const { receipt, line } = shown;
    return Response.json({ ...json, receipt: toBase64(receipt), statement: toBase64(line) });
  };
}

function resigned(change: Partial<Statement>): Fate {
  return bent((shown) => {
    const { statement } = parseStatementUnverified(fixed(shown.line, 230));
    const signer = statementSigner(LEDGER_KEY.secretKey);
    shown.line = signStatement({ ...statement, ...change }, signer).payload;
  });
}

const flip = (bytes: Uint8Array, at: number): void => {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
};
const zeros = (size: 16 | 32): Uint8Array => new Uint8Array(size);

for (const [what, fate, faults] of [
  ['a receipt with another bit', bent(({ receipt }) => flip(receipt, 300)), ['receipt_refused']],
  ['a line with another bit', bent(({ line }) => flip(line, 229)), ['signature']],
  ['a line that is none', bent((shown) => (shown.line = zeros(32))), ['malformed']],
  ['a higher amount', resigned({ amount: amount(COST + 1n) }), ['amount', 'contradiction']],
  ['another receipt', resigned({ receiptHash: fixed(zeros(32), 32) }), ['receipt']],
  ['another channel', resigned({ channel: fixed(zeros(32), 32) }), ['channel']],
  ['another epoch', resigned({ epoch: 1 }), ['epoch']],
  ['another request', resigned({ requestId: fixed(zeros(16), 16) }), ['request']],
  ['a sum with room for more', resigned({ cum: amount(2n * COST + 1n), n: 3n }), ['unrequested']],
  [
    'a sum above all that was signed',
    resigned({ cum: amount(1_000_000n), n: 3n }),
    ['ceiling', 'unrequested'],
  ],
] as const satisfies readonly (readonly [string, Fate, readonly string[]])[]) {
  test(`the bill of a lost request with ${what} ends the paying`, async (context) => {
    const { gateway, app } = await lostOne(context, fate);
    await assert.rejects(app.ask(), { status: 402, code: 'pay_halted' });
    assert.deepEqual(
      app.faults.map(({ faults: found }) => found),
      [faults],
    );
    assert.equal(gateway.books.vouchers.length, 2);
    const [bill] = app.memory.bills;
    assert.equal(bill === undefined, faults[0] === 'receipt_refused');
    if (bill === undefined) return;
    const failed = checkBill(parseBill(bill)).checks.filter(({ outcome }) => outcome === 'fail');
    const wanted = faults.filter((fault) => fault !== 'unrequested' && fault !== 'malformed');
    const found = failed.map(({ id }) => id.replace('line.', '')).filter((id) => id !== 'form');
    assert.deepEqual(found, wanted);
  });
}

test('after a restart the bill of a lost request is asked for and held against what was asked', async (context) => {
  const { gateway, app } = await lostOne(context, (_, honest) => honest());
  await app.close();
  const again = payingApp(gateway, { memory: app.memory });
  await again.ask();
  await again.close();
  assert.deepEqual(again.faults, []);
  assert.deepEqual([again.state().confirmed, again.state().lost], [3n * COST, []]);
});

test('after a restart a bill that does not hold is found all the same', async (context) => {
  const { gateway, app } = await lostOne(
    context,
    bent(({ line }) => flip(line, 229)),
  );
  await app.close();
  const again = payingApp(gateway, { memory: app.memory });
  await assert.rejects(again.ask(), { status: 402, code: 'pay_halted' });
  assert.deepEqual(
    again.faults.map(({ faults, bill }) => [faults, bill === undefined]),
    [[['signature'], false]],
  );
});
