/** What stands in a bill, for people and as JSON. Nothing here is checked. @module */

import { toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { VeilError } from '../../core/errors.ts';
import type { Json } from '../../core/json.ts';
import { printable } from '../../core/node/terminal.ts';
import { parseCard } from '../../attestation/card.ts';
import type { Bill } from '../../client/pay/bill.ts';
import { lineIn } from '../../client/pay/line.ts';
import { parseMeterUnverified } from '../../protocol/meter.ts';
import { parseReceiptUnverified } from '../../protocol/receipt.ts';
import { amount, formatAmount, type Asset } from '../../settlement/money.ts';
import type { ReadBill } from './read-bills.ts';

type Fact = readonly [name: string, value: string];

export function showLines(read: ReadBill): readonly string[] {
  const facts = factsOf(read);
  const width = Math.max(...facts.map(([name]) => name.length));
  return facts.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}`);
}

export function showJson(read: ReadBill): Json {
  return Object.fromEntries(factsOf(read));
}

function factsOf({ file, bill }: ReadBill): readonly Fact[] {
  const { payment, faults } = bill;
  const facts: Fact[] = [
    ['file', file],
    ['made', formatInstant(bill.atMs)],
    ['faults', faults.length === 0 ? 'none' : faults.join(' ')],
  ];
  const asset = assetOf(bill.worker.card);
  facts.push(...receiptFacts(bill.receipt, asset), ...meterFacts(bill, asset));
  const line = bill.line === undefined ? undefined : lineIn(bill.line);
  if (line === undefined) {
    facts.push(['ledger line', bill.line === undefined ? 'none' : 'unreadable']);
  } else {
    const { channel, epoch, n, amount: charged, cum } = line.statement;
    facts.push(
      ['charged', money(charged, asset)],
      ['charged in all', money(cum, asset)],
      ['number', n.toString()],
      ['account', `${toHex(channel)} epoch ${epoch}`],
    );
  }
  if (payment !== undefined) facts.push(['signed up to', money(payment.ceiling, asset)]);
  return facts;
}

function assetOf(card: Uint8Array): Asset {
  return readable(() => parseCard(card).prices.asset) ?? 'TON';
}

function meterFacts({ meter }: Bill, asset: Asset): readonly Fact[] {
  if (meter === undefined) return [];
  const said = readable(() => parseMeterUnverified(meter.payload).meter);
  if (said === undefined) return [['meter', 'unreadable']];
  const { completion, amount: asked } = said;
  const counted = `${completion} tokens, ${money(asked, asset)}`;
  return [['meter', `${counted}; read by then: at most ${meter.recount.completion}`]];
}

function receiptFacts(bytes: Uint8Array | undefined, asset: Asset): readonly Fact[] {
  if (bytes === undefined) return [['receipt', 'none']];
  const receipt = readable(() => parseReceiptUnverified(bytes).receipt);
  if (receipt === undefined) return [['receipt', 'unreadable']];
  const { prompt, cached, completion, reasoning } = receipt.usage;
  return [
    ['request', toHex(receipt.requestId)],
    ['worker', toHex(receipt.workerId)],
    ['outcome', receipt.simulated ? `${receipt.outcome}, simulated worker` : receipt.outcome],
    [
      'tokens',
      `prompt ${prompt}, cached ${cached}, completion ${completion}, reasoning ${reasoning}`,
    ],
    ['receipt asks', money(receipt.amount, asset)],
  ];
}

function money(value: bigint, asset: Asset): string {
  return readable(() => `${formatAmount(amount(value), asset)} ${asset}`) ?? `${value} units`;
}

function readable<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    return undefined; // an answer: it is said to be unreadable
  }
}
