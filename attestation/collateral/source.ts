/**
 * A place that serves items: what to ask it, and how to take its answer apart. It decides nothing about what it
 * answers, and it knows its own hosts from configuration alone.
 * @module
 */

import type { Item } from './items.ts';
import type { RawItem } from './judge.ts';
import type { FetchAnswer } from './ports.ts';

export interface VendorRequest {
  readonly origin: string;
  /** Absolute, with query; made of constants and of values in the forms of items.ts. */
  readonly path: string;
}

export interface Source {
  readonly name: 'pcs' | 'pccs' | 'kds' | 'mirror';
  /** Between the starts of two requests to one origin. */
  readonly spacingMs: number;
  /** Undefined when this source has no such thing. */
  readonly request: (item: Item) => VendorRequest | undefined;
  /** Takes a successful answer apart, untrusted. Throws `collateral.invalid`. */
  readonly read: (item: Item, answer: FetchAnswer) => RawItem;
}

/** Where a service stands: an origin, and the folder in front of its own paths. */
export interface ServiceUrl {
  readonly origin: string;
  /** Empty, or with a slash in front and none at the end. */
  readonly prefix: string;
}
