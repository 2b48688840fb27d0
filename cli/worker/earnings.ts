/** `veilgate worker earnings`: the books of a worker, in numbers and by day and model. @module */

import { toHex } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { jsonLine, paint, printable } from '../../core/node/terminal.ts';
import { readEarnings } from '../../enclave-worker/earnings/sqlite.ts';
import type { BookReport, DaySum } from '../../enclave-worker/earnings/store.ts';
import { NOTHING, type Amount, type Asset } from '../../settlement/money.ts';
import type { ChannelState } from '../../settlement/ton/contracts/pay-channel.ts';
import { readWorkerChannel } from '../../settlement/ton/worker-channel.ts';
import { balanceOf, newestVouchers, shown, sumOf, type Balance } from './balance.ts';
import { amountCells, columnsOf, type Column } from './columns.ts';
import { EARNINGS_FORMAT, EXIT, type EarningsOptions, type WorkerIo } from './io.ts';
import { openChainOf } from './open-chain.ts';

type States = ReadonlyMap<string, ChannelState>;

/** Throws `earnings.store`, `file.private`, and as the chain. */
export async function runEarnings(
  { dir, providers, format }: EarningsOptions,
  io: WorkerIo,
  signal: AbortSignal,
): Promise<number> {
  const books = readEarnings(dir);
  const states = providers.length === 0 ? undefined : await statesOf(books, providers, signal);
  if (format === 'json') {
    const shownBooks = books.map((book) => bookJson(book, states));
    io.output(jsonLine({ format: EARNINGS_FORMAT, command: 'earnings', books: shownBooks }));
    return EXIT.ok;
  }
  for (const book of books) for (const row of bookRows(book, states)) io.output(row);
  if (books.length === 0) io.output('Nothing yet: no gateway has been worked for.');
  return EXIT.ok;
}

async function statesOf(
  books: readonly BookReport[],
  providers: readonly string[],
  signal: AbortSignal,
): Promise<States> {
  const states = new Map<string, ChannelState>();
  for (const { channel, terms } of newestVouchers(books.flatMap(({ vouchers }) => vouchers))) {
    const chain = openChainOf(terms, providers);
    try {
      const state = await readWorkerChannel(chain, terms, signal);
      if (state !== undefined) states.set(toHex(channel), state);
    } finally {
      await chain.close();
    }
  }
  return states;
}

const DAY_MS = 86_400_000;
const DAY_CHARS = 10;
const ID_CHARS = 12;
const DAYS_SHOWN = 31;

function dayText(day: number): string {
  return formatInstant(day * DAY_MS).slice(0, DAY_CHARS);
}

/** A page of days; those before it together. */
function dayNames(days: readonly DaySum[]): (sum: DaySum) => string {
  const latest = [...new Set(days.map(({ day }) => day))].slice(-DAYS_SHOWN);
  const [first = 0] = latest;
  return ({ day }) => (day < first ? 'earlier' : dayText(day));
}

function bookRows(report: BookReport, states: States | undefined): readonly string[] {
  const { book, days } = report;
  const gateway = printable(book.gateway).slice(0, ID_CHARS);
  return [
    paint('bold', `Worker ${toHex(book.workerId).slice(0, ID_CHARS)}… for ${gateway}…`),
    '',
    ...balanceRows(report, balanceOf(report, states)),
    '',
    ...sumRows('day', days, dayNames(days), book.asset),
    '',
    ...sumRows('model', days, (sum) => printable(sum.model), book.asset),
    '',
  ];
}

