/** Automata as rules: of plain text, and of the text between the quotes of a JSON string. @module */

import type { Automaton } from './automaton.ts';
import {
  charSet,
  charsOf,
  complement,
  has,
  intersection,
  union,
  type CharSet,
} from './char-set.ts';
import type { Path } from './refusal.ts';
import { literal, oneOf, type Rules } from './rules.ts';

const CONTROLS = charSet([0, 0x1f]);
const ESCAPED = union(CONTROLS, charsOf('"\\'));
/** Characters that stand in a JSON string as they are. */
export const RAW = complement(ESCAPED);

const SHORT: Readonly<Record<number, string>> = {
  0x08: 'b',
  0x09: 't',
  0x0a: 'n',
  0x0c: 'f',
  0x0d: 'r',
  0x22: '"',
  0x5c: '\\',
};
const SHORT_CODES = Object.keys(SHORT).map(Number);

/** The first rule of the automaton; each text ends with `end`. The automaton has at least one state. */
export function automatonRules(
  rules: Rules,
  automaton: Automaton,
  { path, spell, end }: { path: Path; spell: (set: CharSet) => readonly string[]; end: string },
): string {
  const names = automaton.map(() => rules.reserve(path));
  const spelled = new Map<CharSet, readonly string[]>();
  const spellingsOf = (set: CharSet): readonly string[] => {
    const known = spelled.get(set) ?? spell(set);
    spelled.set(set, known);
    return known;
  };
  automaton.forEach(({ accepts, moves }, index) => {
    const bodies = moves.flatMap(({ on, to }) =>
      spellingsOf(on).map((chars) => `${chars} ${names[to] ?? ''}`),
    );
    const refs = moves.map(({ to }) => names[to] ?? '');
    const body = oneOf(accepts ? [...bodies, end] : bodies);
    const needs = accepts ? [[]] : refs.map((ref) => [ref]);
    rules.define(names[index] ?? '', { body, needs, refs, openPaths: 1, path });
  });
  return names[0] ?? '';
}

/** Of text that has nothing to escape, such as numbers. */
export function spellPlain(set: CharSet): readonly string[] {
  return [charClass(set)];
}

/** Of text in a JSON string: each character has one spelling. */
export function spellInString(set: CharSet): readonly string[] {
  const out: string[] = [];
  const raw = intersection(set, RAW);
  if (raw.length > 0) out.push(charClass(raw));
  const short = SHORT_CODES.filter((code) => has(set, code)).map((code) => SHORT[code] ?? '');
  if (short.length > 0) out.push(`${literal('\\')} ${charClass(charsOf(short.join('')))}`);
  const long = controlsWithoutShort(set);
  if (long.length > 0) out.push(`${literal('\\u00')} (${oneOf(long.map(literal))})`);
  return out;
}

function controlsWithoutShort(set: CharSet): readonly string[] {
  const codes = Array.from({ length: 0x20 }, (_, code) => code);
  return codes
    .filter((code) => has(set, code) && !Object.hasOwn(SHORT, code))
    .map((code) => code.toString(16).padStart(2, '0'));
}

/** A character class of GBNF, which knows few escapes: everything unusual is written by its number. */
export function charClass(set: CharSet): string {
  const ranges = set.map(([first, last]) =>
    first === last ? classChar(first) : `${classChar(first)}-${classChar(last)}`,
  );
  return `[${ranges.join('')}]`;
}

function classChar(code: number): string {
  const char = String.fromCodePoint(code);
  if (/^[A-Za-z0-9 _.,:;+*/%&#@!?'()<>=~{}|]$/.test(char)) return char;
  const hex = code.toString(16).toUpperCase();
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}
