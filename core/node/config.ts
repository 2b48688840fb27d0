/**
 * Configuration: defaults < file < environment, decoded once by a strict schema and frozen. A key nobody knows
 * refuses to start, in the file and in the environment alike. The only reader of the environment. Spec: STYLE §11.
 * @module
 */

import { readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { fromUtf8, toHex } from '../bytes.ts';
import { defineErrors, type ErrorSpec } from '../errors.ts';

const MISCONFIGURED: ErrorSpec = {
  status: 500,
  recovery: 'stop',
  public: 'The configuration is not valid.',
};

export const configError = defineErrors({
  'config.file': MISCONFIGURED,
  'config.syntax': MISCONFIGURED,
  'config.unknown_variable': MISCONFIGURED,
  'config.invalid': MISCONFIGURED,
});

const FILE_MAX_BYTES = 262_144;

export type Environment = Readonly<Record<string, string | undefined>>;

/** For what starts other programs; configuration itself goes through `loadConfig`. */
export function processEnvironment(): Environment {
  return process.env;
}

export interface ConfigSource {
  /** 'gateway': variables are `VEILGATE_GATEWAY_<KEY>`. */
  readonly part: string;
  /** YAML or JSON; absent means defaults and environment only. */
  readonly filePath?: string;
  readonly environment?: Environment;
}

/** Throws `config.*`; messages name the path or the variable and never echo a value. */
export function loadConfig<Schema extends z.ZodType>(
  schema: Schema,
  source: ConfigSource,
): z.output<Schema> {
  const environment = source.environment ?? processEnvironment();
  const fromFile = source.filePath === undefined ? {} : readConfigFile(source.filePath);
  const merged = withEnvironment(fromFile, schema, source.part, environment);
  return decodeConfig(schema, merged);
}

export function decodeConfig<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return deepFreeze(result.data);
  const places = result.error.issues.slice(0, 8).map((issue) => {
    const keys = issue.code === 'unrecognized_keys' ? ` (${issue.keys.join(', ')})` : '';
    return `${issue.path.map(String).join('.') || '(top)'}: ${issue.code}${keys}`;
  });
  throw configError('config.invalid', places.join('; '));
}

function readConfigFile(path: string): Tree {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw configError('config.file', path, { cause });
  }
  if (bytes.length > FILE_MAX_BYTES) throw configError('config.file', `${path}: too large`);
  try {
    // JSON is YAML; one parser reads both. Aliases are off: a small file must not become a large tree.
    return treeOf(parseYaml(fromUtf8(bytes), { uniqueKeys: true, maxAliasCount: 0 }) ?? {});
  } catch {
    // The parser's message quotes the file, which may hold a secret by mistake.
    throw configError('config.syntax', path);
  }
}

type Tree = { [key: string]: unknown };

function treeOf(value: unknown): Tree {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw configError('config.syntax', 'a mapping is expected');
  }
  return { ...value };
}

/** camelCase path → `VEILGATE_<PART>_<KEY>`. */
export function variableName(part: string, path: readonly string[]): string {
  const words = path.map((key) => key.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase());
  return ['VEILGATE', part.toUpperCase().replaceAll('-', '_'), ...words].join('_');
}

interface Leaf {
  readonly path: readonly string[];
  readonly isText: boolean;
}

const JSON_SCHEMA_NODE = z.looseObject({
  type: z.unknown().optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  oneOf: z.array(z.unknown()).optional(),
});

function leavesOf(node: unknown, path: readonly string[]): readonly Leaf[] {
  const { type, properties, oneOf } = JSON_SCHEMA_NODE.parse(node);
  // Of a choice between mappings, every member can be named; the schema judges what they are together.
  if (oneOf !== undefined) return oneOf.flatMap((choice) => leavesOf(choice, path));
  if (properties === undefined) return [{ path, isText: type === 'string' }];
  return Object.entries(properties).flatMap(([key, child]) => leavesOf(child, [...path, key]));
}

function withEnvironment(
  tree: Tree,
  schema: z.ZodType,
  part: string,
  environment: Environment,
): Tree {
  const prefix = variableName(part, []);
  const leaves = new Map(
    leavesOf(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }), []).map((leaf) => [
      variableName(part, leaf.path),
      leaf,
    ]),
  );
  let out = tree;
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith(`${prefix}_`) || text === undefined) continue;
    const leaf = leaves.get(name);
    if (leaf === undefined) throw configError('config.unknown_variable', name);
    out = withValue(out, leaf.path, leaf.isText ? text : scalarOf(name, text));
  }
  return out;
}

function scalarOf(name: string, text: string): unknown {
  try {
    return parseYaml(text, { maxAliasCount: 0 });
  } catch {
    // The parser's message quotes the value.
    throw configError('config.syntax', name);
  }
}

function withValue(tree: Tree, path: readonly string[], value: unknown): Tree {
  const [key, ...rest] = path;
  if (key === undefined) return tree;
  if (rest.length === 0) return { ...tree, [key]: value };
  return { ...tree, [key]: withValue(treeOf(tree[key] ?? {}), rest, value) };
}

function deepFreeze<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  for (const member of Object.values(value)) deepFreeze(member);
  return Object.freeze(value);
}

const SECRET_NAME = /(secret|token|password|passphrase|apiKey|privateKey)$/i;

/** For `--check-config`: what would run, as JSON, without anything that could be a secret. */
export function redactedConfig(config: unknown): string {
  const hide = (key: string, value: unknown): unknown => {
    if (SECRET_NAME.test(key)) return '(redacted)';
    if (value instanceof Uint8Array) return toHex(value);
    return typeof value === 'bigint' ? value.toString() : value;
  };
  return JSON.stringify(config, hide, 2);
}