function balanceRows({ book, vouchers }: BookReport, balance: Balance): readonly string[] {
  const { earned, acknowledged, vouchered, paid, claimed, unpaid } = balance;
  const channels = newestVouchers(vouchers).length;
  const all: readonly (readonly [string, Amount | undefined, string])[] = [
    ['earned', earned, 'by its own receipts, less the fee'],
    ['acknowledged', acknowledged, 'settled, says the gateway'],
    ['vouchered', vouchered, `on ${channels} ${channels === 1 ? 'channel' : 'channels'}`],
    ['claimed', claimed, claimed === undefined ? 'ask with --provider' : 'on chain'],
    ['paid', paid, 'by transfers, says the gateway'],
    ['unpaid', unpaid, 'neither paid nor vouchered'],
  ];
  const cells = amountCells(
    all.map(([, amount]) => amount ?? NOTHING),
    book.asset,
  );
  const rows = all.map(([name, amount, what], at) => [
    name,
    amount === undefined ? `– ${book.asset}` : `${cells[at]} ${book.asset}`,
    what,
  ]);
  return columnsOf(BALANCE_COLUMNS, rows)
    .slice(1)
    .map((row, at) => (at === rows.length - 1 && unpaid > 0n ? paint('yellow', row) : row));
}

const BALANCE_COLUMNS: readonly Column[] = [
  { title: '', align: 'left' },
  { title: '', align: 'right' },
  { title: '', align: 'left' },
];

const SUM_COLUMNS: readonly Column[] = [
  { title: 'requests', align: 'right' },
  { title: 'tokens in', align: 'right' },
  { title: 'tokens out', align: 'right' },
];

function sumRows(
  title: string,
  days: readonly DaySum[],
  nameOf: (sum: DaySum) => string,
  asset: Asset,
): readonly string[] {
  const groups = groupsOf(days, nameOf);
  const parts = groups.map(([, sums]) => shown(sumOf(sums.map(({ part }) => part))));
  const cells = amountCells(parts, asset);
  const rows = groups.map(([name, sums], at) => [
    name,
    ...totalsOf(sums).map(String),
    cells[at] ?? '',
  ]);
  const columns: readonly Column[] = [
    { title, align: 'left' },
    ...SUM_COLUMNS,
    { title: `earned ${asset}`, align: 'right' },
  ];
  const [head = '', ...rest] = columnsOf(columns, rows);
  return [paint('dim', head), ...rest];
}

function totalsOf(sums: readonly DaySum[]): readonly bigint[] {
  return [
    sumOf(sums.map(({ requests }) => requests)),
    sumOf(sums.map(({ inputTokens }) => inputTokens)),
    sumOf(sums.map(({ outputTokens }) => outputTokens)),
  ];
}

function groupsOf(
  days: readonly DaySum[],
  nameOf: (sum: DaySum) => string,
): readonly (readonly [string, readonly DaySum[]])[] {
  return [...Map.groupBy(days, nameOf)];
}

/** Amounts in atomic units, as text: JSON's numbers do not hold them. */
function bookJson(report: BookReport, states: States | undefined): unknown {
  const { book, days, vouchers, sums } = report;
  const balance = balanceOf(report, states);
  return {
    gateway: book.gateway,
    worker: toHex(book.workerId),
    asset: book.asset,
    earned: String(balance.earned),
    acknowledged: String(balance.acknowledged),
    vouchered: String(balance.vouchered),
    claimed: balance.claimed === undefined ? null : String(balance.claimed),
    paid: String(balance.paid),
    unpaid: String(balance.unpaid),
    acknowledgedAt: sums.acknowledged === undefined ? null : formatInstant(sums.acknowledged.atMs),
    channels: newestVouchers(vouchers).map(({ channel, epoch, ceiling, terms }) => ({
      channel: toHex(channel),
      network: terms.network,
      epoch,
      ceiling: String(ceiling),
      claimed: states?.get(toHex(channel))?.claimed.toString() ?? null,
      status: states?.get(toHex(channel))?.status ?? null,
    })),
    days: days.map(({ day, model, requests, inputTokens, outputTokens, amount, part }) => ({
      day: dayText(day),
      model,
      requests: String(requests),
      inputTokens: String(inputTokens),
      outputTokens: String(outputTokens),
      amount: String(amount),
      earned: String(part),
    })),
  };
}
