/**
 * The rest of a body that was refused before it was read. Where a connection ends with bytes unread, the kernel tells the peer
 * of a reset and may throw away the answer that says why; so the rest is read and dropped, up to a bound. Spec: RFC 9112 §9.6.
 * @module
 */

import type { IncomingMessage } from 'node:http';
import { REFUSED_BODY_LINGER_MS, REFUSED_BODY_MAX_BYTES } from './limits.ts';

export interface RestLimits {
  readonly maxBytes: number;
  readonly lingerMs: number;
}

const LIMITS: RestLimits = {
  maxBytes: REFUSED_BODY_MAX_BYTES,
  lingerMs: REFUSED_BODY_LINGER_MS,
};

/** Once the answer is written. A peer that goes on beyond the bounds is cut. */
export function dropRest(
  request: IncomingMessage,
  { maxBytes, lingerMs }: RestLimits = LIMITS,
): void {
  let left = maxBytes;
  const late = setTimeout(() => request.destroy(), lingerMs);
  late.unref();
  request.once('close', () => clearTimeout(late));
  // Whoever read the beginning would stop at every piece that is too many.
  request.removeAllListeners('data');
  request.on('data', (piece: Uint8Array) => {
    left -= piece.length;
    if (left < 0) request.destroy();
  });
  request.resume();
}
