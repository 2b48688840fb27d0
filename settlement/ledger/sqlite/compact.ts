/**
 * Structured clone copies the whole buffer behind a view, so a few bytes of a request would carry all of it to the other
 * thread; and a view would go on changing while it waits there. @module
 */

/** A copy in which every byte string has a buffer of its own. */
export function compact<Value>(value: Value): Value;
export function compact(value: unknown): unknown {
  if (value instanceof Uint8Array) return value.slice();
  if (Array.isArray(value)) return value.map(compact);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, compact(member)]));
}
