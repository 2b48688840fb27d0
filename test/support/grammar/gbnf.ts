/**
 * GBNF read, recognised and sampled, without any of the compiler's code: what llama.cpp does with a grammar, in a form in
 * which a test can count the paths that are open at a time. Spec: llama.cpp grammars/README.md.
 * @module
 */

import assert from 'node:assert/strict';

type Ranges = readonly (readonly [first: number, last: number])[];

type Term =
  | { readonly kind: 'char'; readonly ranges: Ranges }
  | { readonly kind: 'rule'; readonly name: string }
  | { readonly kind: 'all'; readonly parts: readonly Term[] }
  | { readonly kind: 'any'; readonly parts: readonly Term[] }
  | { readonly kind: 'times'; readonly inner: Term; readonly min: number; readonly max: number };

export type Gbnf = ReadonlyMap<string, Term>;

export function readGbnf(text: string): Gbnf {
  const rules = new Map<string, Term>();
  for (const line of text.split('\n').filter((one) => one !== '')) {
    const [, name = '', body = ''] = /^([A-Za-z0-9-]+) ::= (.*)$/su.exec(line) ?? [];
    assert.ok(name !== '' && !rules.has(name), `not one rule a line: ${line}`);
    rules.set(name, new BodyReader(body).whole());
  }
  return rules;
}

class BodyReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): Term {
    const term = this.#alternatives();
    assert.equal(this.#at, this.#text.length, 'text after a rule');
    return term;
  }

