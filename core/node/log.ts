/**
 * Structured logs that cannot carry content: every event and every field of it stands in a table, and a field takes
 * only ids, numbers, codes and flags. Spec: STYLE §7; openai-gateway-and-engine §7.
 * @module
 */

import { pino } from 'pino';
import { toHex } from '../bytes.ts';
import { VeilError } from '../errors.ts';

/** What a field may hold. There is no kind for free text. */
interface FieldValues {
  /** An id of ours, a host name, a model id: printable, no white space, at most 200 characters. */
  readonly id: string;
  /** An error code of ours, or undefined when the failure was not ours. */
  readonly code: string | undefined;
  readonly count: number;
  readonly amount: bigint;
  readonly flag: boolean;
  readonly digest: Uint8Array;
}
export type FieldKind = keyof FieldValues;

export type Level = 'debug' | 'info' | 'warn' | 'error';
export const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

export interface EventSpec {
  readonly level: Level;
  readonly fields: Readonly<Record<string, FieldKind>>;
}
export type EventTable = Readonly<Record<string, EventSpec>>;

export type EventFields<Spec extends EventSpec> = {
  readonly [Name in keyof Spec['fields']]: FieldValues[Spec['fields'][Name]];
};

/** An unknown event or field does not compile. */
export interface Log<Table extends EventTable> {
  event<Name extends keyof Table & string>(name: Name, fields: EventFields<Table[Name]>): void;
}

export interface LogDestination {
  write(line: string): void;
}

export interface LogOptions<Table extends EventTable> {
  readonly events: Table;
  /** Default: standard error, so that a command's own output stays clean. */
  readonly destination?: LogDestination;
  readonly level?: Level;
  /** Which process speaks: 'gateway', 'worker'. */
  readonly part: string;
}

/** Declares an area's events; keeps the literal types. */
export function defineEvents<const Table extends EventTable>(table: Table): Table {
  return table;
}

const ID_PATTERN = /^[\x21-\x7e]{0,200}$/;
const UNPRINTABLE = '(unprintable)';

type FieldText = string | number | boolean | undefined;

function idText(value: unknown): FieldText {
  if (value === undefined) return undefined;
  return typeof value === 'string' && ID_PATTERN.test(value) ? value : UNPRINTABLE;
}

/** The run-time half of the types: whatever does not fit its kind is replaced, never written. */
const FIELD_TEXT: Readonly<Record<FieldKind, (value: unknown) => FieldText>> = {
  id: idText,
  code: idText,
  count: (value) => (typeof value === 'number' ? value : UNPRINTABLE),
  amount: (value) => (typeof value === 'bigint' ? value.toString() : UNPRINTABLE),
  flag: (value) => (typeof value === 'boolean' ? value : UNPRINTABLE),
  digest: (value) => (value instanceof Uint8Array ? toHex(value) : UNPRINTABLE),
};

export function createLog<const Table extends EventTable>(options: LogOptions<Table>): Log<Table> {
  const { events, destination = process.stderr, level = 'info', part } = options;
  const logger = pino(
    { level, base: { part }, timestamp: pino.stdTimeFunctions.isoTime },
    { write: (line) => void destination.write(line) },
  );
  return {
    event(name, fields) {
      const spec: EventSpec | undefined = events[name];
      if (spec === undefined) return;
      const given: Readonly<Record<string, unknown>> = fields;
      const out: Record<string, FieldText> = { event: name };
      // The table is walked, not the argument: a field that is not in it has no way out.
      for (const [field, kind] of Object.entries(spec.fields)) {
        out[field] = FIELD_TEXT[kind](given[field]);
      }
      logger[spec.level](out);
    },
  };
}

/** What may be said about any failure: our code, or nothing. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof VeilError ? error.code : undefined;
}
