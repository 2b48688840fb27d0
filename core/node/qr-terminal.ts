/**
 * A QR code in a terminal: two rows of it in a line of text. Dark on light whatever the terminal's colours are, because
 * not every reader sees an inverted one; without colours the dark parts are printed, for paper and files.
 * @module
 */

import type { QrCode } from '../qr.ts';
import { isTerminal } from './terminal.ts';

/** Light modules around it. Spec: ISO/IEC 18004 §5.3.8. */
const QUIET = 4;
/** Upper and lower half of a character: what is painted is dark. */
const HALVES = [' ', '▄', '▀', '█'] as const;
const BLACK_ON_WHITE = '\u001B[30;107m';
const RESET = '\u001B[0m';

export function qrColumns({ size }: QrCode): number {
  return size + 2 * QUIET;
}

export function qrLines(code: QrCode): readonly string[] {
  const [on, off] = isTerminal() ? [BLACK_ON_WHITE, RESET] : ['', ''];
  const lines: string[] = [];
  for (let y = -QUIET; y < code.size + QUIET; y += 2) {
    let line = '';
    for (let x = -QUIET; x < code.size + QUIET; x++) {
      const half = (code.isDark(x, y) ? 2 : 0) + (code.isDark(x, y + 1) ? 1 : 0);
      line += HALVES[half] ?? ' ';
    }
    lines.push(`${on}${line}${off}`);
  }
  return lines;
}
