/** Amounts, times and addresses as people read them: all digits, and never a number without its unit. @module */

import { formatInstant } from '../../core/clock.ts';
import { paint } from '../../core/node/terminal.ts';
import { amount, formatAmount } from '../../settlement/money.ts';

export function ton(nanoton: bigint): string {
  const text = formatAmount(amount(nanoton < 0n ? -nanoton : nanoton), 'TON');
  return `${nanoton < 0n ? '-' : ''}${text} TON`;
}

const MS_PER_S = 1000;
const UNITS = [
  { name: 'day', seconds: 86_400 },
  { name: 'hour', seconds: 3600 },
  { name: 'minute', seconds: 60 },
] as const;

/** `1 day`, `36 hours`, `90 s`: the largest unit that says it exactly. */
export function duration(seconds: number): string {
  const unit = UNITS.find((known) => seconds >= known.seconds && seconds % known.seconds === 0);
  if (unit === undefined) return `${seconds} s`;
  const count = seconds / unit.seconds;
  return `${count} ${unit.name}${count === 1 ? '' : 's'}`;
}

const MINUTE_S = 60;
const HOUR_S = 3600;
const DAY_S = 86_400;

/** Of what is still to come, in two units, rounded up: nobody should come too early. */
export function remaining(seconds: number): string {
  if (seconds < 2 * MINUTE_S) return `${seconds} s`;
  const minutes = Math.ceil(seconds / MINUTE_S);
  if (seconds < HOUR_S) return `${minutes} min`;
  if (seconds < 2 * DAY_S) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const hours = Math.ceil(seconds / HOUR_S);
  return `${Math.floor(hours / 24)} days ${hours % 24} h`;
}

/** Several under each other: as many digits behind the point in all of them. */
export function tonColumn(amounts: readonly bigint[]): (nanoton: bigint) => string {
  const decimals = Math.max(
    ...amounts.map(
      (value) =>
        value.toString().padStart(DECIMALS, '0').slice(-DECIMALS).replace(/0+$/, '').length,
    ),
  );
  return (nanoton) => {
    const digits = nanoton.toString().padStart(DECIMALS + 1, '0');
    const fraction = digits.slice(-DECIMALS).slice(0, decimals);
    return `${digits.slice(0, -DECIMALS)}${decimals === 0 ? '' : '.'}${fraction} TON`;
  };
}

const DECIMALS = 9;

export function instant(seconds: number): string {
  return formatInstant(seconds * MS_PER_S)
    .replace('T', ' ')
    .replace('Z', ' UTC');
}

export type Row = readonly [name: string, value: string, note?: string];

/** Names in one column. A note stands behind its value where both fit, and under it where they do not. */
export function rowLines(rows: readonly Row[], columns: number): readonly string[] {
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.flatMap(([name, value, note]) => {
    const line = `${name.padEnd(width)}${value}`;
    if (note === undefined) return [line];
    if (line.length + 2 + note.length <= columns) return [`${line}  ${paint('dim', note)}`];
    return [
      line,
      ...wrapped(note, columns - width).map((part) => ' '.repeat(width) + paint('dim', part)),
    ];
  });
}

/** Words, broken at blanks. A word longer than the line stands alone. */
export function wrapped(text: string, columns: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > columns) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
