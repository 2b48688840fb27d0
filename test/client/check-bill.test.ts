/**
 * System property S1: a bill of an honest run holds, and every single change of voucher, receipt or ledger line is found,
 * even signed anew by whoever may sign it. Spec: ton-settlement §7.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as holds, nat, property } from 'fast-check';
import { generateEd25519, randomBytes } from '#primitives';
import { utf8 } from '../../core/bytes.ts';
import { encodeBill, parseBill, type Bill } from '../../client/pay/bill.ts';
import { checkBill, contradictionsIn } from '../../client/pay/check-bill.ts';
import { amount } from '../../settlement/money.ts';
import { formatVoucher, parseVoucherTextUnverified } from '../../settlement/voucher.ts';
import { METER_BYTES } from '../../protocol/meter.ts';
import { BILL_AT_MS, BILL_COST, billOf, METER_COST, type Lies } from '../support/bill-lab.ts';
import { paidGateway, payingApp } from '../support/paying.ts';

function failed(bill: Bill): readonly string[] {
  return checkBill(bill)
    .checks.filter(({ outcome }) => outcome === 'fail')
    .map(({ id }) => id);
}

test('the bills of honest runs hold, each check of them', async (context) => {
  const gateway = await paidGateway(context);
  const app = payingApp(gateway);
  for (let i = 0; i < 3; i++) await app.ask();
  await Promise.all([app.ask(), app.ask()]);
  for (const { bill } of app.settled) {
    const { checks } = checkBill(parseBill(bill()));
    assert.deepEqual(
      checks.filter(({ outcome }) => outcome !== 'pass'),
      [],
    );
  }
  assert.equal(app.settled.length, 5);
});

test('a bill comes back from its text', () => {
  const bill = billOf();
  assert.deepEqual(parseBill(encodeBill(bill)), bill);
  const bare = billOf({
    bill: { payment: undefined, line: undefined, recount: undefined, seen: [] },
  });
  assert.deepEqual(parseBill(encodeBill(bare)), bare);
  const cut = billOf({ meter: {}, bill: { receipt: undefined, line: undefined } });
  assert.deepEqual(parseBill(encodeBill(cut)), cut);
  assert.deepEqual(failed(billOf({ meter: {} })), []);
});

test('any one bit of voucher, receipt or ledger line is found', () => {
  const bill = billOf();
  assert.deepEqual(failed(bill), []);
  const { line, payment, receipt: signed } = bill;
  assert.ok(line && payment && signed);
  const voucher = Buffer.from(formatVoucher(payment.voucher), 'base64url');
  const targets: readonly (readonly [Uint8Array, (changed: Uint8Array) => Bill])[] = [
    [signed, (receipt) => ({ ...bill, receipt })],
    [line, (changed) => ({ ...bill, line: changed })],
    [
      voucher,
      (changed) => {
        const text = Buffer.from(changed).toString('base64url');
        return { ...bill, payment: { ...payment, voucher: parseVoucherTextUnverified(text) } };
      },
    ],
  ];
  holds(
    property(nat(targets.length - 1), nat(), nat(7), (which, at, bit) => {
      const target = targets[which];
      assert.ok(target);
      const [bytes, change] = target;
      const changed = bytes.slice();
      const place = at % changed.length;
      changed[place] = (changed[place] ?? 0) ^ (1 << bit);
      let altered: Bill;
      try {
        altered = change(changed);
      } catch {
        return; // refused where it is parsed
      }
      assert.notDeepEqual(failed(altered), []);
    }),
    { numRuns: 400 },
  );
});

const OTHER = randomBytes(32);
const FOREIGN = generateEd25519();

const NO_METER = { payload: new Uint8Array(METER_BYTES), recount: { prompt: 6, completion: 2 } };

/** One change each, signed by whoever signs such things, and the checks that find it. */
const LIES: readonly (readonly [what: string, lies: Lies, found: readonly string[]])[] = [
  [
    'a document of yesterday',
    { document: { expiresMs: BILL_AT_MS } },
    ['gateway.document', 'line.signature'],
  ],
  [
    'a worker attested to another gateway',
    { statement: { aud: 'gw1.other' } },
    ['gateway.audience'],
  ],
  [
    'a channel that pays somebody else',
    { terms: { payee: `0:${'00'.repeat(32)}` } },
    ['gateway.payee'],
  ],
  ['a channel with another charging key', { terms: { payeeKey: OTHER } }, ['gateway.payee']],
  ['a channel on another network', { terms: { network: 'tvm:-239' } }, ['gateway.payee']],
  ['a card the statement does not name', { statement: { card: OTHER } }, ['worker.card_digest']],
  ['a receipt of another statement', { receipt: { statementHash: OTHER } }, ['receipt.statement']],
  ['a receipt of another key', { receipt: { kid: randomBytes(16) } }, ['receipt.kid']],
  ['a receipt of another worker', { receipt: { workerId: OTHER } }, ['receipt.worker']],
  ['a receipt of another model', { receipt: { modelDigest: OTHER } }, ['receipt.model']],
  ['a receipt by other prices', { receipt: { priceDigest: OTHER } }, ['receipt.prices']],
  [
    'a receipt of another request',
    { receipt: { requestId: randomBytes(16) } },
    ['receipt.request'],
  ],
  ['a receipt of another payer', { receipt: { payerRef: OTHER } }, ['receipt.payer']],
  ['a receipt of other bytes', { receipt: { reqHash: OTHER } }, ['receipt.request_hash']],
  [
    'a receipt that asks a nanoTON more',
    { receipt: { amount: BILL_COST + 1n } },
    ['receipt.amount'],
  ],
  [
    'a receipt that counts one token more',
    { receipt: { usage: { prompt: 6, cached: 1, completion: 2, reasoning: 3 } } },
    ['receipt.amount', 'recount'],
  ],
  ['tighter bounds than were used', { prelude: { maxOutput: 4 } }, ['receipt.bounds']],
  [
    'a lower ceiling than was asked',
    { prelude: { maxAmount: BILL_COST - 1n } },
    ['receipt.max_amount', 'line.amount'],
  ],
  ['a ceiling in another asset than the price', { prelude: { asset: 1 } }, ['receipt.asset']],
  ['a receipt before the first', { receipt: { workerSeq: 0n } }, ['receipt.chain']],
  [
    'a first receipt behind another one',
    { receipt: { prevReceiptHash: OTHER } },
    ['receipt.chain'],
  ],
  [
    'a receipt that ends before it starts',
    { receipt: { startMs: BILL_AT_MS + 1 } },
    ['receipt.time'],
  ],
  ['a voucher of another key', { terms: { payerKey: OTHER } }, ['voucher.signature']],
  [
    'a voucher of another channel',
    { voucher: { channel: OTHER } },
    ['voucher.payer', 'line.channel'],
  ],
  ['a voucher of another epoch', { voucher: { epoch: 1 } }, ['line.epoch']],
  [
    'a voucher above all that was signed',
    { ceiling: amount(BILL_COST + 100n) },
    ['voucher.ceiling'],
  ],
  [
    'more tokens than the texts are',
    { bill: { recount: { prompt: 6, completion: 1 } } },
    ['recount'],
  ],
  ['a METER that is none', { meter: {}, bill: { meter: NO_METER } }, ['meter.form']],
  ['a METER of another key', { meter: { secret: FOREIGN.secretKey } }, ['meter.signature']],
  ['a METER of another worker', { meter: { statementHash: OTHER } }, ['meter.statement']],
  ['a METER of another request', { meter: { msgId: randomBytes(16) } }, ['meter.request']],
  [
    'a METER of more tokens than were read',
    { meter: { completion: 3, amount: METER_COST } },
    ['meter.recount'],
  ],
  [
    'a METER of a higher price than what was read',
    { meter: { amount: METER_COST + 2n } },
    ['meter.recount'],
  ],
  [
    'an answer that broke off',
    { meter: {}, bill: { receipt: undefined, line: undefined, recount: undefined } },
    ['receipt.form', 'line.present'],
  ],
  ['no line', { bill: { line: undefined } }, ['line.present']],
  ['a line that is none', { bill: { line: utf8('x') } }, ['line.form']],
  ['a line of a key that is not listed', { ledgerSecret: FOREIGN.secretKey }, ['line.signature']],
  ['a line of another channel', { line: { channel: OTHER } }, ['line.channel']],
  ['a line of another epoch', { line: { epoch: 1 } }, ['line.epoch']],
  ['a line of another request', { line: { requestId: randomBytes(16) } }, ['line.request']],
  ['a line of another receipt', { line: { receiptHash: OTHER } }, ['line.receipt']],
  [
    'a line that charges more',
    { line: { amount: amount(BILL_COST + 1n), cum: amount(BILL_COST + 101n) } },
    ['line.amount'],
  ],
  [
    'a sum above all that was signed',
    { line: { n: 3n, cum: amount(10n ** 9n) } },
    ['line.ceiling'],
  ],
  ['a sum that does not join', { line: { cum: amount(BILL_COST + 101n) } }, ['line.contradiction']],
];

for (const [what, lies, found] of LIES) {
  test(`${what}: ${found.join(', ')}`, () => {
    assert.deepEqual(failed(billOf(lies)), found);
  });
}

test('what is no bill is refused, and so is one with a member more', () => {
  const text = new TextDecoder().decode(encodeBill(billOf()));
  const broken = ['', '{}', text.slice(1), text.replace('{', '{"more":1,'), `${text} x`];
  for (const each of broken) {
    assert.throws(() => parseBill(utf8(each)), { code: 'client.bill' });
  }
});

test('lines of one gateway that cannot be true together are found between bills', () => {
  const lines = [billOf(), billOf()].flatMap((bill) => checkBill(bill).proven);
  const found = contradictionsIn(lines.map(({ statement }) => statement));
  assert.ok(found.some(({ why }) => why === 'same_number'));
  const forged = checkBill(billOf({ ledgerSecret: FOREIGN.secretKey }));
  assert.deepEqual(forged.proven, []);
});
