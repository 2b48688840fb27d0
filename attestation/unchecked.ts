/** How a policy says "not here". @module */

/** An explicit "not checked here"; the text is the `note` of the waived check. */
export interface Unchecked {
  readonly unchecked: string;
}

export function isUnchecked(rule: object): rule is Unchecked {
  return 'unchecked' in rule;
}
