/**
 * The rules of one grammar. Besides its text a rule knows which rules it refers to, which of them it cannot do without,
 * and how many paths of different meaning it opens: from that follows whether every rule can end and how many stacks
 * the sampler may have to keep. Spec: llama.cpp grammars/README.md (GBNF).
 * @module
 */

import {
  AMBIGUITY_MAX,
  GRAMMAR_MAX_CHARS,
  NAME_MAX_CHARS,
  REPEATS_TOTAL_MAX,
  RULES_MAX,
} from './limits.ts';
import { refuse, type Path } from './refusal.ts';

export interface Rule {
  readonly body: string;
  /** Alternatives, each the rules that it cannot do without. One empty alternative: it can always end. */
  readonly needs: readonly (readonly string[])[];
  /** Every rule in the body. */
  readonly refs: readonly string[];
  /** Alternatives that stay open together until a nested object or array begins. */
  readonly openPaths: number;
  readonly path: Path;
}

const ENDS: Rule['needs'] = [[]];

export class Rules {
  readonly #rules = new Map<string, Rule>();
  readonly #byBody = new Map<string, string>();
  readonly #repeats = new Set<string>();
  #names = 0;
  /** With room for the start rule. */
  #chars = NAME_MAX_CHARS;
  #repeated = 0;

  /** A name for a rule that refers to itself; `define` must follow. */
  reserve(path: Path): string {
    this.#names++;
    if (this.#names > RULES_MAX) throw refuse('grammar.limit', path, 'schema');
    return `r${this.#names}`;
  }

  define(name: string, rule: Rule): string {
    this.#chars += lineOf(name, rule.body).length;
    if (this.#chars > GRAMMAR_MAX_CHARS) throw refuse('grammar.limit', rule.path, 'schema');
    this.#rules.set(name, rule);
    return name;
  }

  /** Rules with one body are one rule. */
  add(rule: Rule): string {
    const known = this.#byBody.get(rule.body);
    if (known !== undefined) return known;
    const name = this.define(this.reserve(rule.path), rule);
    this.#byBody.set(rule.body, name);
    return name;
  }

  /** A rule without nested values: it can always end and opens nothing. */
  flat(body: string, path: Path, refs: readonly string[] = []): string {
    return this.add({ body, needs: ENDS, refs, openPaths: 1, path });
  }

  /** Call before writing `{min,max}` after `element`: llama.cpp writes the element out that often. */
  count(element: string, min: number, max: number, path: Path, keyword: string): void {
    const key = `${element}{${min},${max}}`;
    if (this.#repeats.has(key)) return;
    this.#repeats.add(key);
    this.#repeated += max === Infinity ? min : max;
    if (this.#repeated > REPEATS_TOTAL_MAX) throw refuse('grammar.limit', path, keyword);
  }

  /** Throws `grammar.unsatisfiable` for a rule that cannot end, `grammar.limit` for too many open paths. */
  text(root: string): string {
    this.#assertEnds();
    this.#assertFewPaths();
    const lines = [...this.#rules].map(([name, { body }]) => lineOf(name, body));
    return lineOf('root', root) + lines.join('');
  }

  #assertEnds(): void {
    const users = this.#users(({ needs }) => needs.flat());
    const ends = new Set<string>();
    const canEnd = (name: string): boolean =>
      this.#rules.get(name)?.needs.some((all) => all.every((need) => ends.has(need))) === true;
    const todo = [...this.#rules.keys()];
    for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
      if (ends.has(name) || !canEnd(name)) continue;
      ends.add(name);
      todo.push(...(users.get(name) ?? []));
    }
    for (const [name, { path }] of this.#rules) {
      if (!ends.has(name)) throw refuse('grammar.unsatisfiable', path, '$ref');
    }
  }

  /** Open paths multiply with each level of nesting; through a recursion that opens any, without end. */
  #assertFewPaths(): void {
    const users = this.#users(({ refs }) => refs);
    const paths = new Map([...this.#rules].map(([name, { openPaths }]) => [name, openPaths]));
    const todo = [...this.#rules.keys()];
    for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
      const rule = this.#rules.get(name);
      if (rule === undefined) continue;
      const inner = Math.max(1, ...rule.refs.map((ref) => paths.get(ref) ?? 1));
      const total = rule.openPaths * inner;
      if (total > AMBIGUITY_MAX) throw refuse('grammar.limit', rule.path, 'anyOf');
      if (total <= (paths.get(name) ?? 1)) continue;
      paths.set(name, total);
      todo.push(...(users.get(name) ?? []));
    }
  }

  #users(namesIn: (rule: Rule) => readonly string[]): ReadonlyMap<string, readonly string[]> {
    const users = new Map<string, string[]>();
    for (const [name, rule] of this.#rules) {
      for (const used of new Set(namesIn(rule))) {
        const list = users.get(used) ?? [];
        users.set(used, list);
        list.push(name);
      }
    }
    return users;
  }
}

function lineOf(name: string, body: string): string {
  return `${name} ::= ${body}\n`;
}

/** A text as a GBNF literal. The text is printable or JSON, so that it holds no control characters but newlines. */
export function literal(text: string): string {
  const escaped = text.replaceAll(/[\\"]/g, '\\$&').replaceAll('\n', '\\n');
  return `"${escaped}"`;
}

/** An optional space: what most models were trained on, and no more than one, because some never stop. */
export const SPACE = '" "?';

export function oneOf(bodies: readonly string[]): string {
  return bodies.join(' | ');
}
