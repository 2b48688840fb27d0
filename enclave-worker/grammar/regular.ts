/**
 * Regular expressions with intersection and complement, and their derivatives: the derivative by a character is what
 * may follow it. Equal expressions are one object, so that a state of the automaton is an expression.
 * Spec: Brzozowski 1964; Owens, Reppy, Turon, "Regular-expression derivatives re-examined".
 * @module
 */

import { ALL_CHARS, charSet, codeOf, has, union, type CharSet } from './char-set.ts';

export interface Expression {
  readonly id: number;
  /** Whether the empty text is in it. */
  readonly nullable: boolean;
  readonly form: Form;
}

export type Form =
  | { readonly kind: 'none' }
  | { readonly kind: 'empty' }
  | { readonly kind: 'set'; readonly set: CharSet }
  | { readonly kind: 'concat'; readonly first: Expression; readonly rest: Expression }
  | { readonly kind: 'or'; readonly parts: readonly Expression[] }
  | { readonly kind: 'and'; readonly parts: readonly Expression[] }
  | { readonly kind: 'not'; readonly inner: Expression }
  | {
      readonly kind: 'repeat';
      readonly inner: Expression;
      readonly min: number;
      readonly max: number;
    };

/** What an operation costs; every new expression costs one. May throw to end it. */
export type OnWork = (steps: number) => void;

/** Makes expressions and holds all of them. */
export class Regular {
  readonly #known = new Map<string, Expression>();
  readonly #onWork: OnWork;

  readonly none: Expression;
  readonly empty: Expression;
  readonly any: Expression;
  /** Every text. */
  readonly all: Expression;

  constructor(onWork: OnWork) {
    this.#onWork = onWork;
    this.none = this.#make('0', false, { kind: 'none' });
    this.empty = this.#make('e', true, { kind: 'empty' });
    this.any = this.set(ALL_CHARS);
    this.all = this.repeat(this.any, 0, Infinity);
  }

  #make(key: string, nullable: boolean, form: Form): Expression {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#onWork(1);
    const made: Expression = { id: this.#known.size, nullable, form };
    this.#known.set(key, made);
    return made;
  }

  set(set: CharSet): Expression {
    if (set.length === 0) return this.none;
    return this.#make(`s${set.map((range) => range.join('-')).join(',')}`, false, {
      kind: 'set',
      set,
    });
  }

  text(text: string): Expression {
    return this.sequence(
      Array.from(text, (char) => this.set(charSet([codeOf(char), codeOf(char)]))),
    );
  }

  sequence(parts: readonly Expression[]): Expression {
    return parts.reduceRight((rest, first) => this.concat(first, rest), this.empty);
  }

  concat(first: Expression, rest: Expression): Expression {
    if (first === this.none || rest === this.none) return this.none;
    if (first === this.empty) return rest;
    if (rest === this.empty) return first;
    if (first.form.kind === 'concat') {
      return this.concat(first.form.first, this.concat(first.form.rest, rest));
    }
    const nullable = first.nullable && rest.nullable;
    return this.#make(`c${first.id},${rest.id}`, nullable, { kind: 'concat', first, rest });
  }

  or(parts: readonly Expression[]): Expression {
    const flat = parts.flatMap((part) => (part.form.kind === 'or' ? part.form.parts : [part]));
    this.#onWork(flat.length);
    if (flat.includes(this.all)) return this.all;
    const sets = flat.flatMap(({ form }) => (form.kind === 'set' ? [form.set] : []));
    const merged = this.set(union(...sets));
    const rest = flat.filter(({ form }) => form.kind !== 'set');
    const kept = distinct([...rest, merged]).filter((part) => part !== this.none);
    const [only] = kept;
    if (only === undefined) return this.none;
    if (kept.length === 1) return only;
    const nullable = kept.some((part) => part.nullable);
    return this.#make(`o${idsOf(kept)}`, nullable, { kind: 'or', parts: kept });
  }

  and(parts: readonly Expression[]): Expression {
    const flat = parts.flatMap((part) => (part.form.kind === 'and' ? part.form.parts : [part]));
    this.#onWork(flat.length);
    const kept = distinct(flat).filter((part) => part !== this.all);
    if (kept.includes(this.none)) return this.none;
    const [only] = kept;
    if (only === undefined) return this.all;
    if (kept.length === 1) return only;
    const nullable = kept.every((part) => part.nullable);
    return this.#make(`a${idsOf(kept)}`, nullable, { kind: 'and', parts: kept });
  }

  not(inner: Expression): Expression {
    if (inner.form.kind === 'not') return inner.form.inner;
    if (inner === this.none) return this.all;
    if (inner === this.all) return this.none;
    return this.#make(`n${inner.id}`, !inner.nullable, { kind: 'not', inner });
  }

  optional(inner: Expression): Expression {
    return this.or([this.empty, inner]);
  }

  repeat(inner: Expression, min: number, max: number): Expression {
    if (max === 0 || inner === this.empty) return this.empty;
    if (inner === this.none) return min === 0 ? this.empty : this.none;
    if (min === 1 && max === 1) return inner;
    // A nullable part counts as often as it likes.
    const least = inner.nullable ? 0 : min;
    const nullable = least === 0;
    return this.#make(`r${inner.id},${least},${max}`, nullable, {
      kind: 'repeat',
      inner,
      min: least,
      max,
    });
  }

  /** What may come after `code`. */
  derivative(expression: Expression, code: number): Expression {
    return this.#derivative(expression, code, new Map());
  }

  /** An expression is a graph with shared parts: each part is derived once. */
  #derivative(expression: Expression, code: number, done: Map<number, Expression>): Expression {
    const known = done.get(expression.id);
    if (known !== undefined) return known;
    const made = this.#derive(expression, code, done);
    done.set(expression.id, made);
    return made;
  }

  #derive({ form }: Expression, code: number, done: Map<number, Expression>): Expression {
    const by = (inner: Expression): Expression => this.#derivative(inner, code, done);
    if (form.kind === 'none' || form.kind === 'empty') return this.none;
    if (form.kind === 'set') return has(form.set, code) ? this.empty : this.none;
    if (form.kind === 'or') return this.or(form.parts.map(by));
    if (form.kind === 'and') return this.and(form.parts.map(by));
    if (form.kind === 'not') return this.not(by(form.inner));
    if (form.kind === 'concat') {
      const through = this.concat(by(form.first), form.rest);
      return form.first.nullable ? this.or([through, by(form.rest)]) : through;
    }
    const { inner, min, max } = form;
    return this.concat(by(inner), this.repeat(inner, Math.max(0, min - 1), max - 1));
  }
}

function distinct(parts: readonly Expression[]): readonly Expression[] {
  return [...new Set(parts)].sort((a, b) => a.id - b.id);
}

function idsOf(parts: readonly Expression[]): string {
  return parts.map(({ id }) => id).join(',');
}

export interface Front {
  /** The sets that decide about the next character. */
  readonly sets: readonly CharSet[];
  /** Expressions that a derivative looks at. */
  readonly size: number;
}

export function frontOf(expression: Expression): Front {
  const out = new Set<CharSet>();
  const seen = new Set<Expression>();
  const todo = [expression];
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    const { form } = next;
    if (form.kind === 'set') out.add(form.set);
    if (form.kind === 'concat') todo.push(form.first, ...(form.first.nullable ? [form.rest] : []));
    if (form.kind === 'or' || form.kind === 'and') todo.push(...form.parts);
    if (form.kind === 'not' || form.kind === 'repeat') todo.push(form.inner);
  }
  return { sets: [...out], size: seen.size };
}
