/**
 * Answers of the OpenAI surface on raw responses, each with a request id. Spec: OpenAI API reference, "Debugging
 * requests".
 * @module
 */

import type { ServerResponse } from 'node:http';
import type { FrontFailure } from '../../protocol/openai/chat-front.ts';
import { newRequestId } from '../request-id.ts';

/** For the time before the status line. Does nothing once the client has left. */
export function respondFailure(response: ServerResponse, failure: FrontFailure): void {
  respondJson(response, failure.status, failure.body, failure.headers);
}

export function respondJson(
  response: ServerResponse,
  status: number,
  body: object,
  headers: readonly (readonly [name: string, value: string])[] = [],
): void {
  if (response.headersSent || response.destroyed) return;
  response.statusCode = status;
  for (const [name, value] of headers) response.setHeader(name, value);
  response.setHeader('content-type', 'application/json');
  response.setHeader('cache-control', 'no-store');
  if (!response.hasHeader('x-request-id')) response.setHeader('x-request-id', newRequestId());
  response.end(JSON.stringify(body));
}
