/**
 * What can be taken away, and what a judgement needs to know of it. The list itself is read and verified in
 * `attestation/publication/`. Spec: gpu-and-policy §5.4; docs/publication.md "Revocations".
 * @module
 */

export const REVOCATION_KINDS = [
  'image',
  'measurement',
  'rule',
  'cpu',
  'ueid',
  'driver',
  'vbios',
  'key',
  'kid',
  'policy',
  'advisory',
  'rim',
] as const;
export type RevocationKind = (typeof REVOCATION_KINDS)[number];

export interface RevocationEntry {
  readonly kind: RevocationKind;
  readonly value: string;
  readonly reason: string;
  readonly by: string;
}

/** In memory; asked for each request. */
export interface Revocations {
  readonly find: (kind: RevocationKind, value: string) => RevocationEntry | undefined;
}

/** What a revocation can name of one worker. */
export interface Revocable {
  readonly kind: RevocationKind;
  readonly value: string;
}

/** Nothing is unchecked by omission: whoever judges says what it knows of revocations, or who decided to do without. */
export type RevocationKnowledge =
  | {
      readonly list: Revocations;
      /**
       * `each-request`: whoever holds the verdict asks again before every use, so that it may live longer. `waived`: the list
       * is asked, and somebody decided that its age does not matter.
       */
      readonly freshness:
        | { readonly untilMs: number }
        | { readonly stale: string }
        | { readonly judged: 'each-request'; readonly by: string }
        | { readonly waived: string; readonly by: string };
    }
  | { readonly waived: string; readonly by: string };

export const NO_REVOCATIONS: Revocations = { find: () => undefined };

/** The first of these that the list names. */
export function revokedAmong(
  list: Revocations,
  facts: readonly Revocable[],
): RevocationEntry | undefined {
  for (const { kind, value } of facts) {
    const entry = list.find(kind, value);
    if (entry !== undefined) return entry;
  }
  return undefined;
}
