/** Nodes as rules: what each kind of value looks like as JSON text. @module */

import { Branches } from './branches.ts';
import { recordBody, valueRule } from './free-json.ts';
import type { Member, Node, NodeId, SchemaGraph } from './nodes.ts';
import type { Path } from './refusal.ts';
import { literal, oneOf, SPACE, type Rule, type Rules } from './rules.ts';
import { Scalars } from './strings.ts';
import { trieRule } from './trie.ts';
import type { Work } from './work.ts';

export class Emitter {
  readonly #rules: Rules;
  readonly #branches: Branches;
  readonly #scalars: Scalars;
  readonly #root: NodeId;
  readonly #names = new Map<NodeId, string>();

  constructor(graph: SchemaGraph, rules: Rules, work: Work) {
    this.#rules = rules;
    this.#root = graph.root;
    this.#branches = new Branches(graph, work);
    this.#scalars = new Scalars(rules, work);
  }

  /** What the whole can be, unions taken apart. */
  kinds(): readonly Node['kind'][] {
    return this.#branches.leavesOf(this.#root).map((leaf) => this.#branches.node(leaf).kind);
  }

  /** The rule of the whole. Throws `grammar.*`. */
  root(): string {
    this.#branches.assertOneOfs();
    return this.#rule(this.#root);
  }

  /** The rule of a value. */
  #rule(id: NodeId): string {
    const known = this.#names.get(id);
    if (known !== undefined) return known;
    const node = this.#branches.node(id);
    const shared = this.#sharedRule(node);
    if (shared !== undefined) {
      this.#names.set(id, shared);
      return shared;
    }
    const name = this.#rules.reserve(node.path);
    this.#names.set(id, name);
    return this.#rules.define(name, this.#ruleOf(id, node));
  }

  /** Rules of values that hold no others. */
  #sharedRule(node: Node): string | undefined {
    const { path } = node;
    if (node.kind === 'any') return valueRule(this.#rules, path);
    if (node.kind === 'string') return this.#scalars.string(node, path);
    if (node.kind === 'number') return this.#scalars.number(node, path);
    if (node.kind !== 'literals') return undefined;
    return trieRule(
      this.#rules,
      node.texts.map((text) => ({ text })),
      path,
    );
  }

  #ruleOf(id: NodeId, node: Node): Rule {
    const { path } = node;
    if (node.kind === 'object') return this.#object(node.members, path);
    if (node.kind === 'record') return recordBody(this.#rules, this.#rule(node.values), path);
    if (node.kind === 'array') return this.#array(node, path);
    return this.#union(id, path);
  }

  /** Alternatives stand side by side in one rule, so that no two ways through unions lead to the same one. */
  #union(id: NodeId, path: Path): Rule {
    const leaves = this.#branches.leavesOf(id);
    const openPaths = this.#branches.openPaths(leaves, path);
    const refs = [...new Set(leaves.map((leaf) => this.#rule(leaf)))];
    return { body: oneOf(refs), needs: refs.map((ref) => [ref]), refs, openPaths, path };
  }

  #array(
    { items, min, max }: { readonly items: NodeId; readonly min: number; readonly max: number },
    path: Path,
  ): Rule {
    const item = this.#rule(items);
    if (max === 0) return { body: '"[" "]"', needs: [[]], refs: [], openPaths: 1, path };
    const more = this.#rules.add({
      body: `"," ${SPACE} ${item}`,
      needs: [[item]],
      refs: [item],
      openPaths: 1,
      path,
    });
    const [low, high] = [Math.max(0, min - 1), max - 1];
    this.#rules.count(more, low, high, path, max === Infinity ? 'minItems' : 'maxItems');
    // A rule of its own: llama.cpp counts a group with a repetition in it as that many rules.
    const list = this.#rules.add({
      body: `${item} ${more}{${low},${high === Infinity ? '' : high}}`,
      needs: [[item]],
      refs: [item, more],
      openPaths: 1,
      path,
    });
    const body = `"[" ${list}${min === 0 ? '?' : ''} "]"`;
    return { body, needs: min === 0 ? [[]] : [[list]], refs: [list], openPaths: 1, path };
  }

  /** Members come in the order of the schema. After the first one that is written, each brings its comma. */
  #object(members: readonly Member[], path: Path): Rule {
    const named = members.map((member) => ({
      rule: this.#member(member, path),
      isRequired: member.presence === 'required',
    }));
    const refs = named.map(({ rule }) => rule);
    const needs = [named.flatMap(({ rule, isRequired }) => (isRequired ? [rule] : []))];
    if (named.length === 0) return { body: '"{" "}"', needs, refs, openPaths: 1, path };
    const firstRequired = named.findIndex(({ isRequired }) => isRequired);
    const last = firstRequired < 0 ? named.length - 1 : firstRequired;
    const starts: string[] = [];
    let rest = this.#rest(named.slice(last + 1), path);
    for (let at = last; at >= 0; at--) {
      const { rule, isRequired } = named[at] ?? { rule: '', isRequired: false };
      starts.unshift([rule, rest].join(' ').trim());
      refs.push(...(rest === '' ? [] : [rest]));
      rest = this.#rest([{ rule, isRequired }], path, rest);
    }
    const inner = starts.length === 1 ? starts[0] : `(${oneOf(starts)})`;
    const body = firstRequired < 0 ? `"{" (${oneOf(starts)})? "}"` : `"{" ${inner ?? ''} "}"`;
    return { body, needs, refs, openPaths: 1, path };
  }

  #member({ name, value }: Member, path: Path): string {
    const rule = this.#rule(value);
    const key = literal(`${JSON.stringify(name)}:`);
    const body = `${key} ${SPACE} ${rule}`;
    return this.#rules.add({ body, needs: [[rule]], refs: [rule], openPaths: 1, path });
  }

  /** Members after another, then what follows them; a rule's name, or nothing when nothing is left. */
  #rest(
    members: readonly { readonly rule: string; readonly isRequired: boolean }[],
    path: Path,
    then = '',
  ): string {
    const parts = members.map(({ rule, isRequired }) =>
      isRequired ? `"," ${SPACE} ${rule}` : `("," ${SPACE} ${rule})?`,
    );
    const body = [...parts, then].join(' ').trim();
    if (body === '') return '';
    const refs = [...members.map(({ rule }) => rule), ...(then === '' ? [] : [then])];
    const needs = [
      [
        ...members.flatMap(({ rule, isRequired }) => (isRequired ? [rule] : [])),
        ...(then === '' ? [] : [then]),
      ],
    ];
    return this.#rules.add({ body, needs, refs, openPaths: 1, path });
  }
}
