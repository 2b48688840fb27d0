/**
 * Bodies of the control routes: JSON that says so, a few at once, each within seconds. A web page can send other types
 * to any address without asking first; JSON it cannot. Spec: gateways-and-e2ee §8.2 E1.
 * @module
 */

import type { z } from 'zod';
import { Gatherer } from '../core/bytes.ts';
import { parseJson } from '../core/json.ts';
import { gatewayError } from './errors.ts';
import { CONTROL_BODIES_MAX, CONTROL_BODY_MAX_BYTES, CONTROL_BODY_TIMEOUT_MS } from './limits.ts';

/** Throws `gateway.media_type`. */
export function assertJson(request: Request): void {
  const [type = ''] = (request.headers.get('content-type') ?? '').split(';');
  if (type.trim().toLowerCase() !== 'application/json') throw gatewayError('gateway.media_type');
}

/** Throws `gateway.body` with the path of what does not fit, and never its value. */
export function decodeBody<T>(schema: z.ZodType<T>, json: unknown): T {
  const decoded = schema.safeParse(json);
  if (decoded.success) return decoded.data;
  throw gatewayError('gateway.body', decoded.error.issues[0]?.path.join('.') ?? '');
}

export class ControlBodies {
  #reading = 0;

  /** Throws `gateway.media_type`, `gateway.busy`, `gateway.timeout`, `json.*`. The size is the caller's limit. */
  async json(request: Request): Promise<unknown> {
    assertJson(request);
    if (this.#reading >= CONTROL_BODIES_MAX) throw gatewayError('gateway.busy');
    this.#reading++;
    try {
      return parseJson(await readAll(request), CONTROL_BODY_MAX_BYTES);
    } finally {
      this.#reading--;
    }
  }
}

/** A body that trickles would hold its place for the whole request timeout, and a few such would hold them all. */
async function readAll(request: Request): Promise<Uint8Array> {
  const gatherer = new Gatherer();
  const reader = request.body?.getReader();
  if (reader === undefined) return gatherer.bytes();
  const late = AbortSignal.timeout(CONTROL_BODY_TIMEOUT_MS);
  late.addEventListener('abort', () => void reader.cancel(), { once: true });
  for (;;) {
    const { done, value } = await reader.read();
    if (late.aborted) throw gatewayError('gateway.timeout');
    if (done) return gatherer.bytes();
    gatherer.push(value);
  }
}
