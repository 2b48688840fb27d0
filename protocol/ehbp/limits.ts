/** Every bound of the EHBP profile in one place. Spec: docs/ehbp.md "Limits". @module */

import { REQUEST_WIRE_MAX_BYTES } from '../sx/limits.ts';

/** Prelude, kid, encapsulated key and path take less. */
const ENVELOPE_MAX_BYTES = 1024;
/** An encrypted body with its chunk headers and tags. */
export const EHBP_BODY_MAX_BYTES: number = REQUEST_WIRE_MAX_BYTES - ENVELOPE_MAX_BYTES;
/**
 * Of one request: the JavaScript client sends one, others one for each write of 16 KiB and more. All of them are
 * opened in one go, for nothing if the last one does not open; measured 10 to 17 µs each.
 */
export const EHBP_CHUNKS_MAX = 2048;
export const EHBP_PATH_MAX_BYTES = 64;
/** Of each key: 200 requests a second for half an hour, after which there is a new one. Measured 70 bytes an entry. */
export const EHBP_REPLAY_ENTRIES_MAX = 400_000;
