/** One settlement as one line, its amounts point under point. @module */

import { formatInstant } from '../../core/clock.ts';
import { paint } from '../../core/node/terminal.ts';
import { ASSETS, type Asset } from '../../settlement/money.ts';
import type { Settlement } from './follow.ts';

/** Enough to tell two apart on a screen. */
const ID_CHARS = 8;
const WHOLE_CHARS = 4;
const DECIMALS_MAX = 9;
const AMOUNT_CHARS = WHOLE_CHARS + 1 + DECIMALS_MAX;
const ASSET_CHARS = 4;
/** From here on there is room for what the account has been charged in all. */
const WIDE_COLUMNS = 110;

export function headLine(columns: number): string {
  const ids = ['UTC', 'account', 'request', 'worker'].map((cell) => cell.padEnd(ID_CHARS));
  const amounts = ['amount', 'to worker'].map((cell) => cell.padStart(AMOUNT_CHARS));
  const wide = columns < WIDE_COLUMNS ? [] : ['in all'.padStart(AMOUNT_CHARS), 'n'];
  return [...ids, ...amounts, 'unit', ...wide].join('  ');
}

export function settlementLine(entry: Settlement, columns: number): string {
  const { atMs, account, workerId, asset, amount, workerPart, cum, n } = entry;
  const parts = [
    paint('dim', formatInstant(atMs).slice(11, 19)),
    idText(account),
    requestText(entry),
    idText(workerId),
    paint('bold', amountText(amount, asset)),
    amountText(workerPart, asset),
    asset.padEnd(ASSET_CHARS),
  ];
  if (columns >= WIDE_COLUMNS) parts.push(amountText(cum, asset), `${n}`);
  return parts.join('  ').trimEnd();
}

/** What is no request says what it is. */
function requestText({ kind, requestId }: Settlement): string {
  return kind === 'settle'
    ? idText(requestId)
    : paint('yellow', kind.slice(0, ID_CHARS).padEnd(ID_CHARS));
}

function idText(id: string): string {
  const isNone = /^0*$/.test(id);
  return (isNone ? '-' : id.slice(0, ID_CHARS)).padEnd(ID_CHARS);
}

/** All digits of the asset, so that points stand under points. */
function amountText(value: bigint, asset: Asset): string {
  const { decimals } = ASSETS.find(({ name }) => name === asset) ?? ASSETS[0];
  const digits = value.toString().padStart(decimals + 1, '0');
  const text = `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
  const behind = DECIMALS_MAX - decimals;
  return (text + ' '.repeat(behind)).padStart(AMOUNT_CHARS);
}
