/**
 * References within one schema: `#`, and JSON pointers that go through places where schemas stand.
 * Spec: RFC 6901 §6; JSON Schema 2020-12 core §8.2.3.1.
 * @module
 */

import { POINTER_MAX_STEPS } from './limits.ts';
import { stepOf, type Path } from './refusal.ts';

export interface Place {
  readonly schema: unknown;
  readonly path: Path;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Never a member of the prototype. */
export function own(object: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

const MAPS = new Set(['$defs', 'definitions', 'properties']);
const LISTS = new Set(['anyOf', 'oneOf']);
const SINGLE = new Set(['items', 'additionalProperties']);

/** Where a reference leads, or undefined when it leads out of the document or to no schema. */
export function follow(reference: string, root: Place): Place | undefined {
  if (reference === '#') return root;
  if (!reference.startsWith('#/')) return undefined;
  const steps = reference.slice(2).split('/');
  if (steps.length > POINTER_MAX_STEPS) return undefined;
  let place: Place | undefined = root;
  for (let at = 0; at < steps.length && place !== undefined; at++) {
    const keyword = unescape(steps[at] ?? '');
    if (keyword === undefined || !isObject(place.schema)) return undefined;
    const inner: Place = {
      schema: own(place.schema, keyword),
      path: [...place.path, keyword],
    };
    if (SINGLE.has(keyword)) {
      place = inner;
      continue;
    }
    const step = unescape(steps[++at] ?? '');
    place = step === undefined ? undefined : childOf(inner, keyword, step);
  }
  return place?.schema === undefined ? undefined : place;
}

function childOf({ schema, path }: Place, keyword: string, step: string): Place | undefined {
  if (MAPS.has(keyword) && isObject(schema)) {
    return { schema: own(schema, step), path: [...path, stepOf(step, 'unnamed')] };
  }
  if (LISTS.has(keyword) && Array.isArray(schema) && /^(0|[1-9]\d{0,4})$/.test(step)) {
    const list: readonly unknown[] = schema;
    return { schema: list[Number(step)], path: [...path, step] };
  }
  return undefined;
}

function unescape(step: string): string | undefined {
  try {
    return decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~');
  } catch {
    // Not a percent-encoded text: it names nothing.
    return undefined;
  }
}