  #alternatives(): Term {
    const parts = [this.#sequence()];
    while (this.#take('|')) parts.push(this.#sequence());
    return { kind: 'any', parts };
  }

  #sequence(): Term {
    const parts: Term[] = [];
    for (;;) {
      this.#spaces();
      const char = this.#text[this.#at];
      if (char === undefined || char === '|' || char === ')') return { kind: 'all', parts };
      parts.push(this.#repeated(this.#atom(char)));
    }
  }

  #atom(char: string): Term {
    if (this.#take('(')) {
      const inner = this.#alternatives();
      assert.ok(this.#take(')'));
      return inner;
    }
    if (char === '"') return this.#literal();
    if (char === '[') return this.#class();
    const [name = ''] = /^[A-Za-z0-9-]+/.exec(this.#text.slice(this.#at)) ?? [];
    assert.notEqual(name, '', `what is ${this.#text.slice(this.#at, this.#at + 20)}`);
    this.#at += name.length;
    return { kind: 'rule', name };
  }

  #repeated(inner: Term): Term {
    if (this.#take('*')) return { kind: 'times', inner, min: 0, max: Infinity };
    if (this.#take('+')) return { kind: 'times', inner, min: 1, max: Infinity };
    if (this.#take('?')) return { kind: 'times', inner, min: 0, max: 1 };
    const [all = '', min = '', comma, max = ''] =
      /^\{(\d+)(,?)(\d*)\}/.exec(this.#text.slice(this.#at)) ?? [];
    if (all === '') return inner;
    this.#at += all.length;
    const most = comma === '' ? Number(min) : max === '' ? Infinity : Number(max);
    assert.ok(most === Infinity || most <= 2000, 'llama.cpp would take this for no bound');
    return { kind: 'times', inner, min: Number(min), max: most };
  }

  #literal(): Term {
    this.#at++;
    const parts: Term[] = [];
    while (this.#text[this.#at] !== '"') {
      const code = this.#char();
      parts.push({ kind: 'char', ranges: [[code, code]] });
    }
    this.#at++;
    return { kind: 'all', parts };
  }

  #class(): Term {
    this.#at++;
    assert.notEqual(this.#text[this.#at], '^', 'no negated class is needed');
    const ranges: [number, number][] = [];
    while (this.#text[this.#at] !== ']') {
      const first = this.#char();
      const isRange = this.#text[this.#at] === '-' && this.#text[this.#at + 1] !== ']';
      if (isRange) this.#at++;
      ranges.push([first, isRange ? this.#char() : first]);
    }
    this.#at++;
    return { kind: 'char', ranges };
  }

  #char(): number {
    const escape =
      /^\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([trn\\"[\]-]))/.exec(
        this.#text.slice(this.#at, this.#at + 10),
      );
    if (escape === null) {
      const code = this.#text.codePointAt(this.#at);
      assert.ok(code !== undefined && code !== 0x5c, 'an escape that llama.cpp does not know');
      this.#at += String.fromCodePoint(code).length;
      return code;
    }
    const [all, x, u, long, plain = ''] = escape;
    this.#at += all.length;
    const hex = x ?? u ?? long;
    if (hex !== undefined) return Number.parseInt(hex, 16);
    return ({ t: '\t', r: '\r', n: '\n' }[plain] ?? plain).charCodeAt(0);
  }

  #spaces(): void {
    while (this.#text[this.#at] === ' ') this.#at++;
  }

  #take(char: string): boolean {
    this.#spaces();
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }
}

/** What is still to come. Equal stacks are one object. */
interface Stack {
  readonly id: number;
  readonly top: Term;
  readonly below: Stack | undefined;
}

export interface Recognised {
  readonly outcome: 'accepted' | 'unfinished' | 'rejected';
  /** The most stacks that were open at once. */
  readonly stacksMax: number;
}

export class Recogniser {
  readonly #rules: Gbnf;
  readonly #stacks = new Map<string, Stack>();
  readonly #counted = new Map<string, Term>();
  readonly #ids = new Map<Term, number>();

  constructor(rules: Gbnf) {
    this.#rules = rules;
  }

  recognise(text: string): Recognised {
    let stacksMax = 0;
    let open = this.#opened([this.#push({ kind: 'rule', name: 'root' }, undefined)]);
    for (const char of text) {
      const code = char.codePointAt(0) ?? 0;
      const next = [...open].flatMap((stack) => {
        if (stack === undefined || stack.top.kind !== 'char') return [];
        return stack.top.ranges.some(([first, last]) => first <= code && code <= last)
          ? [stack.below]
          : [];
      });
      open = this.#opened(next);
      stacksMax = Math.max(stacksMax, open.size);
      if (open.size === 0) return { outcome: 'rejected', stacksMax };
    }
    return { outcome: open.has(undefined) ? 'accepted' : 'unfinished', stacksMax };
  }

  #idOf(term: Term): number {
    const id = this.#ids.get(term) ?? this.#ids.size;
    this.#ids.set(term, id);
    return id;
  }

  #push(top: Term, below: Stack | undefined): Stack {
    const key = `${this.#idOf(top)},${below?.id ?? -1}`;
    const known = this.#stacks.get(key);
    if (known !== undefined) return known;
    const made = { id: this.#stacks.size, top, below };
    this.#stacks.set(key, made);
    return made;
  }

  #times(inner: Term, min: number, max: number): Term {
    const key = `${this.#idOf(inner)},${min},${max}`;
    const term = this.#counted.get(key) ?? { kind: 'times', inner, min, max };
    this.#counted.set(key, term);
    return term;
  }

  /** Until each stack has a character on top, or is empty. */
  #opened(stacks: readonly (Stack | undefined)[]): ReadonlySet<Stack | undefined> {
    const seen = new Set<Stack | undefined>();
    const todo = [...stacks];
    const out = new Set<Stack | undefined>();
    while (todo.length > 0) {
      const stack = todo.pop();
      if (seen.has(stack)) continue;
      seen.add(stack);
      if (stack === undefined || stack.top.kind === 'char') out.add(stack);
      else todo.push(...this.#expanded(stack.top, stack.below));
    }
    return out;
  }

  #expanded(top: Term, below: Stack | undefined): readonly (Stack | undefined)[] {
    if (top.kind === 'char') return [];
    if (top.kind === 'any') return top.parts.map((part) => this.#push(part, below));
    if (top.kind === 'all') {
      const push = (rest: Stack | undefined, part: Term): Stack => this.#push(part, rest);
      return [top.parts.reduceRight<Stack | undefined>(push, below)];
    }
    if (top.kind === 'rule') return [this.#push(ruleOf(this.#rules, top.name), below)];
    const { inner, min, max } = top;
    if (max === 0) return [below];
    const again = this.#times(inner, Math.max(0, min - 1), max - 1);
    const more = this.#push(inner, this.#push(again, below));
    return min > 0 ? [more] : [below, more];
  }
}

function ruleOf(rules: Gbnf, name: string): Term {
  const rule = rules.get(name);
  assert.ok(rule !== undefined, `no rule ${name}`);
  return rule;
}

/** Texts of a grammar, by a source of numbers below what is asked. */
export class Sampler {
  readonly #rules: Gbnf;
  readonly #below: (limit: number) => number;
  readonly #least = new Map<string, number>();
  /** Steps of this text before it takes the shortest way out. */
  #left = 0;

  constructor(rules: Gbnf, below: (limit: number) => number) {
    this.#rules = rules;
    this.#below = below;
    for (let changed = true; changed;) {
      changed = false;
      for (const [name, term] of rules) {
        const least = this.#leastOf(term);
        if (least >= (this.#least.get(name) ?? Infinity)) continue;
        this.#least.set(name, least);
        changed = true;
      }
    }
  }

  sample(steps: number): string {
    this.#left = steps;
    return this.#text({ kind: 'rule', name: 'root' });
  }

  #leastOf(term: Term): number {
    if (term.kind === 'char') return 1;
    if (term.kind === 'rule') return this.#least.get(term.name) ?? Infinity;
    if (term.kind === 'all') {
      return term.parts.reduce((sum, part) => sum + this.#leastOf(part), 0);
    }
    if (term.kind === 'any') return Math.min(...term.parts.map((part) => this.#leastOf(part)));
    return term.min === 0 ? 0 : term.min * this.#leastOf(term.inner);
  }

  #text(term: Term): string {
    this.#left--;
    if (term.kind === 'char') {
      const [first, last] = term.ranges[this.#below(term.ranges.length)] ?? [0, 0];
      return String.fromCodePoint(first + this.#below(Math.min(last - first + 1, 0x200)));
    }
    if (term.kind === 'rule') return this.#text(ruleOf(this.#rules, term.name));
    if (term.kind === 'all') return term.parts.map((part) => this.#text(part)).join('');
    if (term.kind === 'any') return this.#text(this.#choice(term.parts));
    const { min, max } = term;
    const extra = this.#left > 0 ? this.#below(Math.min(max - min, 4) + 1) : 0;
    return Array.from({ length: min + extra }, () => this.#text(term.inner)).join('');
  }

  #choice(parts: readonly Term[]): Term {
    const sized = parts.map((part) => ({ part, least: this.#leastOf(part) }));
    const least = Math.min(...sized.map((one) => one.least));
    const open = sized.filter((one) =>
      this.#left > 0 ? one.least < Infinity : one.least === least,
    );
    const chosen = open[this.#below(open.length)]?.part;
    assert.ok(chosen !== undefined, 'a rule that cannot end');
    return chosen;
  }
}
