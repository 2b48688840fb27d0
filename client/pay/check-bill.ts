/**
 * Looks at a saved bill again, offline: every signature, every hash, the price of the usage, and whether lines can be true
 * beside each other. It cannot look at what a bill does not hold: the quote behind the worker's statement (`veilgate
 * attest`), the texts behind the client's recount. Spec: ton-settlement §4.3 "Client check", §7 S1.
 * @module
 */

import { verifyEd25519 } from '#primitives';
import { equalPublic, toHex, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { cardDigestOf, parseCard, workerIdOf, type Card } from '../../attestation/card.ts';
import { kidOf, parseStatement, statementHash } from '../../attestation/statement.ts';
import {
  verifyGatewayDocument,
  type VerifiedGatewayDocument,
} from '../../protocol/gateway-document.ts';
import { parseMeterUnverified, type SignedMeter } from '../../protocol/meter.ts';
import { amountDue } from '../../protocol/price.ts';
import {
  isReceiptSignedBy,
  parseReceiptUnverified,
  type SignedReceipt,
} from '../../protocol/receipt.ts';
import { parsePrelude, payerRefOf, type Prelude } from '../../protocol/sx/prelude.ts';
import { statementFaults } from '../../settlement/check-statement.ts';
import { assetOfCode } from '../../settlement/money.ts';
import {
  contradictionBetween,
  isStatementSignedBy,
  type Contradiction,
  type SignedStatement,
  type Statement,
} from '../../settlement/statement.ts';
import { verifyVoucher } from '../../settlement/voucher.ts';
import type { Bill, BillPayment } from './bill.ts';
import { lineIn, unpaidFaults } from './line.ts';
import { exceeds, meterExceeds } from './recount.ts';

export interface BillCheck {
  readonly id: string;
  /** `skipped`: what it rests on could not be read, which is a failed check of its own; or nobody pays from a channel. */
  readonly outcome: 'pass' | 'fail' | 'skipped';
}

export interface CheckedBill {
  readonly checks: readonly BillCheck[];
  /** Signed by a ledger key of the gateway's own document: what can contradict other bills of the same gateway. */
  readonly proven: readonly SignedStatement[];
  readonly aud: string | undefined;
}

/** Never throws at what a bill says. */
export function checkBill(bill: Bill): CheckedBill {
  const read = readParts(bill);
  const checks = [
    ...gatewayChecks(read, bill),
    ...workerChecks(read),
    ...receiptChecks(read, bill),
    ...meterChecks(read, bill),
    ...paymentChecks(read, bill),
    ...lineChecks(read, bill),
  ];
  const lines = [...bill.seen.map(lineIn), read.line].filter((line) => line !== undefined);
  const proven = lines.filter((line) => isProven(line, read.gateway));
  return { checks, proven, aud: read.gateway?.aud };
}

/** Which lines of one gateway cannot be true together. Each pair once. */
export function contradictionsIn(
  lines: readonly Statement[],
): readonly { readonly one: Statement; readonly other: Statement; readonly why: Contradiction }[] {
  return lines.flatMap((one, at) =>
    lines.slice(at + 1).flatMap((other) => {
      const why = contradictionBetween(one, other);
      return why === undefined ? [] : [{ one, other, why }];
    }),
  );
}

interface Parts {
  readonly gateway: VerifiedGatewayDocument | undefined;
  readonly worker: ReturnType<typeof parseStatement> | undefined;
  readonly workerHash: Bytes<32>;
  readonly card: Card | undefined;
  readonly cardDigest: Bytes<32>;
  readonly prelude: Prelude | undefined;
  readonly receipt: SignedReceipt | undefined;
  readonly meter: SignedMeter | undefined;
  readonly line: SignedStatement | undefined;
}

function readParts(bill: Bill): Parts {
  return {
    gateway: orUndefined(() => verifyGatewayDocument(bill.gateway, bill.atMs)),
    worker: orUndefined(() => parseStatement(bill.worker.statement)),
    workerHash: statementHash(bill.worker.statement),
    card: orUndefined(() => parseCard(bill.worker.card)),
    cardDigest: cardDigestOf(bill.worker.card),
    prelude: orUndefined(() => parsePrelude(bill.request.prelude)),
    receipt: readOf(bill.receipt, parseReceiptUnverified),
    meter: readOf(bill.meter?.payload, parseMeterUnverified),
    line: bill.line === undefined ? undefined : lineIn(bill.line),
  };
}

function orUndefined<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof VeilError) || error.spec.status === 500) throw error;
    return undefined; // an answer: the check named after it fails
  }
}

