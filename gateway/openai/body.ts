/**
 * Reads a request body with a limit that holds before and while it arrives. Spec: RFC 9110 §8.6, §15.5.14.
 * @module
 */

import type { IncomingMessage } from 'node:http';
import { Gatherer } from '../../core/bytes.ts';
import { defineErrors } from '../../core/errors.ts';
import { isCutOff } from '../over-http2.ts';

export const bodyError = defineErrors({
  'body.too_large': {
    status: 413,
    recovery: 'fix_request',
    public: 'The request body is too large.',
  },
  'body.media_type': {
    status: 415,
    recovery: 'fix_request',
    public: 'The request body must be application/json.',
  },
  'body.encoding': {
    status: 415,
    recovery: 'fix_request',
    public: 'The request body must not be compressed.',
  },
  'body.aborted': {
    status: 400,
    recovery: 'fix_request',
    public: 'The request body ended early.',
  },
});

/** Throws `body.*`. The caller answers; what is left of the body is not read. */
export async function readJsonBody(
  request: IncomingMessage,
  maxBytes: number,
): Promise<Uint8Array> {
  if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? '')) {
    throw bodyError('body.media_type');
  }
  if (request.headers['content-encoding'] !== undefined) throw bodyError('body.encoding');
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw bodyError('body.too_large');
  return collect(request, maxBytes);
}

function collect(request: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const body = new Gatherer();
  request.on('data', (chunk: Uint8Array) => {
    if (body.size + chunk.length > maxBytes) {
      request.pause();
      reject(bodyError('body.too_large'));
      return;
    }
    body.push(chunk);
  });
  const cut = (): void => reject(bodyError('body.aborted'));
  request.once('end', () => {
    if (isCutOff(request)) {
      cut();
      return;
    }
    // It comes after every body, and an error is dear to make for nobody.
    request.off('close', cut);
    resolve(body.bytes());
  });
  request.once('error', (cause) => reject(bodyError('body.aborted', '', { cause })));
  request.once('close', cut);
  return promise;
}
