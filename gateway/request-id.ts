/**
 * What an answer is called in everybody's logs: the caller's own name for it where that is harmless, else one of ours.
 * Spec: openai-gateway-and-engine §2.8.
 * @module
 */

import { randomBytes } from '#primitives';
import { toHex } from '../core/bytes.ts';

export const REQUEST_ID_HEADER = 'x-request-id';
/** Nothing in it can end a header or a line of a log, or fill either. */
const GIVEN = /^[A-Za-z0-9_-]{1,64}$/;
const ID_BYTES = 16;

/** Undefined for none, and for one that is not fit to be repeated. */
export function givenRequestId(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === 'string' && GIVEN.test(header) ? header : undefined;
}

export function newRequestId(): string {
  return `req_${toHex(randomBytes(ID_BYTES))}`;
}
