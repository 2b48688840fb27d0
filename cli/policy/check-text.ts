/**
 * One check of a verdict on one line where there is room, else in a small block: what was wanted, what came, and where the
 * policy says so.
 * @module
 */

import type { Check } from '../../attestation/verdict.ts';
import { paint, type Colour } from '../../core/node/terminal.ts';
import { labelled, printable, type Page } from '../attest/text.ts';

const LONG_HEX = /[0-9a-f]{40,}/g;
const HEX_SHOWN_CHARS = 16;

/** Digests by their beginning: they stand in full where they are to be copied. */
export function short(text: string): string {
  return text.replaceAll(LONG_HEX, (hex) => `${hex.slice(0, HEX_SHOWN_CHARS)}…`);
}

/** Two that differ must not look the same. */
function shortPair(want: string, got: string): readonly [want: string, got: string] {
  const pair = [short(want), short(got)] as const;
  return pair[0] === pair[1] ? [want, got] : pair;
}

const COLOURS = {
  fail: 'red',
  waived: 'dim',
  pass: 'green',
  skipped: 'dim',
} as const satisfies Record<Check['outcome'], Colour>;
const WORD_COLUMNS = 9;
const ID_COLUMNS = 30;

export function checkLines(check: Check, page: Page): readonly string[] {
  const word = ` ${paint(COLOURS[check.outcome], check.outcome)}`;
  const pad = ' '.repeat(Math.max(1, WORD_COLUMNS - 1 - check.outcome.length));
  const id = printable(check.id);
  if (check.outcome === 'fail') {
    const [want, got] = shortPair(printable(check.want), printable(check.got));
    const at = check.at === undefined ? '' : `   ${printable(check.at)}`;
    const whole = `${id.padEnd(ID_COLUMNS)} want ${want}   got ${got}${at}`;
    if (page.rows === 'whole' || whole.length + WORD_COLUMNS <= page.columns) {
      return [`${word}${pad}${whole}`];
    }
    return [
      `${word}${pad}${id.padEnd(ID_COLUMNS)}${at}`.trimEnd(),
      ...labelled('           want  ', want, page, 17),
      ...labelled('           got   ', got, page, 17),
    ];
  }
  if (check.outcome === 'waived') {
    const text = `${id.padEnd(ID_COLUMNS)} ${check.note}   ${check.by}`;
    return block(`${word}${pad}`, printable(text), page);
  }
  if (check.outcome === 'skipped') {
    return block(
      `${word}${pad}`,
      printable(`${id.padEnd(ID_COLUMNS)} because of ${check.because}`),
      page,
    );
  }
  return [`${word}${pad}${id.padEnd(ID_COLUMNS)} ${printable(check.at ?? '')}`.trimEnd()];
}

function block(label: string, text: string, page: Page): readonly string[] {
  if (page.rows === 'whole' || text.length + WORD_COLUMNS <= page.columns) return [label + text];
  const [first = '', ...rest] = labelled(
    '',
    text,
    { ...page, columns: page.columns - WORD_COLUMNS },
    2,
  );
  return [label + first, ...rest.map((line) => `${' '.repeat(WORD_COLUMNS)}${line}`)];
}

/** One line for each cause: a broken quote skips dozens. */
export function skippedLines(checks: readonly Check[], page: Page): readonly string[] {
  const skipped = checks.filter((check) => check.outcome === 'skipped');
  return [...Map.groupBy(skipped, ({ because }) => because)].flatMap(([because, group]) =>
    labelled(
      ' skipped ',
      `because of ${because}: ${group.map(({ id }) => id).join(' ')}`,
      page,
      WORD_COLUMNS,
    ),
  );
}