function readOf<Value>(
  bytes: Uint8Array | undefined,
  parse: (bytes: Uint8Array) => Value,
): Value | undefined {
  return bytes === undefined ? undefined : orUndefined(() => parse(bytes));
}

function isProven(line: SignedStatement, gateway: VerifiedGatewayDocument | undefined): boolean {
  const keys = gateway?.settlement.ledgerKeys ?? [];
  return keys.some((key) => isStatementSignedBy(line, key));
}

function check(id: string, holds: boolean | undefined): BillCheck {
  return { id, outcome: holds === undefined ? 'skipped' : holds ? 'pass' : 'fail' };
}

/** Skipped without both. */
function both<One, Other>(
  one: One | undefined,
  other: Other | undefined,
  holds: (one: One, other: Other) => boolean,
): boolean | undefined {
  return one === undefined || other === undefined ? undefined : holds(one, other);
}

function gatewayChecks({ gateway, worker }: Parts, { payment }: Bill): readonly BillCheck[] {
  return [
    check('gateway.document', gateway !== undefined),
    check(
      'gateway.audience',
      both(gateway, worker, ({ aud }, statement) => statement.aud === aud),
    ),
    check('gateway.payee', both(gateway, payment, isPayee)),
  ];
}

function isPayee(
  { settlement: { payee } }: VerifiedGatewayDocument,
  { terms }: BillPayment,
): boolean {
  return (
    payee !== null &&
    payee.network === terms.network &&
    payee.address === terms.payee &&
    equalPublic(payee.key, terms.payeeKey)
  );
}

function workerChecks({ worker, card, cardDigest }: Parts): readonly BillCheck[] {
  return [
    check('worker.statement', worker !== undefined),
    check('worker.card', card !== undefined),
    check(
      'worker.card_digest',
      worker === undefined
        ? undefined
        : worker.card !== undefined && equalPublic(worker.card, cardDigest),
    ),
  ];
}

function receiptChecks(parts: Parts, { request }: Bill): readonly BillCheck[] {
  const { receipt: signed, worker, workerHash, card, cardDigest, prelude } = parts;
  const receipt = signed?.receipt;
  const against = (holds: (known: NonNullable<typeof receipt>) => boolean): boolean | undefined =>
    receipt === undefined ? undefined : holds(receipt);
  return [
    check('receipt.form', receipt !== undefined),
    check('request.prelude', prelude !== undefined),
    check(
      'receipt.signature',
      both(signed, worker, (known, { keys }) => isReceiptSignedBy(known, keys.sig.pk)),
    ),
    check(
      'receipt.statement',
      against(({ statementHash: hash }) => equalPublic(hash, workerHash)),
    ),
    check(
      'receipt.kid',
      both(receipt, worker, ({ kid }, { keys }) =>
        equalPublic(kid, kidOf(workerHash, keys.hpke.kem, keys.hpke.pk)),
      ),
    ),
    check(
      'receipt.worker',
      both(receipt, card, ({ workerId }, { owner }) => equalPublic(workerId, workerIdOf(owner))),
    ),
    check(
      'receipt.model',
      both(receipt, card, ({ modelDigest }, { model }) => equalPublic(modelDigest, model.weights)),
    ),
    check(
      'receipt.prices',
      against(({ priceDigest }) => equalPublic(priceDigest, cardDigest)),
    ),
    check(
      'receipt.request',
      both(receipt, prelude, ({ requestId }, { msgId }) => equalPublic(requestId, msgId)),
    ),
    check(
      'receipt.payer',
      both(receipt, prelude, (known, { payerRef }) => equalPublic(known.payerRef, payerRef)),
    ),
    check(
      'receipt.request_hash',
      against(({ reqHash }) => equalPublic(reqHash, request.th)),
    ),
    check('receipt.bounds', both(receipt, prelude, isWithinBounds)),
    check(
      'receipt.asset',
      both(card, prelude, ({ prices }, { asset }) => assetOfCode(asset) === prices.asset),
    ),
    check(
      'receipt.amount',
      both(
        receipt,
        card,
        (known, { prices }) => known.amount === amountDue(prices, known.usage, known.outcome),
      ),
    ),
    check(
      'receipt.max_amount',
      both(receipt, prelude, ({ amount }, { maxAmount }) => amount <= maxAmount),
    ),
    check(
      'receipt.time',
      against(({ startMs, endMs }) => startMs <= endMs),
    ),
    check(
      'receipt.chain',
      against(
        ({ workerSeq, prevReceiptHash }) =>
          workerSeq > 1n || (workerSeq === 1n && equalPublic(prevReceiptHash, workerHash)),
      ),
    ),
  ];
}

