/**
 * Whose earlier prompts a request may go on with. A worker does not know who pays, and must not: what tells tenants apart is a
 * secret of the client inside the seal. Spec: P§7.2.
 * @module
 */

import { sha256 } from '#primitives';
import { concat, lengthPrefixed, toHex, utf8 } from '../core/bytes.ts';
import type { InnerRequest } from '../protocol/sx/inner.ts';
import { CACHE_SALT_MIN_CHARS } from './limits.ts';

const HEADER = 'sx-cache-salt';
const LABEL = 'sx1 prefix cache';

/** Undefined: with nobody's. `key` only divides what the salt names: it is no secret. */
export function cacheNamespaceOf(
  { headers }: Pick<InnerRequest, 'headers'>,
  key: string | undefined,
): string | undefined {
  const salt = headers.find(([name]) => name === HEADER)?.[1];
  // A stranger could guess a short one.
  if (salt === undefined || salt.length < CACHE_SALT_MIN_CHARS) return undefined;
  const divided = key === undefined ? [] : [lengthPrefixed(utf8(key))];
  return toHex(sha256(concat(utf8(LABEL), lengthPrefixed(utf8(salt)), ...divided)));
}
