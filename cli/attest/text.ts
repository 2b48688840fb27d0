/**
 * Text for people under stress: nothing from evidence moves a cursor, long lines wrap under their own beginning, and what
 * somebody will copy is never broken.
 * @module
 */

export interface Page {
  readonly columns: number;
  /** In pipes and files one check stays on one line, for grep. */
  readonly rows: 'wrapped' | 'whole';
}

/**
 * Controls, invisible formatting (bidirectional overrides above all), private and unassigned characters, and marks that
 * pile up on others, escaped. What is left can be looked at.
 */
export function printable(text: string): string {
  return text.replaceAll(
    /[\p{C}\p{Zl}\p{Zp}\p{M}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

export interface Indent {
  readonly first: string;
  readonly rest: string;
}

/** Breaks at spaces only: a digest or an address that is too long for the line stays whole. */
export function wrapped(text: string, columns: number, { first, rest }: Indent): readonly string[] {
  const lines: string[] = [];
  let line = first;
  let isEmpty = true;
  for (const word of text.split(' ')) {
    if (!isEmpty && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = rest;
      isEmpty = true;
    }
    if (isEmpty && word === '') continue;
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return [...lines, line];
}

/** Of text that came with its own indentation. */
export function wrappedRow(row: string, { columns, rows }: Page, hang: number): readonly string[] {
  const safe = printable(row);
  if (rows === 'whole' || safe.length <= columns) return [safe];
  const [indent = ''] = /^ */.exec(safe) ?? [];
  const text = safe.slice(indent.length);
  return wrapped(text, columns, { first: indent, rest: ' '.repeat(hang) });
}

export function paragraph(text: string, { columns }: Page, indent = ''): readonly string[] {
  return wrapped(printable(text), columns, { first: indent, rest: indent });
}

/** A label, and text that wraps beside it. */
export function labelled(
  label: string,
  text: string,
  page: Page,
  width: number,
): readonly string[] {
  const rest = ' '.repeat(width);
  return wrapped(printable(text), page.columns, { first: label.padEnd(width), rest });
}
