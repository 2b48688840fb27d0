/**
 * Entries as rows for people: when, which, what, and its members in one order. Nothing in a log is trusted to be of
 * ours: what is not known is shown all the same, and nothing in it moves a cursor.
 * @module
 */

import type { ChainedLine } from '../../core/node/chained-line.ts';
import { canonicalJson, type Json, type JsonObject } from '../../core/json.ts';
import { paint, type Colour } from '../../core/node/terminal.ts';
import { AUDIT_ENTRY } from '../../gateway/audit-entries.ts';
import { printable, wrapped, type Page } from '../attest/text.ts';

export interface RowStyle {
  readonly page: Page;
  /** Digests and ids in a terminal. */
  readonly ids: 'short' | 'whole';
}

const SECONDS_CHARS = 19;
const SEQ_COLUMN = 7;
const KIND_COLUMN = 26;
const TIME_COLUMN = SECONDS_CHARS + 3;
const PREFIX = TIME_COLUMN + SEQ_COLUMN + KIND_COLUMN;
const SHORT_CHARS = 12;
const UNBROKEN = '\u00a0';

/** The members of each kind as the table has them; canonical JSON sorts them by name. */
const ORDER: ReadonlyMap<string, readonly string[]> = new Map(
  AUDIT_ENTRY.options.flatMap(({ shape }) =>
    [...shape.kind.values].map((kind): [string, readonly string[]] => [kind, Object.keys(shape)]),
  ),
);

const COLOURS: readonly (readonly [kind: RegExp, colour: Colour])[] = [
  [/^publication\.equivocation$/, 'red'],
  [/^(log\.|publication\.refused|worker\.denied)/, 'yellow'],
  [/^worker\.admitted$/, 'green'],
  [/\.accepted$/, 'blue'],
];

const LABELS: Readonly<Record<string, string>> = { workerId: 'worker' };

export function rowsOf(line: ChainedLine, { page, ids }: RowStyle): readonly string[] {
  const kind = kindOf(line.entry);
  const facts = membersOf(line.entry, kind).flatMap(([name, value]) => factOf(name, value, ids));
  const time = `${line.time.slice(0, SECONDS_CHARS)}Z`.padEnd(TIME_COLUMN);
  const seq = `${String(line.seq).padStart(SEQ_COLUMN - 2)}  `;
  const name = printable(kind).padEnd(KIND_COLUMN - 1);
  const columns = page.rows === 'whole' ? Number.MAX_SAFE_INTEGER : page.columns;
  // A label stays with its value: lines break at the spaces between facts only.
  const text = facts.map((fact) => fact.replaceAll(' ', UNBROKEN)).join('  ');
  const [first = '', ...rest] = wrapped(text, columns, {
    first: ' '.repeat(PREFIX),
    rest: ' '.repeat(TIME_COLUMN + SEQ_COLUMN),
  }).map((row) => row.replaceAll(UNBROKEN, ' ').trimEnd());
  const colour = COLOURS.find(([pattern]) => pattern.test(kind))?.[1];
  const painted = colour === undefined ? name : paint(colour, name);
  return [`${time}${seq}${painted} ${first.slice(PREFIX)}`.trimEnd(), ...rest];
}

export function kindOf(entry: JsonObject): string {
  const { kind } = entry;
  return typeof kind === 'string' ? kind : '(no kind)';
}

function membersOf(entry: JsonObject, kind: string): readonly (readonly [string, Json])[] {
  const order = ORDER.get(kind) ?? [];
  const rank = (name: string): number => {
    const at = order.indexOf(name);
    return at === -1 ? order.length : at;
  };
  return Object.entries(entry)
    .filter(([name]) => name !== 'kind')
    .toSorted(([a], [b]) => rank(a) - rank(b));
}

function factOf(name: string, value: Json, ids: RowStyle['ids']): readonly string[] {
  if (value === false || (name === 'addedMore' && value === 0)) return [];
  const label = printable(LABELS[name] ?? name);
  if (value === true) return [label.toUpperCase()];
  if (!Array.isArray(value)) return [`${label} ${textOf(value, ids)}`];
  const items = value.map((item: Json) => textOf(item, ids));
  return items.length === 0 ? [] : [`${label} ${items.join(', ')}`];
}

/** Of an object such as `{kind, value}`, its values. */
function textOf(value: Json, ids: RowStyle['ids']): string {
  if (typeof value === 'string') return shortened(value, ids);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return printable(canonicalJson(value));
  }
  return Object.values(value)
    .map((member: Json) => textOf(member, ids))
    .join(' ');
}

function shortened(text: string, ids: RowStyle['ids']): string {
  const match = ids === 'short' ? /^(sha256:|gw1\.)?([0-9A-Za-z_-]{32,})$/.exec(text) : null;
  if (match === null) return printable(text);
  return `${match[1] ?? ''}${match[2]?.slice(0, SHORT_CHARS)}…`;
}
