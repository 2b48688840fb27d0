/**
 * Unions: their alternatives without unions inside, and how far two alternatives can look alike. The sampler follows
 * every alternative that the text so far allows; when two are still open as a nested value begins, its paths double,
 * and again inside it. That is what is counted here, and bounded in rules.ts.
 * @module
 */

import { BRANCHES_MAX } from './limits.ts';
import {
  literalKind,
  type Member,
  type Node,
  type NodeId,
  type SchemaGraph,
  type ValueKind,
} from './nodes.ts';
import { refuse, type Path } from './refusal.ts';
import type { Work } from './work.ts';

type Leaf = Exclude<Node, { kind: 'union' }>;

interface Seen {
  /** On the way to where we are. */
  readonly open: Set<NodeId>;
  readonly done: Set<NodeId>;
  /** Of the union that is taken apart. */
  readonly path: Path;
}

export class Branches {
  readonly #graph: SchemaGraph;
  readonly #work: Work;
  readonly #leaves = new Map<NodeId, readonly NodeId[]>();

  constructor(graph: SchemaGraph, work: Work) {
    this.#graph = graph;
    this.#work = work;
  }

  node(id: NodeId): Node {
    const node = this.#graph.nodes[id];
    if (node === undefined) throw refuse('grammar.invalid', [], 'schema');
    return node;
  }

  /** What `id` can be, unions taken apart. Throws when a union comes back to itself before any value has begun. */
  leavesOf(id: NodeId): readonly NodeId[] {
    const known = this.#leaves.get(id);
    if (known !== undefined) return known;
    const found = new Set<NodeId>();
    const { path } = this.node(id);
    this.#collect(id, found, { open: new Set(), done: new Set(), path });
    const leaves = [...found];
    this.#leaves.set(id, leaves);
    return leaves;
  }

