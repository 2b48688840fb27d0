/** The names that members may have at a place of a policy, out of the published schema. For messages alone. @module */

import { z } from 'zod';
import { policyJsonSchema } from '../schema.ts';
import type { PolicyPath } from '../yaml.ts';

type Node = z.output<typeof NODE>;
const NODE = z.looseObject({
  properties: z.record(z.string(), z.unknown()).optional(),
  additionalProperties: z.unknown().optional(),
  items: z.unknown().optional(),
  anyOf: z.array(z.unknown()).optional(),
  oneOf: z.array(z.unknown()).optional(),
  allOf: z.array(z.unknown()).optional(),
});

/** Of all branches, where there is a choice. */
export function memberNames(): (path: PolicyPath) => readonly string[] {
  const root = policyJsonSchema();
  return (path) => {
    let nodes = branches(root);
    for (const name of path) nodes = nodes.flatMap((node) => stepped(node, name));
    return [...new Set(nodes.flatMap(({ properties = {} }) => Object.keys(properties)))];
  };
}

function branches(value: unknown): readonly Node[] {
  const read = NODE.safeParse(value);
  if (!read.success) return [];
  const { anyOf = [], oneOf = [], allOf = [] } = read.data;
  return [read.data, ...[...anyOf, ...oneOf, ...allOf].flatMap(branches)];
}

function stepped(node: Node, name: PropertyKey): readonly Node[] {
  if (typeof name === 'number') return branches(node.items);
  const known = new Map(Object.entries(node.properties ?? {})).get(String(name));
  return branches(known ?? node.additionalProperties);
}
