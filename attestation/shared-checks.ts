/**
 * Checks that hold, that are waived or skipped say the same for every worker: one object each, however many verdicts it
 * stands in. A gateway with a thousand workers keeps a hundred checks of each. Changes no answer.
 * @module
 */

import type { Check } from './verdict.ts';

/** Ids are those of our own lists; places and notes come from policies, which come and go. */
const VARIANTS_MAX = 64;

/** By id, then by what else the check says. */
class Shared<Variant extends Check> {
  readonly #byId = new Map<string, Map<string, Variant>>();

  get(id: string, variant: string, make: () => Variant): Variant {
    return this.#byId.get(id)?.get(variant) ?? this.replace(id, variant, make);
  }

  replace(id: string, variant: string, make: () => Variant): Variant {
    const variants = this.#byId.get(id) ?? new Map<string, Variant>();
    this.#byId.set(id, variants);
    if (variants.size >= VARIANTS_MAX) variants.clear();
    const made = Object.freeze(make());
    variants.set(variant, made);
    return made;
  }
}

type Outcome<Name extends Check['outcome']> = Extract<Check, { readonly outcome: Name }>;

const BARE = new Shared<Outcome<'pass'>>();
const PLACED = new Shared<Outcome<'pass'>>();
const SKIPPED = new Shared<Outcome<'skipped'>>();
const WAIVED = new Shared<Outcome<'waived'>>();

export function passedCheck(id: string): Check {
  return BARE.get(id, '', () => ({ id, outcome: 'pass' }));
}

/** `at`: the line of the policy that decided. */
export function passedAt(id: string, at: string): Check {
  return PLACED.get(id, at, () => ({ id, outcome: 'pass', at }));
}

export function skippedCheck(id: string, because: string): Check {
  return SKIPPED.get(id, because, () => ({ id, outcome: 'skipped', because }));
}

export function waivedCheck(id: string, by: string, note: string): Check {
  const make = () => ({ id, outcome: 'waived', by, note }) as const;
  const known = WAIVED.get(id, by, make);
  // One line says one thing, until another policy says something else on the same line.
  return known.note === note ? known : WAIVED.replace(id, by, make);
}
