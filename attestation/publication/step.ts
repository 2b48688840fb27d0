/** What comes of one offered document: a step, or a refusal that leaves everything as it was. @module */

import { VeilError, type Facts } from '../../core/errors.ts';
import type { DocumentKind } from './kinds.ts';
import type { PublicationState, Retired } from './memory.ts';

export type PublicationEvent =
  | { readonly kind: 'root'; readonly version: number }
  | { readonly kind: 'release'; readonly number: number }
  | { readonly kind: 'revocations'; readonly number: number }
  | { readonly kind: 'timestamp'; readonly timeMs: number }
  /** The document that was held already, with other signatures. */
  | { readonly kind: 'renewed'; readonly document: 'release' | 'revocations' }
  /** The keys of a new root do not support it: not in force any more, but a list of revocations goes on taking away. */
  | { readonly kind: 'retired'; readonly document: Retired };

export interface Refusal {
  readonly document: DocumentKind;
  readonly code: string;
  /** Names, paths, numbers, digests. */
  readonly detail: string;
  /** Of an equivocation: the member that two contents share, its number, and their digests. */
  readonly twofold?: Facts;
}

/** The state after one document; the very same object when there was nothing new. */
export interface Step {
  readonly state: PublicationState;
  readonly events: readonly PublicationEvent[];
}

export type Attempt<Value> =
  | { readonly outcome: 'done'; readonly value: Value }
  | { readonly outcome: 'refused'; readonly refusal: Refusal };

/** Runs a judge of untrusted bytes. Only our own coded errors are answers. */
export function attempt<Value>(document: DocumentKind, judge: () => Value): Attempt<Value> {
  try {
    return { outcome: 'done', value: judge() };
  } catch (error) {
    if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
    const detail = error.message.slice(`${error.code}: `.length);
    const { code } = error;
    const twofold = code === 'publication.equivocation' ? { twofold: error.facts } : {};
    return { outcome: 'refused', refusal: { document, code, detail, ...twofold } };
  }
}
