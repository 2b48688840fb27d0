/** Facts beside their labels, and tables whose last column wraps: for a terminal of 80 columns as well as for grep. @module */

import { labelled, printable, wrappedRow, type Page } from '../attest/text.ts';

const GAP = 2;

/** What somebody will copy into a shell: a line break in it would run half of it. */
const COMMAND_LABEL = 'next';
const INDENT = '  ';
const HANG = 6;

/** Lines that belong together, indented. */
export function indented(lines: readonly string[], page: Page): readonly string[] {
  return lines.flatMap((line) => wrappedRow(`${INDENT}${line}`, page, HANG));
}

/** `[label, text]`, in one column of labels. A row without text is left out. */
export function facts(
  rows: readonly (readonly [label: string, text: string | undefined])[],
  page: Page,
): readonly string[] {
  const width = Math.max(...rows.map(([label]) => label.length)) + GAP;
  return rows.flatMap(([label, text]) =>
    text === undefined ? [] : labelled(label, text, widthFor(label, page), width),
  );
}

/** The last column takes what is left. */
export function table(rows: readonly (readonly string[])[], page: Page): readonly string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length)) - 1;
  const safe = rows.map((row) => row.map(printable));
  const widths = Array.from({ length: columns }, (_, at) =>
    Math.max(...safe.map((row) => (row[at] ?? '').length)),
  );
  return safe.flatMap((row) => {
    const head = widths.map((width, at) => (row[at] ?? '').padEnd(width + GAP)).join('');
    return labelled(head, row[columns] ?? '', whole(page), head.length);
  });
}

function widthFor(label: string, page: Page): Page {
  return label.trim() === COMMAND_LABEL ? { ...page, columns: Infinity } : whole(page);
}

/** In pipes and files a row stays on one line. */
function whole(page: Page): Page {
  return page.rows === 'whole' ? { ...page, columns: Infinity } : page;
}

/** What to do next, as it is typed: never broken. */
export function nextSteps(commands: readonly string[]): readonly string[] {
  if (commands.length === 0) return [];
  return [
    '',
    ...commands.map((command, at) => `${at === 0 ? 'next  ' : '      '}${printable(command)}`),
  ];
}
