/**
 * A QR code in a terminal: two rows of it in a line of text. Dark on light whatever the terminal's colours are, because
 * not every reader sees an inverted one; without colours the dark parts are printed, for paper and files.
 * Spec: ISO/IEC 18004:2015.
 * @module
 */

import { encodeQR } from 'qr';
import { isTerminal } from './terminal.ts';

/** Light modules around it. Spec: ISO/IEC 18004 §5.3.8. */
const QUIET = 4;
/** What a phone still reads from a screen: 85 columns with the quiet zone. */
const VERSION_MAX = 15;
/** Of that version with the least error correction. */
export const QR_TEXT_MAX_BYTES = 520;
/** Upper and lower half of a character: what is painted is dark. */
const HALVES = [' ', '▄', '▀', '█'] as const;
const BLACK_ON_WHITE = '\u001B[30;107m';
const RESET = '\u001B[0m';

/** Lines of equal width, the quiet zone included. Undefined for a text of more than `QR_TEXT_MAX_BYTES`. */
export function qrLines(text: string): readonly string[] | undefined {
  const rows = modulesOf(text);
  if (rows === undefined) return undefined;
  const lines: string[] = [];
  for (let y = 0; y < rows.length; y += 2) {
    const halves = rows[y]?.map(
      (isDark, x) => (isDark ? 2 : 0) + (rows[y + 1]?.[x] === true ? 1 : 0),
    );
    lines.push((halves ?? []).map((half) => HALVES[half] ?? ' ').join(''));
  }
  return lines;
}

/** As a terminal shows it. */
export function painted(lines: readonly string[]): readonly string[] {
  const [on, off] = isTerminal() ? [BLACK_ON_WHITE, RESET] : ['', ''];
  return lines.map((line) => `${on}${line}${off}`);
}

/** True is dark. The better correction where it fits. */
function modulesOf(text: string): readonly (readonly boolean[])[] | undefined {
  if (Buffer.byteLength(text) > QR_TEXT_MAX_BYTES) return undefined;
  for (const ecc of ['medium', 'low'] as const) {
    const rows = encodeQR(text, 'raw', { ecc, border: QUIET, encoding: 'byte' });
    if (rows.length <= 17 + 4 * VERSION_MAX + 2 * QUIET) return rows;
  }
  return undefined;
}
