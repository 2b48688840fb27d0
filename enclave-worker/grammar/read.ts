/**
 * Reads a JSON Schema of OpenAI's strict subset, and somewhat more, into nodes. What it does not honour it refuses by
 * the name and the path of the keyword; nothing is ignored but annotations. References are followed once, so that a
 * schema costs what it is long, however often it refers to itself. Spec: docs/structured-output.md.
 * @module
 */

import { enumTexts, type EnumPurse } from './enums.ts';
import { FORMAT_PATTERNS, OTHER_FORMATS } from './formats.ts';
import {
  assertOfTypes,
  countsOf,
  isNullable,
  numberOf,
  textOf,
  typesOf,
  wholeKeyword,
  type Schema,
  type TypeName,
} from './keywords.ts';
import {
  BRANCHES_MAX,
  ENUM_TEXT_MAX_CHARS,
  ENUM_VALUES_MAX,
  MEMBERS_MAX,
  NAME_MAX_CHARS,
  OPTIONAL_MEMBERS_MAX,
  PATTERN_MAX_CHARS,
  SCHEMA_DEPTH_MAX,
  SCHEMA_NODES_MAX,
} from './limits.ts';
import type { Bound, Member, Node, NodeForm, NodeId, SchemaGraph } from './nodes.ts';
import { follow, isObject, own, type Place } from './pointer.ts';
import { refuse, stepOf, type Path } from './refusal.ts';

/** Throws `grammar.*`. `schema` is untrusted JSON. */
export function readSchema(schema: unknown, path: Path): SchemaGraph {
  return new SchemaReader({ schema, path }).graph();
}

class SchemaReader {
  readonly #root: Place;
  readonly #nodes: (Node | undefined)[] = [];
  readonly #ids = new Map<object, NodeId>();
  readonly #enums: EnumPurse = { values: ENUM_VALUES_MAX, chars: ENUM_TEXT_MAX_CHARS };

  constructor(root: Place) {
    this.#root = root;
  }

  graph(): SchemaGraph {
    const root = this.#read(this.#root, 0);
    return { root, nodes: this.#nodes.flatMap((node) => (node === undefined ? [] : [node])) };
  }

  #add(form: NodeForm, path: Path): NodeId {
    const id = this.#reserve(path);
    this.#nodes[id] = { ...form, path };
    return id;
  }

  #reserve(path: Path): NodeId {
    if (this.#nodes.length >= SCHEMA_NODES_MAX) throw refuse('grammar.limit', path, 'schema');
    return this.#nodes.push(undefined) - 1;
  }

