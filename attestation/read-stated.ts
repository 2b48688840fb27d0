/**
 * The JSON that a quote covers, read strictly: what a worker states and what a gateway does. Its form only; what it says is
 * judged by whoever reads it. Spec: gpu-and-policy §4.2.
 * @module
 */

import { z } from 'zod';
import { VeilError } from '../core/errors.ts';
import { isJsonObject, parseStrictJson, type Json } from '../core/json.ts';
import { statementError } from './errors.ts';
import { describeIssues } from './issues.ts';

const MAX_DEPTH = 4;
/** Seconds since 1970; well inside what a clock in milliseconds can hold. */
const INSTANT_MAX_S = 2 ** 40;
export const STATED_INSTANT = z.int().min(0).max(INSTANT_MAX_S);

export interface StatedForm<T> {
  /** The value of `fmt`. */
  readonly format: string;
  readonly maxBytes: number;
  readonly schema: z.ZodType<T>;
}

/** Throws `statement.malformed`, `statement.format`, `statement.schema`. */
export function readStated<T>(bytes: Uint8Array, { format, maxBytes, schema }: StatedForm<T>): T {
  const value = strictJson(bytes, maxBytes);
  const named = isJsonObject(value) ? value['fmt'] : undefined;
  if (typeof named === 'string' && named !== format) {
    throw statementError('statement.format', `want ${format}`);
  }
  const decoded = schema.safeParse(value);
  if (!decoded.success) throw statementError('statement.schema', describeIssues(decoded.error));
  return decoded.data;
}

function strictJson(bytes: Uint8Array, maxBytes: number): Json {
  try {
    return parseStrictJson(bytes, { maxBytes, maxDepth: MAX_DEPTH, numbers: 'integers' }).value;
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    throw statementError('statement.malformed', error.code, { cause: error });
  }
}
