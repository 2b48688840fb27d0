/** `enum` and `const`: values as the one JSON text in which they may be written. @module */

import { typesOf, type Schema, type TypeName } from './keywords.ts';
import { ENUM_VALUE_MAX_DEPTH } from './limits.ts';
import { literalKind } from './nodes.ts';
import { own } from './pointer.ts';
import { refuse, type Path } from './refusal.ts';

/** What is left of the values and characters that all enums of a schema may have together. */
export interface EnumPurse {
  values: number;
  chars: number;
}

/** Throws `grammar.*`. The texts are distinct and at least one. */
export function enumTexts(schema: Schema, path: Path, purse: EnumPurse): readonly string[] {
  const types = typesOf(schema, path);
  const constant = Object.hasOwn(schema, 'const')
    ? textOfValue(schema['const'], path, 'const')
    : undefined;
  const listed = Object.hasOwn(schema, 'enum') ? listedTexts(schema, path, purse) : undefined;
  const texts = listed ?? (constant === undefined ? [] : [constant]);
  const kept = [...new Set(texts)].filter(
    (text) => (constant === undefined || text === constant) && isOfTypes(text, types),
  );
  const keyword = listed === undefined ? 'const' : 'enum';
  if (kept.length === 0) throw refuse('grammar.unsatisfiable', path, keyword);
  purse.chars -= kept.reduce((sum, text) => sum + text.length, 0);
  if (purse.chars < 0) throw refuse('grammar.limit', path, keyword);
  return kept;
}

function listedTexts(schema: Schema, path: Path, purse: EnumPurse): readonly string[] {
  const list = own(schema, 'enum');
  if (!Array.isArray(list) || list.length === 0) throw refuse('grammar.invalid', path, 'enum');
  purse.values -= list.length;
  if (purse.values < 0) throw refuse('grammar.limit', path, 'enum');
  return list.map((value: unknown) => textOfValue(value, path, 'enum'));
}

function textOfValue(value: unknown, path: Path, keyword: string): string {
  assertPlain(value, 0, path, keyword);
  return JSON.stringify(value);
}

/** Numbers that JSON cannot write and halves of characters would come out as something else. */
function assertPlain(value: unknown, depth: number, path: Path, keyword: string): void {
  if (depth > ENUM_VALUE_MAX_DEPTH) throw refuse('grammar.limit', path, keyword);
  if (value === null || typeof value === 'boolean') return;
  if (typeof value === 'string' && value.isWellFormed()) return;
  if (typeof value === 'number' && Number.isFinite(value)) return;
  if (typeof value !== 'object') throw refuse('grammar.invalid', path, keyword);
  for (const [name, inner] of Object.entries(value)) {
    assertPlain(name, depth + 1, path, keyword);
    assertPlain(inner, depth + 1, path, keyword);
  }
}

function isOfTypes(text: string, types: readonly TypeName[] | undefined): boolean {
  if (types === undefined) return true;
  const kind = literalKind(text);
  if (kind === 'word') return types.includes(text === 'null' ? 'null' : 'boolean');
  if (kind !== 'number') return types.includes(kind);
  return types.includes('number') || (types.includes('integer') && Number.isInteger(Number(text)));
}
