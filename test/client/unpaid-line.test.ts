/** Ledger lines of answers that no channel pays for: may be missing, must hold. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519, randomBytes } from '#primitives';
import { utf8 } from '../../core/bytes.ts';
import { openSession, type CompleteAnswer } from '../../client/index.ts';
import { parseBill } from '../../client/pay/bill.ts';
import { checkBill } from '../../client/pay/check-bill.ts';
import { GATEWAY_DOCUMENT_LIFETIME_MAX_MS } from '../../protocol/gateway-document.ts';
import { amount } from '../../settlement/money.ts';
import { signStatement, statementSigner } from '../../settlement/statement.ts';
import type { BookMischief } from '../support/memory-books.ts';
import { memoryGateway, MODEL, PROMPT, type MemoryGateway } from '../support/memory-gateway.ts';
import { COST, paidGateway } from '../support/paying.ts';

async function ask({ fetch, policy, clock }: MemoryGateway): Promise<CompleteAnswer> {
  const session = await openSession({
    fetch,
    policy,
    clock,
    baseUrl: 'https://gateway.test',
    apiKey: 'vg_key',
  });
  return session.complete({
    path: '/v1/chat/completions',
    headers: [['content-type', 'application/json']],
    body: utf8(JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: PROMPT }] })),
  });
}

test("an API key's answer says what it cost, and its bill holds", async (context) => {
  const gateway = await paidGateway(context);
  const { settlement } = await ask(gateway);
  assert.equal(settlement?.amount, COST);
  assert.equal(settlement?.cum, COST);
  assert.equal(settlement?.n, 1n);
  const { checks } = checkBill(parseBill(settlement?.bill() ?? new Uint8Array()));
  assert.ok(checks.every(({ outcome }) => outcome !== 'fail'));
  assert.deepEqual(
    checks.filter(({ outcome }) => outcome === 'skipped').map(({ id }) => id),
    ['gateway.payee', 'voucher.signature', 'voucher.payer', 'voucher.ceiling', 'recount'],
  );
});

test('a bill that is asked for late is of the instant of its answer', async (context) => {
  const gateway = await paidGateway(context);
  const { settlement } = await ask(gateway);
  gateway.advance(2 * GATEWAY_DOCUMENT_LIFETIME_MAX_MS);
  const { checks } = checkBill(parseBill(settlement?.bill() ?? new Uint8Array()));
  assert.ok(checks.every(({ outcome }) => outcome !== 'fail'));
});

test('a gateway that keeps no books sends no line, and the answer stands', async () => {
  const { settlement, status } = await ask(await memoryGateway());
  assert.equal(status, 200);
  assert.equal(settlement, undefined);
});

const LIES: readonly (readonly [what: string, line: NonNullable<BookMischief['line']>])[] = [
  ['malformed', () => utf8('x')],
  [
    'signature',
    (line) => signStatement(line, statementSigner(generateEd25519().secretKey)).payload,
  ],
  ['request', (line) => ({ ...line, requestId: randomBytes(16) })],
  ['receipt', (line) => ({ ...line, receiptHash: randomBytes(32) })],
  ['amount', (line) => ({ ...line, amount: amount(COST + 1n), cum: amount(COST + 1n) })],
];

for (const [fault, line] of LIES) {
  test(`a line with another ${fault} is an error of the exchange`, async (context) => {
    const gateway = await paidGateway(context);
    gateway.books.mischief.line = line;
    await assert.rejects(ask(gateway), {
      code: 'client.ledger_line',
      message: new RegExp(`: ${fault}$`),
    });
  });
}
