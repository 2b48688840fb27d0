/**
 * Strings with bounds on their length, a pattern, a format, or all of them. Length counts characters, as JSON Schema
 * does, not UTF-16 units. Spec: JSON Schema 2020-12 validation §6.3, §7.3.
 * @module
 */

import { automatonOf, withLength, type Automaton } from './automaton.ts';
import { automatonRules, spellInString, spellPlain } from './automaton-rules.ts';
import { charRule, countedCharRule, integerRule, numberRule, stringRule } from './free-json.ts';
import { LENGTH_BLOCK, PATTERN_STATES_MAX, REPEAT_MAX } from './limits.ts';
import type { NumberBounds, StringBounds } from './nodes.ts';
import { incomparableBound, numbersBetween } from './numbers.ts';
import { parsePattern } from './pattern.ts';
import { refuse, type Path } from './refusal.ts';
import { Regular, type Expression } from './regular.ts';
import { literal, type Rules } from './rules.ts';
import type { Work } from './work.ts';

/** The rules of strings and numbers; what was asked for before is not made again. */
export class Scalars {
  readonly #rules: Rules;
  readonly #work: Work;
  readonly #known = new Map<string, string>();

  constructor(rules: Rules, work: Work) {
    this.#rules = rules;
    this.#work = work;
  }

  /** Throws `grammar.unsupported`, `grammar.unsatisfiable`, `grammar.limit`. */
  string(bounds: StringBounds, path: Path): string {
    const { min, max, patterns } = bounds;
    return this.#once(`s${JSON.stringify([min, String(max), patterns])}`, () => {
      if (patterns.length > 0) return this.#patterned(bounds, path);
      if (min === 0 && max === Infinity) return stringRule(this.#rules, path);
      return this.#counted(min, max, path);
    });
  }

  number(bounds: NumberBounds, path: Path): string {
    const rules = this.#rules;
    const { whole, low, high } = bounds;
    const keyword = high?.keyword ?? low?.keyword;
    if (keyword === undefined) return whole ? integerRule(rules, path) : numberRule(rules, path);
    const incomparable = incomparableBound(bounds);
    if (incomparable !== undefined) {
      throw refuse('grammar.unsupported', path, incomparable.keyword);
    }
    return this.#once(`n${JSON.stringify([whole, low, high])}`, () => {
      const automaton = this.#automaton({ path, keyword }, (regular) =>
        numbersBetween(regular, bounds),
      );
      const first = automatonRules(rules, automaton, { path, spell: spellPlain, end: '""' });
      return rules.add({ body: first, needs: [[first]], refs: [first], openPaths: 1, path });
    });
  }

  #once(key: string, make: () => string): string {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.#known.set(key, made);
    return made;
  }

  #patterned({ min, max, patterns }: StringBounds, path: Path): string {
    const rules = this.#rules;
    const automaton = this.#automaton({ path, keyword: 'pattern' }, (regular) => {
      const parts = patterns.map((pattern) => parsePattern(regular, pattern));
      const read = parts.filter((part) => part !== undefined);
      if (read.length < parts.length) return undefined;
      return regular.and(read);
    });
    const sized = this.#sized(automaton, { min, max }, path);
    const end = literal('"');
    const first = automatonRules(rules, sized, { path, spell: spellInString, end });
    return rules.add({
      body: `${literal('"')} ${first}`,
      needs: [[first]],
      refs: [first],
      openPaths: 1,
      path,
    });
  }

  #sized(
    automaton: Automaton,
    { min, max }: { readonly min: number; readonly max: number },
    path: Path,
  ): Automaton {
    if (min === 0 && max === Infinity) return automaton;
    const keyword = max === Infinity ? 'minLength' : 'maxLength';
    const sized = withLength(automaton, { min, max }, (steps, states) => {
      if (states > PATTERN_STATES_MAX) throw refuse('grammar.limit', path, keyword);
      this.#work.spend(steps, path, keyword);
    });
    if (sized.length === 0) throw refuse('grammar.unsatisfiable', path, keyword);
    return sized;
  }

  #automaton(
    { path, keyword }: { path: Path; keyword: string },
    make: (regular: Regular) => Expression | undefined,
  ): Automaton {
    const regular = new Regular((steps) => this.#work.spend(steps, path, keyword));
    const expression = make(regular);
    if (expression === undefined) throw refuse('grammar.unsupported', path, keyword);
    const automaton = automatonOf(regular, expression, (steps, states) => {
      if (states > PATTERN_STATES_MAX) throw refuse('grammar.limit', path, keyword);
      this.#work.spend(steps, path, keyword);
    });
    if (automaton.length === 0) throw refuse('grammar.unsatisfiable', path, keyword);
    return automaton;
  }

  /** Two paths at most: this block ends within, or it is full and more may follow. */
  #counted(min: number, max: number, path: Path): string {
    const rules = this.#rules;
    const char = max === Infinity ? charRule(rules, path) : countedCharRule(rules, path);
    const keyword = max === Infinity ? 'minLength' : 'maxLength';
    const times = (low: number, high: number): string => {
      rules.count(char, low, high, path, keyword);
      if (high === Infinity) return low === 0 ? `${char}*` : `${char}{${low},}`;
      return `${char}{${low},${high}}`;
    };
    /** Between `low` and `high` characters, then the closing quote. */
    const rest = (low: number, high: number): string => {
      const size = high === Infinity ? low : high;
      const body =
        size <= REPEAT_MAX
          ? `${times(low, high)} ${literal('"')}`
          : block(low, high, { times, rest });
      return rules.flat(body, path, [char]);
    };
    const inner = rest(min, max);
    return rules.flat(`${literal('"')} ${inner}`, path, [inner]);
  }
}

interface Spelling {
  readonly times: (low: number, high: number) => string;
  readonly rest: (low: number, high: number) => string;
}

function block(low: number, high: number, { times, rest }: Spelling): string {
  const more = rest(Math.max(0, low - LENGTH_BLOCK), high - LENGTH_BLOCK);
  const full = `${times(LENGTH_BLOCK, LENGTH_BLOCK)} ${more}`;
  if (low >= LENGTH_BLOCK) return full;
  return `${times(low, LENGTH_BLOCK - 1)} ${literal('"')} | ${full}`;
}