/** Only of a bill that has one. `meter.recount` fails where it counted more than the client says it had read. */
function meterChecks(parts: Parts, bill: Bill): readonly BillCheck[] {
  if (bill.meter === undefined) return [];
  const { recount } = bill.meter;
  const { meter: signed, worker, workerHash, card, prelude } = parts;
  const meter = signed?.meter;
  return [
    check('meter.form', meter !== undefined),
    check(
      'meter.signature',
      both(signed, worker, (known, { keys }) =>
        verifyEd25519(keys.sig.pk, known.signature, known.signed),
      ),
    ),
    check('meter.statement', meter && equalPublic(meter.statementHash, workerHash)),
    check(
      'meter.request',
      both(meter, prelude, (known, { msgId }) => equalPublic(known.msgId, msgId)),
    ),
    check(
      'meter.recount',
      both(meter, card, (known, priced) => !meterExceeds(known, recount, priced.prices)),
    ),
  ];
}

function isWithinBounds(
  { usage }: SignedReceipt['receipt'],
  { maxPrompt, maxOutput }: Prelude,
): boolean {
  const { prompt, cached, completion, reasoning } = usage;
  return prompt + cached <= maxPrompt && completion + reasoning <= maxOutput;
}

function paymentChecks({ prelude, receipt }: Parts, bill: Bill): readonly BillCheck[] {
  const { payment, recount } = bill;
  return [
    check(
      'voucher.signature',
      payment && verifyVoucher(payment.voucher, payment.terms.payerKey) !== undefined,
    ),
    check(
      'voucher.payer',
      both(prelude, payment, ({ payerRef, msgId }, { voucher }) =>
        equalPublic(payerRef, payerRefOf(voucher.channel, msgId)),
      ),
    ),
    check('voucher.ceiling', payment && payment.voucher.ceiling <= payment.ceiling),
    check(
      'recount',
      both(recount, receipt, (bounds, { receipt: { usage } }) => !exceeds(usage, bounds)),
    ),
  ];
}

const PAID_LINE = [
  'signature',
  'channel',
  'epoch',
  'request',
  'receipt',
  'amount',
  'ceiling',
  'contradiction',
] as const;
const UNPAID_LINE = ['signature', 'request', 'receipt', 'amount'] as const;

function lineChecks(parts: Parts, bill: Bill): readonly BillCheck[] {
  const { line, receipt, gateway, prelude } = parts;
  const present = check('line.present', bill.line !== undefined);
  const form = check('line.form', bill.line === undefined ? undefined : line !== undefined);
  const names = bill.payment === undefined ? UNPAID_LINE : PAID_LINE;
  if (line === undefined || receipt === undefined || prelude === undefined) {
    return [present, form, ...names.map((name) => check(`line.${name}`, undefined))];
  }
  const ledgerKeys = gateway?.settlement.ledgerKeys ?? [];
  const faults: readonly string[] =
    bill.payment === undefined
      ? unpaidFaults(line, receipt, ledgerKeys)
      : statementFaults(line, {
          ledgerKeys,
          channel: bill.payment.voucher.channel,
          epoch: bill.payment.voucher.epoch,
          receipt,
          maxAmount: prelude.maxAmount,
          ceiling: bill.payment.ceiling,
          seen: provenSeen(bill, gateway),
        });
  return [present, form, ...names.map((name) => check(`line.${name}`, !faults.includes(name)))];
}

/** A line that nobody signed contradicts nothing. */
function provenSeen(
  { seen }: Bill,
  gateway: VerifiedGatewayDocument | undefined,
): readonly Statement[] {
  return seen
    .map(lineIn)
    .filter((line) => line !== undefined)
    .filter((line) => isProven(line, gateway))
    .map(({ statement }) => statement);
}

/** For people: request, number and sum of a line. */
export function describeLine({ requestId, n, amount, cum }: Statement): string {
  return `request ${toHex(requestId)}: number ${n}, ${amount}, sum ${cum}`;
}
