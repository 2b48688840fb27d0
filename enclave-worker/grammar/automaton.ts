/**
 * The deterministic automaton of an expression. The sampler follows every path of a grammar that the text so far leaves
 * open; through a deterministic automaton there is one, whatever pattern a stranger sent.
 * @module
 */

import {
  ALL_CHARS,
  intersection,
  ONE_UNIT_CHARS,
  union,
  type CharSet,
  type Range,
} from './char-set.ts';
import { frontOf, type Expression, type Regular } from './regular.ts';

export interface Move {
  readonly on: CharSet;
  readonly to: number;
}

export interface State {
  readonly accepts: boolean;
  readonly moves: readonly Move[];
}

/** State 0 is the first. From every state an accepting one can be reached; no states: no text at all. */
export type Automaton = readonly State[];

/** `onStep` is called with the cost of each step and may throw to end it. */
export function automatonOf(
  regular: Regular,
  start: Expression,
  onStep: (steps: number, states: number) => void,
): Automaton {
  const numbers = new Map([[start, 0]]);
  const todo = [start];
  const states: State[] = [];
  for (let at = 0; at < todo.length; at++) {
    const expression = todo[at] ?? start;
    const moves = movesOf(regular, expression, (steps) => onStep(steps, todo.length));
    const numbered = moves.map(({ on, to }) => {
      const known = numbers.get(to);
      if (known !== undefined) return { on, to: known };
      numbers.set(to, todo.length);
      todo.push(to);
      return { on, to: todo.length - 1 };
    });
    states.push({ accepts: expression.nullable, moves: numbered });
  }
  return withoutDeadEnds(states);
}

/**
 * The texts of an automaton that have between `min` and `max` characters. With an upper bound each is one UTF-16 unit,
 * because some libraries count those.
 */
export function withLength(
  automaton: Automaton,
  { min, max }: { readonly min: number; readonly max: number },
  onStep: (steps: number, states: number) => void,
): Automaton {
  // Without an upper bound, what is long enough need not be counted on.
  const counted = max === Infinity ? min : max;
  const source = max === Infinity ? automaton : automaton.map(countable);
  const numbers = new Map<string, number>();
  const todo: { readonly state: State; readonly count: number }[] = [];
  const numberOf = (index: number, count: number): number => {
    const key = `${index},${count}`;
    const known = numbers.get(key);
    if (known !== undefined) return known;
    numbers.set(key, todo.length);
    todo.push({ state: source[index] ?? NO_STATE, count });
    return todo.length - 1;
  };
  if (source.length > 0) numberOf(0, 0);
  const states: State[] = [];
  for (let at = 0; at < todo.length; at++) {
    const { state, count } = todo[at] ?? { state: NO_STATE, count: 0 };
    onStep(1 + state.moves.length, todo.length);
    const open = count < max ? state.moves : [];
    const moves = open.map(({ on, to }) => ({
      on,
      to: numberOf(to, Math.min(count + 1, counted)),
    }));
    states.push({ accepts: state.accepts && count >= min, moves });
  }
  return withoutDeadEnds(states);
}

function countable({ accepts, moves }: State): State {
  return {
    accepts,
    moves: moves.flatMap(({ on, to }) => {
      const counts = intersection(on, ONE_UNIT_CHARS);
      return counts.length === 0 ? [] : [{ on: counts, to }];
    }),
  };
}

const NO_STATE: State = { accepts: false, moves: [] };

interface OpenMove {
  readonly on: CharSet;
  readonly to: Expression;
}

/** Between two borders of the sets that decide, all characters lead to the same place. */
function movesOf(
  regular: Regular,
  expression: Expression,
  onStep: (steps: number) => void,
): readonly OpenMove[] {
  const borders = new Set([0]);
  const { sets, size } = frontOf(expression);
  for (const set of sets) {
    for (const [first, last] of set) borders.add(first).add(last + 1);
  }
  const sorted = [...borders].sort((a, b) => a - b);
  onStep(sorted.length * size);
  const targets = new Map<Expression, Range[]>();
  sorted.forEach((first, index) => {
    const range: Range = [first, (sorted[index + 1] ?? 0x110000) - 1];
    const [within] = intersection([range], ALL_CHARS);
    if (within === undefined) return;
    const to = regular.derivative(expression, within[0]);
    if (to === regular.none) return;
    const ranges = targets.get(to) ?? [];
    targets.set(to, ranges);
    ranges.push(range);
  });
  return [...targets].map(([to, ranges]) => ({ on: intersection(union(ranges), ALL_CHARS), to }));
}

/** Intersections and complements leave states that lead nowhere; a model must never be led into one. */
function withoutDeadEnds(states: readonly State[]): Automaton {
  const before: number[][] = states.map(() => []);
  states.forEach(({ moves }, from) => moves.forEach(({ to }) => before[to]?.push(from)));
  const live = new Set(states.flatMap(({ accepts }, index) => (accepts ? [index] : [])));
  for (const state of live) for (const from of before[state] ?? []) live.add(from);
  if (!live.has(0)) return [];
  const kept = [...live].sort((a, b) => a - b);
  const renumbered = new Map(kept.map((old, index) => [old, index]));
  return kept.map((old) => {
    const { accepts, moves } = states[old] ?? { accepts: false, moves: [] };
    return {
      accepts,
      moves: moves.flatMap(({ on, to }) => {
        const target = renumbered.get(to);
        return target === undefined ? [] : [{ on, to: target }];
      }),
    };
  });
}
