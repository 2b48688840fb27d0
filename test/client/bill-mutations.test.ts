/**
 * System property S1, field by field and bit by bit: what the client checks accepts each honest run and rejects every single
 * change of voucher, receipt and ledger line. Changed on its way, every bit is found. Changed and signed anew by whoever signs
 * such things, every field is found but those that are listed here as free, with what keeps them honest instead.
 * Spec: ton-settlement §7 S1.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { fixed } from '../../core/bytes.ts';
import type { Bill } from '../../client/pay/bill.ts';
import { checkBill } from '../../client/pay/check-bill.ts';
import { resumePaying } from '../../client/index.ts';
import type { Receipt } from '../../protocol/receipt.ts';
import { amount, AMOUNT_MAX } from '../../settlement/money.ts';
import { signStatement, statementSigner, type Statement } from '../../settlement/statement.ts';
import {
  formatVoucher,
  parseVoucherTextUnverified,
  type VoucherTerms,
} from '../../settlement/voucher.ts';
import { BILL_AT_MS, BILL_COST, billOf, type Lies } from '../support/bill-lab.ts';
import { LEDGER_KEY } from '../support/ledger-lab.ts';
import { paidGateway, payingApp } from '../support/paying.ts';

const SLOW = process.env['SLOW'] === '1';
const RUNS = SLOW ? 2000 : 150;

function failed(bill: Bill): readonly string[] {
  return checkBill(bill)
    .checks.filter(({ outcome }) => outcome === 'fail')
    .map(({ id }) => id);
}

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => fixed(bytes, 32));
const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => fixed(bytes, 16));
const money = fc.bigInt({ min: 0n, max: AMOUNT_MAX }).map(amount);
const count = fc.integer({ min: 0, max: 0xffff_ffff });
const time = fc.integer({ min: BILL_AT_MS - 5, max: BILL_AT_MS });

/** `found`: by a check. `free`: any value passes the bill, and this is why that is no lie. */
interface Field<Value> {
  readonly value: fc.Arbitrary<Value>;
  readonly is: 'found' | 'free';
  readonly because?: string;
}
type Fields<Artefact> = { readonly [Name in keyof Artefact]-?: Field<Artefact[Name]> };

function found<Value>(value: fc.Arbitrary<Value>): Field<Value> {
  return { value, is: 'found' };
}

function free<Value>(value: fc.Arbitrary<Value>, because: string): Field<Value> {
  return { value, is: 'free', because };
}

/** A field that is added to an artefact does not compile until it is decided here. */
const RECEIPT: Fields<Receipt> = {
  requestId: found(bytes16),
  statementHash: found(bytes32),
  kid: found(bytes16),
  payerRef: found(bytes32),
  workerId: found(bytes32),
  modelDigest: found(bytes32),
  priceDigest: found(bytes32),
  policyDigest: free(bytes32, 'held against the request while the answer is read'),
  usage: found(
    fc
      .record({ prompt: count, cached: count, completion: count, reasoning: count })
      // Where two kinds cost the same, one for the other is the same bill: the bounds of both were allowed.
      .filter(
        ({ prompt, cached, completion, reasoning }) =>
          prompt + cached + completion + reasoning > 20,
      ),
  ),
  amount: found(money.filter((other) => other !== BILL_COST)),
  outcome: free(fc.constantFrom('ok', 'cancelled'), 'what was counted costs the same'),
  simulated: free(fc.boolean(), 'held against the attested key while the answer is read'),
  startMs: free(time, 'the worker’s own clock; only its order is checked'),
  endMs: free(fc.constant(BILL_AT_MS + 1), 'the worker’s own clock; only its order is checked'),
  reqHash: found(bytes32),
  respHash: free(bytes32, 'held against the answer while it is read'),
  workerSeq: free(fc.bigInt({ min: 1n, max: 2n ** 63n }), 'between worker and gateway'),
  /** Of the first receipt that a key signs: it begins at the statement. */
  prevReceiptHash: found(bytes32),
};

