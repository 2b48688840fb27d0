/**
 * A gateway takes every voucher and cuts every answer, or answers that it failed: each request that may have run counts with
 * all it could cost, so the ceiling would climb by one request each time, and all of it can be claimed. Whatever the gateway
 * says when it is asked what became of them, no more is signed for than a few. Spec: overview promise 4; ton-settlement §4.12.
 * @module
 */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { fixed, fromBase64, toBase64, toHex, utf8 } from '../../core/bytes.ts';
import { parseJson } from '../../core/json.ts';
import { STRANDED_MS, UNBILLED_MAX } from '../../client/limits.ts';
import { encodePayState, newPayState } from '../../client/pay/pay-state.ts';
import { parseReceiptUnverified } from '../../protocol/receipt.ts';
import { amount } from '../../settlement/money.ts';
import {
  parseStatementUnverified,
  signStatement,
  statementSigner,
  type Statement,
} from '../../settlement/statement.ts';
import { parseVoucherTextUnverified } from '../../settlement/voucher.ts';
import { LEDGER_KEY } from '../support/ledger-lab.ts';
import type { BookMischief } from '../support/memory-books.ts';
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

const said = (state: string): BookMischief['fate'] => (id) =>
  Response.json({ requestId: id, state });

for (const [what, fate, requests] of [
  ['says nothing when it is asked', () => new Response('', { status: BROKEN }), UNBILLED_MAX],
  ['says that all of them still run', said('reserved'), UNBILLED_MAX],
  ['answers with anything', () => new Response('{"state":"settled"}'), UNBILLED_MAX],
  ['has never seen any', (_, honest) => honest(), 1],
  ['says that it has let them go', said('released'), 1],
] as const satisfies readonly (readonly [string, BookMischief['fate'], number])[]) {
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
      context.diagnostic(`${ATTEMPTS} requests, ${lab.ceilings.length} vouchers, R × ${highest / need}`);
      assert.equal(highest, need * BigInt(requests));
      assert.equal(lab.ceilings.length, requests === 1 ? ATTEMPTS : UNBILLED_MAX);
      assert.deepEqual(lab.app.faults, []);
    });
  }
}
