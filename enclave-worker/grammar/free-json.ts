/**
 * JSON that no schema describes, and the parts that all grammars share: strings, numbers, records. Nesting is bounded,
 * numbers have so few digits that they are finite and exact, strings hold whole characters only, and there is at most
 * one space at a time. Spec: RFC 8259.
 * @module
 */

import { charClass, RAW } from './automaton-rules.ts';
import { intersection, ONE_UNIT_CHARS, type CharSet } from './char-set.ts';
import { FREE_JSON_DEPTH } from './limits.ts';
import type { Path } from './refusal.ts';
import { literal, oneOf, SPACE, type Rules } from './rules.ts';

const HEX = '[0-9A-Fa-f]';
/** Four digits that are no half of a pair. */
const SINGLE = `([0-9A-Ca-cEeFf] ${HEX}{3} | [Dd] [0-7] ${HEX}{2})`;

/** One character of a JSON string. Halves of surrogate pairs are spelled together or not at all. */
export function charRule(rules: Rules, path: Path): string {
  const pair = `[Dd] [89ABab] ${HEX}{2} ${literal('\\u')} [Dd] [C-Fc-f] ${HEX}{2}`;
  return charBody(rules, path, RAW, `(${SINGLE} | ${pair})`);
}

/** One character that every library counts as one: those of two UTF-16 units count as two for some. */
export function countedCharRule(rules: Rules, path: Path): string {
  return charBody(rules, path, intersection(RAW, ONE_UNIT_CHARS), SINGLE);
}

function charBody(rules: Rules, path: Path, raw: CharSet, hex: string): string {
  const escapes = `(["\\\\/bfnrt] | "u" ${hex})`;
  return rules.flat(oneOf([charClass(raw), `${literal('\\')} ${escapes}`]), path);
}

/** Any string. */
export function stringRule(rules: Rules, path: Path): string {
  const char = charRule(rules, path);
  return rules.flat(`${literal('"')} ${char}* ${literal('"')}`, path, [char]);
}

export function numberRule(rules: Rules, path: Path): string {
  const fraction = '("." [0-9]{1,15})?';
  const exponent = '([Ee] [+-]? [0-9]{1,2})?';
  return rules.flat(`"-"? ("0" | [1-9] [0-9]{0,14}) ${fraction} ${exponent}`, path);
}

export function integerRule(rules: Rules, path: Path): string {
  return rules.flat('"0" | "-"? [1-9] [0-9]{0,14}', path);
}

/** An object with any names. Their repetition cannot be excluded by a grammar; the last one counts, as everywhere. */
export function recordRule(rules: Rules, value: string, path: Path): string {
  return rules.add(recordBody(rules, value, path));
}

export function recordBody(rules: Rules, value: string, path: Path): Parameters<Rules['add']>[0] {
  const name = stringRule(rules, path);
  const member = rules.add({
    body: `${name} ":" ${SPACE} ${value}`,
    needs: [[value]],
    refs: [name, value],
    openPaths: 1,
    path,
  });
  return {
    body: `"{" (${member} ("," ${SPACE} ${member})*)? "}"`,
    needs: [[]],
    refs: [member],
    openPaths: 1,
    path,
  };
}

export function arrayRule(rules: Rules, item: string, path: Path): string {
  return rules.add({
    body: `"[" (${item} ("," ${SPACE} ${item})*)? "]"`,
    needs: [[]],
    refs: [item],
    openPaths: 1,
    path,
  });
}

/** Any JSON value, nested no deeper than `depth`. */
export function valueRule(rules: Rules, path: Path, depth = FREE_JSON_DEPTH): string {
  let value = scalarRule(rules, path);
  const scalar = value;
  for (let level = 0; level < depth; level++) {
    const refs = [scalar, recordRule(rules, value, path), arrayRule(rules, value, path)];
    value = rules.add({ body: oneOf(refs), needs: [[]], refs, openPaths: 1, path });
  }
  return value;
}

/** Any JSON object; `json_object` asks for one. */
export function objectRule(rules: Rules, path: Path): string {
  return recordRule(rules, valueRule(rules, path, FREE_JSON_DEPTH - 1), path);
}

function scalarRule(rules: Rules, path: Path): string {
  const refs = [stringRule(rules, path), numberRule(rules, path)];
  const words = ['true', 'false', 'null'].map(literal);
  return rules.flat(oneOf([...refs, ...words]), path, refs);
}