const LINE: Fields<Statement> = {
  channel: found(bytes32),
  epoch: found(fc.integer({ min: 1, max: 0xffff })),
  n: free(
    fc.bigInt({ min: 3n, max: 2n ** 63n }),
    'lines between it and the ones seen may be of others',
  ),
  requestId: found(bytes16),
  receiptHash: found(bytes32),
  amount: found(money.filter((other) => other !== BILL_COST)),
  cum: found(money.filter((other) => other !== BILL_COST + 100n)),
  atMs: free(fc.nat(2 ** 40), 'the gateway’s own clock'),
  policyDigest: free(bytes32, 'the gateway’s own policy'),
};

const VOUCHER: Fields<VoucherTerms> = {
  channel: found(bytes32),
  epoch: found(fc.integer({ min: 1, max: 0xffff })),
  ceiling: found(fc.bigInt({ min: 10n * BILL_COST, max: AMOUNT_MAX }).map(amount)),
};

const ARTEFACTS: readonly (readonly [keyof Lies, Readonly<Record<string, Field<unknown>>>])[] = [
  ['receipt', { ...RECEIPT }],
  ['line', { ...LINE }],
  ['voucher', { ...VOUCHER }],
];

for (const [artefact, fields] of ARTEFACTS) {
  for (const [name, { value, is, because }] of Object.entries(fields)) {
    const what = is === 'found' ? 'is found' : `is free: ${because}`;
    test(`${artefact}.${name}, changed and signed anew, ${what}`, () => {
      fc.assert(
        fc.property(value, (changed) => {
          const faults = failed(billOf({ [artefact]: { [name]: changed } }));
          assert.equal(faults.length > 0, is === 'found', faults.join());
        }),
        { numRuns: is === 'found' ? RUNS : 10 },
      );
    });
  }
}

test('every bit of voucher, receipt and ledger line is found when it changes on its way', () => {
  const bill = billOf();
  const { line, payment } = bill;
  const { receipt: signed } = bill;
  assert.ok(line && payment && signed);
  const voucher = Buffer.from(formatVoucher(payment.voucher), 'base64url');
  const artefacts: readonly (readonly [Uint8Array, (changed: Uint8Array) => Bill])[] = [
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
  let checked = 0;
  for (const [bytes, billWith] of artefacts) {
    for (let at = 0; at < bytes.length; at++) {
      const bits = SLOW ? [0, 1, 2, 3, 4, 5, 6, 7] : [at % 8];
      for (const bit of bits) {
        assert.ok(isRefused(bytes, { at, bit }, billWith), `byte ${at}, bit ${bit}`);
        checked++;
      }
    }
  }
  assert.ok(checked >= signed.length + line.length + voucher.length);
});

/** Where it is read, or by a check. */
function isRefused(
  bytes: Uint8Array,
  place: { readonly at: number; readonly bit: number },
  billWith: (changed: Uint8Array) => Bill,
): boolean {
  let bill: Bill;
  try {
    bill = billWith(flipped(bytes, place));
  } catch {
    return true;
  }
  return failed(bill).length > 0;
}

function flipped(bytes: Uint8Array, { at, bit }: { readonly at: number; readonly bit: number }) {
  const changed = bytes.slice();
  changed[at % changed.length] = (changed[at % changed.length] ?? 0) ^ (1 << bit);
  return changed;
}

test('a paying client finds every changed bit of a ledger line while it pays, and halts', async (context) => {
  const gateway = await paidGateway(context);
  const app = payingApp(gateway);
  const place = fc.record({ at: fc.nat(229), bit: fc.nat(7) });
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(place, async (where) => {
      gateway.books.mischief.line = (honest) =>
        flipped(signStatement(honest, statementSigner(LEDGER_KEY.secretKey)).payload, where);
      await app.ask();
      runs++;
      assert.equal(app.faults.length, runs);
      await app.close();
      await resumePaying(app.memory, gateway.books.channel);
    }),
    { numRuns: SLOW ? 400 : 25 },
  );
  assert.deepEqual(app.settled, []);
});
