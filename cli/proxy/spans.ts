/**
 * Lines for a screen of known width, as coloured pieces. Only printable ASCII and our own few signs get into one, so that one
 * character is one column whatever a model or a gateway calls itself.
 * @module
 */

import { paint, type Colour } from '../../core/node/terminal.ts';

export interface Span {
  readonly text: string;
  readonly colour?: Colour | undefined;
}
export type Line = readonly Span[];

/** One column each, in every font that terminals use. */
const SIGNS = '✔✘…·→—’';
const NARROW = new RegExp(`[^\\x20-\\x7e${SIGNS}]`, 'gu');

export function span(text: string, colour?: Colour): Span {
  return { text: text.replaceAll(NARROW, '?'), colour };
}

export function fitted(text: string, columns: number): string {
  if (text.length <= columns) return text.padEnd(columns);
  return `${text.slice(0, Math.max(0, columns - 1))}…`;
}

/** What does not fit is cut, and the cut is shown. */
export function clipped(line: Line, columns: number): Line {
  if (line.reduce((sum, { text }) => sum + text.length, 0) <= columns) return line;
  const out: Span[] = [];
  let left = columns - 1;
  for (const { text, colour } of line) {
    if (text.length > left) {
      out.push({ text: `${text.slice(0, left)}…`, colour });
      break;
    }
    out.push({ text, colour });
    left -= text.length;
  }
  return out;
}

export function painted(line: Line): string {
  return line
    .map(({ text, colour }) => (colour === undefined ? text : paint(colour, text)))
    .join('');
}

export function plain(line: Line): string {
  return line.map(({ text }) => text).join('');
}

/** Words, over as many lines as they need, the later ones indented. */
export function folded(text: string, columns: number, indent: string): readonly string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(' ')) {
    const isFirst = line === indent;
    if (!isFirst && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = indent + word;
    } else line += isFirst ? word : ` ${word}`;
  }
  return [...lines, line];
}