  #collect(id: NodeId, found: Set<NodeId>, seen: Seen): void {
    const node = this.node(id);
    this.#work.spend(1, node.path, 'anyOf');
    if (seen.open.has(id)) throw refuse('grammar.unsatisfiable', node.path, '$ref');
    if (seen.done.has(id)) return;
    if (node.kind !== 'union') {
      found.add(id);
      if (found.size > BRANCHES_MAX) throw refuse('grammar.limit', seen.path, 'anyOf');
      return;
    }
    seen.open.add(id);
    for (const branch of node.branches) this.#collect(branch, found, seen);
    seen.open.delete(id);
    seen.done.add(id);
  }

  /** `oneOf` is honoured where it says the same as `anyOf`. Throws `grammar.unsupported`. */
  assertOneOfs(): void {
    for (const node of this.#graph.nodes) {
      if (node.kind === 'union' && node.rule === 'one') {
        this.#assertApart(node.branches, node.path);
      }
    }
  }

  /** How many of the leaves may be open together when a nested value begins in one of them; at least 1. */
  openPaths(leaves: readonly NodeId[], path: Path): number {
    const nodes = leaves.map((leaf) => this.#leaf(leaf));
    const alike = nodes.filter((a) => nodes.some((b) => a !== b && this.#lookAlike(a, b, path)));
    return Math.max(1, alike.length);
  }

  #leaf(id: NodeId): Leaf {
    const node = this.node(id);
    if (node.kind === 'union') throw refuse('grammar.invalid', node.path, 'anyOf');
    return node;
  }

  #lookAlike(a: Leaf, b: Leaf, path: Path): boolean {
    this.#work.spend(1, path, 'anyOf');
    if (a.kind === 'any' || b.kind === 'any') {
      return holdsNested(a) && holdsNested(b);
    }
    if (a.kind === 'array' && b.kind === 'array') return this.#nestAlike(a.items, b.items, path);
    if (a.kind === 'object' && b.kind === 'object') {
      return this.#membersAlike(a.members, b.members, path);
    }
    if (a.kind === 'record' && b.kind === 'record')
      return this.#nestAlike(a.values, b.values, path);
    if (a.kind === 'record' && b.kind === 'object') return this.#recordAlike(a.values, b, path);
    if (a.kind === 'object' && b.kind === 'record') return this.#recordAlike(b.values, a, path);
    return false;
  }

  #recordAlike(values: NodeId, { members }: { members: readonly Member[] }, path: Path): boolean {
    this.#work.spend(members.length, path, 'anyOf');
    return members.some(({ value }) => this.#nestAlike(values, value, path));
  }

  /** Alternatives part at the first member that both must have and that differs in its name or its constants. */
  #membersAlike(a: readonly Member[], b: readonly Member[], path: Path): boolean {
    this.#work.spend(a.length + b.length, path, 'anyOf');
    let at = 0;
    for (; at < a.length && at < b.length; at++) {
      const [left, right] = [a[at], b[at]];
      if (left?.presence !== 'required' || right?.presence !== 'required') break;
      if (left.name !== right.name) return false;
      if (this.#nestAlike(left.value, right.value, path)) return true;
      if (this.#isApart(left.value, right.value, path)) return false;
    }
    const others = new Map(b.slice(at).map(({ name, value }) => [name, value]));
    return a.slice(at).some(({ name, value }) => {
      const other = others.get(name);
      return other !== undefined && this.#nestAlike(value, other, path);
    });
  }

  /** Whether one nested value could begin in both. */
  #nestAlike(a: NodeId, b: NodeId, path: Path): boolean {
    const kinds = this.#kindsOf(a, path);
    return [...this.#kindsOf(b, path)].some(
      (kind) => (kind === 'object' || kind === 'array') && kinds.has(kind),
    );
  }

  #kindsOf(id: NodeId, path: Path): ReadonlySet<ValueKind> {
    const leaves = this.leavesOf(id);
    this.#work.spend(leaves.length, path, 'anyOf');
    return new Set(leaves.flatMap((leaf) => kindsOfLeaf(this.#leaf(leaf))));
  }

  /** Whether no value is valid for both: by kind, or by constants. */
  #isApart(a: NodeId, b: NodeId, path: Path): boolean {
    const [left, right] = [this.leavesOf(a), this.leavesOf(b)];
    return left.every((one) =>
      right.every((other) => this.#leavesApart(this.#leaf(one), this.#leaf(other), path)),
    );
  }

  #leavesApart(a: Leaf, b: Leaf, path: Path): boolean {
    if (a.kind === 'literals' && b.kind === 'literals') {
      this.#work.spend(a.texts.length + b.texts.length, path, 'anyOf');
      const texts = new Set(a.texts);
      return !b.texts.some((text) => texts.has(text));
    }
    this.#work.spend(1, path, 'anyOf');
    const kinds = new Set(kindsOfLeaf(a));
    return !kindsOfLeaf(b).some((kind) => kinds.has(kind));
  }

  #assertApart(branches: readonly NodeId[], path: Path): void {
    branches.forEach((a, index) => {
      for (const b of branches.slice(index + 1)) {
        if (!this.#valuesApart(a, b, path)) throw refuse('grammar.unsupported', path, 'oneOf');
      }
    });
  }

  #valuesApart(a: NodeId, b: NodeId, path: Path): boolean {
    const [left, right] = [this.leavesOf(a), this.leavesOf(b)];
    return left.every((one) =>
      right.every((other) => {
        const [x, y] = [this.#leaf(one), this.#leaf(other)];
        if (x.kind === 'object' && y.kind === 'object') {
          return this.#tagged(x.members, y.members, path);
        }
        return this.#leavesApart(x, y, path);
      }),
    );
  }

  /** A member that both must have and that no value satisfies for both. */
  #tagged(a: readonly Member[], b: readonly Member[], path: Path): boolean {
    this.#work.spend(a.length + b.length, path, 'oneOf');
    const others = new Map(
      b.filter(({ presence }) => presence === 'required').map(({ name, value }) => [name, value]),
    );
    return a.some(({ name, value, presence }) => {
      const other = others.get(name);
      return presence === 'required' && other !== undefined && this.#isApart(value, other, path);
    });
  }
}

function kindsOfLeaf(leaf: Leaf): readonly ValueKind[] {
  if (leaf.kind === 'any') return ['object', 'array', 'string', 'number', 'word'];
  if (leaf.kind === 'literals') return leaf.texts.map(literalKind);
  return [leaf.kind === 'record' ? 'object' : leaf.kind];
}

function holdsNested(leaf: Leaf): boolean {
  return (
    leaf.kind === 'any' || leaf.kind === 'object' || leaf.kind === 'array' || leaf.kind === 'record'
  );
}
