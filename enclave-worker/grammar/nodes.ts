/**
 * A schema after it was read: what is left of it has a meaning that the grammar can express. Nodes refer to each other
 * by number, because schemas refer to themselves. @module
 */

import type { Path } from './refusal.ts';

export type NodeId = number;

export interface Member {
  readonly name: string;
  readonly value: NodeId;
  readonly presence: 'required' | 'optional';
}

export interface NumberBounds {
  readonly whole: boolean;
  readonly low: Bound | undefined;
  readonly high: Bound | undefined;
}

export interface Bound {
  readonly value: number;
  readonly inclusive: boolean;
  /** That it comes from. */
  readonly keyword: string;
}

export interface StringBounds {
  readonly min: number;
  readonly max: number;
  /** All of them hold. */
  readonly patterns: readonly string[];
}

export type NodeForm =
  | { readonly kind: 'any' }
  | { readonly kind: 'object'; readonly members: readonly Member[] }
  /** An object with whatever names and these values. */
  | { readonly kind: 'record'; readonly values: NodeId }
  | {
      readonly kind: 'array';
      readonly items: NodeId;
      readonly min: number;
      readonly max: number;
    }
  | ({ readonly kind: 'string' } & StringBounds)
  | ({ readonly kind: 'number' } & NumberBounds)
  /** JSON texts, each written in one way. */
  | { readonly kind: 'literals'; readonly texts: readonly string[] }
  | {
      readonly kind: 'union';
      readonly branches: readonly NodeId[];
      /** `one`: of every valid value exactly one branch holds. */
      readonly rule: 'any' | 'one';
    };

export type Node = NodeForm & { readonly path: Path };

export interface SchemaGraph {
  readonly nodes: readonly Node[];
  readonly root: NodeId;
}

/** The kinds of JSON value that a node without branches can be, by how they begin. */
export type ValueKind = 'object' | 'array' | 'string' | 'number' | 'word';

export function literalKind(text: string): ValueKind {
  if (text.startsWith('{')) return 'object';
  if (text.startsWith('[')) return 'array';
  if (text.startsWith('"')) return 'string';
  return /^[-0-9]/.test(text) ? 'number' : 'word';
}
