/**
 * Two values of one member compared by what they admit. `narrows` and `neutral` are promises: no evidence passes the new
 * value that failed the old one. Whatever is not proven here is `unsure`, and counts as wider.
 * @module
 */

import { toHex } from '../../../core/bytes.ts';
import { formatInstant } from '../../../core/clock.ts';
import type { PolicyPath } from '../yaml.ts';

export type Effect = 'widens' | 'narrows' | 'neutral' | 'unsure';

export interface Change {
  readonly mark: '+' | '-' | '~';
  readonly effect: Effect;
  /** `rule tdx-cpu`. */
  readonly what: string;
  /** `cpu.tcb_eval_number: floor lowered from 20 to 19`. */
  readonly text: string;
  readonly was?: string;
  readonly now?: string;
}

/** One thing that both policies have, and where its members stand in each. */
export interface Pair {
  readonly what: string;
  readonly was: (...path: PolicyPath) => string;
  readonly now: (...path: PolicyPath) => string;
}

export interface Member {
  readonly pair: Pair;
  /** Inside the thing. */
  readonly path: PolicyPath;
}

export type Changes = readonly Change[];
export const NOTHING: Changes = [];

export function inside({ pair, path }: Member, ...more: PolicyPath): Member {
  return { pair, path: [...path, ...more] };
}

export function changed({ pair, path }: Member, effect: Effect, text: string): Change {
  return {
    mark: '~',
    effect,
    what: pair.what,
    text: `${path.map(String).join('.')}: ${text}`,
    was: pair.was(...path),
    now: pair.now(...path),
  };
}

const SHORT_CHARS = 16;

/** As a person recognises it; digests by their beginning. */
export function shortText(value: unknown): string {
  if (value instanceof Uint8Array) {
    const hex = toHex(value);
    return hex.length > 2 * SHORT_CHARS ? `${hex.slice(0, SHORT_CHARS)}…` : hex;
  }
  if (typeof value === 'bigint') return `0x${value.toString(16).padStart(16, '0')}`;
  if (Array.isArray(value)) return `[${value.map(shortText).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  return `{${Object.entries(value)
    .map(([name, each]) => `${name}: ${shortText(each)}`)
    .join(', ')}}`;
}

/** Equal values have one. */
export function keyOf(value: unknown): string {
  if (value instanceof Uint8Array) return toHex(value);
  if (typeof value === 'bigint') return `0x${value.toString(16)}`;
  if (Array.isArray(value)) return `[${value.map(keyOf).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, each]) => `${name}:${keyOf(each)}`).join()}}`;
}

/** Lists that grant: each entry admits, order and repetition mean nothing. */
export function listChanges(
  member: Member,
  was: readonly unknown[],
  now: readonly unknown[],
): Changes {
  const [before, after] = [was, now].map((list) => new Map(list.map((one) => [keyOf(one), one])));
  const added = [...(after ?? [])].filter(([key]) => before?.has(key) !== true);
  const removed = [...(before ?? [])].filter(([key]) => after?.has(key) !== true);
  const emptied = now.length === 0 && was.length > 0 ? ': the list is empty now' : '';
  return [
    ...added.map(([, one]) => ({
      ...changed(member, 'widens', `${shortText(one)} added`),
      mark: '+' as const,
    })),
    ...removed.map(([, one]) => ({
      ...changed(member, 'narrows', `${shortText(one)} removed${emptied}`),
      mark: '-' as const,
    })),
  ];
}

/** The least that is admitted. `order` is negative when `a` is below `b`. */
export function floorChanges<Value>(
  member: Member,
  [was, now]: readonly [was: Value, now: Value],
  order: (a: Value, b: Value) => number,
): Changes {
  const direction = order(now, was);
  if (direction === 0) return NOTHING;
  const word = direction > 0 ? 'raised' : 'lowered';
  const text = `floor ${word} from ${shortText(was)} to ${shortText(now)}`;
  return [changed(member, direction > 0 ? 'narrows' : 'widens', text)];
}

export function byNumber(a: number, b: number): number {
  return a - b;
}

/** Days as text compare like days. */
export function byText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** The longer, the more is admitted. */
export function longerChanges(
  member: Member,
  was: number,
  now: number,
  text: (value: number) => string,
): Changes {
  if (was === now) return NOTHING;
  const [effect, word] =
    now > was ? (['widens', 'longer'] as const) : (['narrows', 'shorter'] as const);
  return [changed(member, effect, `${word}, from ${text(was)} to ${text(now)}`)];
}

export function expiryChanges(member: Member, was: number, now: number): Changes {
  if (was === now) return NOTHING;
  const [effect, word] =
    now > was ? (['widens', 'later'] as const) : (['narrows', 'earlier'] as const);
  const text = `${word}, from ${formatInstant(was)} to ${formatInstant(now)}`;
  return [changed(member, effect, text)];
}

export function secondsText(ms: number): string {
  return `${ms / 1000} s`;
}

/** `any` admits everything; two other words exclude each other. */
export function bitChanges(member: Member, was: string, now: string): Changes {
  if (was === now) return NOTHING;
  if (now === 'any') return [changed(member, 'widens', `no longer checked (was ${was})`)];
  if (was === 'any') return [changed(member, 'narrows', `${now}: checked now`)];
  return [changed(member, 'unsure', `from ${was} to ${now}`)];
}

interface Waiver {
  readonly any: true;
  readonly note: string;
}

type Demand<Value> = Exclude<Value, Waiver>;

/** `{any: true, note}` or a demand, which `compare` knows how to compare. */
export function waivableChanges<Value extends object>(
  member: Member,
  [was, now]: readonly [was: Value, now: Value],
  compare: (was: Demand<Value>, now: Demand<Value>) => Changes,
): Changes {
  if (isDemand(was)) {
    if (isDemand(now)) return compare(was, now);
    return [changed(member, 'widens', `no longer checked: ${noteOf(now)}`)];
  }
  if (isDemand(now)) return [changed(member, 'narrows', `checked now: ${shortText(now)}`)];
  if (noteOf(was) === noteOf(now)) return NOTHING;
  return [changed(member, 'neutral', `still not checked, another reason: ${noteOf(now)}`)];
}

function isDemand<Value extends object>(value: Value): value is Demand<Value> {
  return !('any' in value);
}

function noteOf(value: object): string {
  return 'note' in value ? String(value.note) : '';
}

/** What decides nothing. */
export function noteChanges(member: Member, was: unknown, now: unknown): Changes {
  if (keyOf(was) === keyOf(now)) return NOTHING;
  return [changed(member, 'neutral', `now ${shortText(now)}`)];
}

/** What nothing is known about but that it differs. */
export function otherChanges(member: Member, was: unknown, now: unknown): Changes {
  if (keyOf(was) === keyOf(now)) return NOTHING;
  return [changed(member, 'unsure', `from ${shortText(was)} to ${shortText(now)}`)];
}

/** Bits that must be set, or that must not: the more, the narrower. */
export function maskChanges(member: Member, was: bigint, now: bigint): Changes {
  if (was === now) return NOTHING;
  const values = `from ${shortText(was)} to ${shortText(now)}`;
  if ((was & now) === was) return [changed(member, 'narrows', `more bits, ${values}`)];
  if ((was & now) === now) return [changed(member, 'widens', `fewer bits, ${values}`)];
  return [changed(member, 'unsure', `other bits, ${values}`)];
}
