/** Rows under each other: text to the left, numbers to the right, points below points. @module */

import { formatAmount, type Amount, type Asset } from '../../settlement/money.ts';

export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
}

const GAP = '  ';

/** The first row is the titles; widths are those of the longest cell. */
export function columnsOf(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const widths = columns.map(({ title }, at) =>
    Math.max(title.length, ...rows.map((row) => (row[at] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ align }, at) => {
        const [cell = '', width = 0] = [cells[at], widths[at]];
        return align === 'left' ? cell.padEnd(width) : cell.padStart(width);
      })
      .join(GAP)
      .trimEnd();
  return [columns.map(({ title }) => title), ...rows].map(line);
}

/** All with as many digits behind the point as the longest needs. */
export function amountCells(amounts: readonly Amount[], asset: Asset): readonly string[] {
  const texts = amounts.map((amount) => formatAmount(amount, asset).split('.'));
  const digits = Math.max(0, ...texts.map(([, fraction = '']) => fraction.length));
  return texts.map(([whole = '', fraction = '']) =>
    digits === 0 ? whole : `${whole}.${fraction.padEnd(digits, '0')}`,
  );
}