  #read({ schema, path }: Place, depth: number): NodeId {
    if (depth > SCHEMA_DEPTH_MAX) throw refuse('grammar.limit', path, 'schema');
    if (schema === true) return this.#add({ kind: 'any' }, path);
    if (schema === false) throw refuse('grammar.unsatisfiable', path, 'false');
    if (!isObject(schema)) throw refuse('grammar.invalid', path, 'schema');
    const known = this.#ids.get(schema);
    if (known !== undefined) return known;
    const whole = wholeKeyword(schema, path);
    const id = this.#reserve(path);
    this.#ids.set(schema, id);
    const forms = this.#forms(schema, path, { whole, depth });
    const nullable = isNullable(schema, path) ? [NULL] : [];
    this.#nodes[id] = { ...this.#joined([...forms, ...nullable], path), path };
    return id;
  }

  #forms(
    schema: Schema,
    path: Path,
    { whole, depth }: { whole: ReturnType<typeof wholeKeyword>; depth: number },
  ): readonly NodeForm[] {
    if (whole === undefined) return this.#typed(schema, path, depth);
    if (whole === '$ref') return [this.#reference(schema, path, depth)];
    if (whole === 'anyOf' || whole === 'oneOf') return [this.#union(whole, schema, path, depth)];
    return [{ kind: 'literals', texts: enumTexts(schema, path, this.#enums) }];
  }

  #joined(forms: readonly NodeForm[], path: Path): NodeForm {
    const [only] = forms;
    if (only !== undefined && forms.length === 1) return only;
    return { kind: 'union', rule: 'any', branches: forms.map((form) => this.#add(form, path)) };
  }

  /** A reference is a union of one, so that it needs no value of its own: what it leads to may not be read yet. */
  #reference(schema: Schema, path: Path, depth: number): NodeForm {
    const reference = textOf(schema, '$ref', path) ?? '';
    const target = follow(reference, this.#root);
    if (target === undefined) {
      const outside = reference.startsWith('#') ? 'grammar.invalid' : 'grammar.unsupported';
      throw refuse(outside, path, '$ref');
    }
    return { kind: 'union', rule: 'any', branches: [this.#read(target, depth + 1)] };
  }

  #union(keyword: 'anyOf' | 'oneOf', schema: Schema, path: Path, depth: number): NodeForm {
    const list = own(schema, keyword);
    if (!Array.isArray(list) || list.length === 0) throw refuse('grammar.invalid', path, keyword);
    if (list.length > BRANCHES_MAX) throw refuse('grammar.limit', path, keyword);
    const branches = list.map((branch: unknown, index) =>
      this.#read({ schema: branch, path: [...path, keyword, String(index)] }, depth + 1),
    );
    return { kind: 'union', rule: keyword === 'oneOf' ? 'one' : 'any', branches };
  }

  #typed(schema: Schema, path: Path, depth: number): readonly NodeForm[] {
    const types = typesOf(schema, path);
    if (types === undefined) return [{ kind: 'any' }];
    assertOfTypes(schema, types, path);
    // Every integer is a number.
    const told = types.filter((type) => type !== 'integer' || !types.includes('number'));
    return told.map((type) => this.#ofType(type, schema, path, depth));
  }

  #ofType(type: TypeName, schema: Schema, path: Path, depth: number): NodeForm {
    if (type === 'object') return this.#object(schema, path, depth);
    if (type === 'array') return this.#array(schema, path, depth);
    if (type === 'string') return stringForm(schema, path);
    if (type === 'boolean') return { kind: 'literals', texts: ['true', 'false'] };
    if (type === 'null') return NULL;
    return numberForm(schema, path, type === 'integer');
  }

  #object(schema: Schema, path: Path, depth: number): NodeForm {
    assertPlainNames(schema, path);
    const properties = own(schema, 'properties') ?? {};
    if (!isObject(properties)) throw refuse('grammar.invalid', path, 'properties');
    const names = Object.keys(properties);
    if (names.length > MEMBERS_MAX) throw refuse('grammar.limit', path, 'properties');
    const required = requiredOf(schema, properties, path);
    const others = this.#others(schema, path, depth);
    if (names.length === 0 && others !== undefined) return { kind: 'record', values: others };
    const members = names.map((name, position): Member => {
      assertName(name, path, 'properties');
      const place = {
        schema: own(properties, name),
        path: [...path, 'properties', stepOf(name, String(position))],
      };
      const presence = required.has(name) ? 'required' : 'optional';
      return { name, value: this.#read(place, depth + 1), presence };
    });
    const optional = members.filter(({ presence }) => presence === 'optional');
    if (optional.length > OPTIONAL_MEMBERS_MAX) throw refuse('grammar.limit', path, 'required');
    return { kind: 'object', members };
  }

  /** Members that are not named are allowed by default; a schema that names some gets those and no others. */
  #others(schema: Schema, path: Path, depth: number): NodeId | undefined {
    const others = own(schema, 'additionalProperties') ?? true;
    if (others === false) return undefined;
    return this.#read({ schema: others, path: [...path, 'additionalProperties'] }, depth + 1);
  }

  #array(schema: Schema, path: Path, depth: number): NodeForm {
    const [min, max] = countsOf(schema, ['minItems', 'maxItems'], path);
    const items = own(schema, 'items') ?? true;
    if (Array.isArray(items)) throw refuse('grammar.unsupported', path, 'items');
    return {
      kind: 'array',
      items: this.#read({ schema: items, path: [...path, 'items'] }, depth + 1),
      min,
      max,
    };
  }
}

const NULL: NodeForm = { kind: 'literals', texts: ['null'] };

/** zod writes `propertyNames: {type: "string"}`, which says nothing. Anything more is not honoured. */
function assertPlainNames(schema: Schema, path: Path): void {
  const names = own(schema, 'propertyNames');
  if (names === undefined || names === true) return;
  const says = isObject(names) ? Object.entries(names) : [['', '']];
  if (says.every(([keyword, value]) => keyword === 'type' && value === 'string')) return;
  throw refuse('grammar.unsupported', path, 'propertyNames');
}

function requiredOf(schema: Schema, properties: Schema, path: Path): ReadonlySet<string> {
  const required = own(schema, 'required') ?? [];
  if (!Array.isArray(required)) throw refuse('grammar.invalid', path, 'required');
  if (required.length > MEMBERS_MAX) throw refuse('grammar.limit', path, 'required');
  const names = new Set<string>();
  for (const name of required) {
    if (typeof name !== 'string') throw refuse('grammar.invalid', path, 'required');
    if (!Object.hasOwn(properties, name)) throw refuse('grammar.unsupported', path, 'required');
    names.add(name);
  }
  return names;
}

function assertName(name: string, path: Path, keyword: string): void {
  if (name.length > NAME_MAX_CHARS) throw refuse('grammar.limit', path, keyword);
  if (!name.isWellFormed()) throw refuse('grammar.invalid', path, keyword);
}

function stringForm(schema: Schema, path: Path): NodeForm {
  const [min, max] = countsOf(schema, ['minLength', 'maxLength'], path);
  const pattern = textOf(schema, 'pattern', path);
  if (pattern !== undefined && pattern.length > PATTERN_MAX_CHARS) {
    throw refuse('grammar.limit', path, 'pattern');
  }
  const format = textOf(schema, 'format', path);
  const known =
    format !== undefined && Object.hasOwn(FORMAT_PATTERNS, format)
      ? FORMAT_PATTERNS[format]
      : undefined;
  const isNote = format !== undefined && pattern !== undefined && !OTHER_FORMATS.has(format);
  if (format !== undefined && known === undefined && !isNote) {
    throw refuse('grammar.unsupported', path, 'format');
  }
  const patterns = [known, pattern].flatMap((text) => (text === undefined ? [] : [text]));
  return { kind: 'string', min, max, patterns };
}

function numberForm(schema: Schema, path: Path, whole: boolean): NodeForm {
  const bound = (
    keywords: readonly [string, string],
    prefer: typeof Math.max,
  ): Bound | undefined => {
    const [at, beyond] = keywords.map((keyword, index) => {
      const value = numberOf(schema, keyword, path);
      return value === undefined ? undefined : { value, inclusive: index === 0, keyword };
    });
    if (at === undefined || beyond === undefined) return at ?? beyond;
    return prefer(at.value, beyond.value) === beyond.value ? beyond : at;
  };
  return {
    kind: 'number',
    whole,
    low: bound(['minimum', 'exclusiveMinimum'], Math.max),
    high: bound(['maximum', 'exclusiveMaximum'], Math.min),
  };
}
