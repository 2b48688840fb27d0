/**
 * Where an answer over HTTP/2 differs from one over HTTP/1.1: it owns a stream and not the connection. Handlers know the
 * classes of `node:http`; Node's own for HTTP/2 have the same members but for those that are mended here.
 * Spec: RFC 9113 §8.1, §8.1.1, §8.2.2.
 * @module
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  constants,
  Http2ServerRequest,
  Http2ServerResponse,
  type ServerHttp2Stream,
} from 'node:http2';
import { dropRest } from './refused-body.ts';

/** A class, because `node:http2` takes nothing else. */
export class Http2Answer<
  Request extends Http2ServerRequest = Http2ServerRequest,
> extends Http2ServerResponse<Request> {
  /** Node's would end a stream that has begun as if it were whole. */
  override destroy(): this {
    this.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    return this;
  }
}

Object.defineProperties(Http2Answer.prototype, {
  /** Node's has none at all, and what is written to a stream that is gone would wait for ever. */
  destroyed: {
    get(this: Http2Answer): boolean {
      return this.stream.destroyed || this.stream.closed;
    },
  },
  /** Node ends a stream that its reader has left, and calls that finished: nobody would stop the worker. */
  writableFinished: {
    get(this: Http2Answer): boolean {
      const { writableFinished, aborted, rstCode } = this.stream;
      return writableFinished && !aborted && rstCode === constants.NGHTTP2_NO_ERROR;
    },
  },
});

/** Undefined for an answer over HTTP/1.1. */
export function streamOf(response: ServerResponse): ServerHttp2Stream | undefined {
  const answer: unknown = response;
  return answer instanceof Http2Answer ? answer.stream : undefined;
}

/**
 * What was not read of the body must not become the next request, nor be sent any further: with the answer its connection
 * ends, or its stream.
 */
export function endUnread(request: IncomingMessage, response: ServerResponse): void {
  if (request.complete) return;
  const stream = streamOf(response);
  if (stream !== undefined) {
    stream.once('finish', () => stream.close(constants.NGHTTP2_NO_ERROR));
    return;
  }
  if (!response.headersSent) response.setHeader('connection', 'close');
  response.once('finish', () => request.destroy());
}

/**
 * The same where the answer has to arrive: a connection that ends with bytes unread may take it along, so over HTTP/1.1 they are
 * read and dropped, within bounds.
 */
export function dropUnread(request: IncomingMessage, response: ServerResponse): void {
  if (streamOf(response) !== undefined) endUnread(request, response);
  else if (!request.complete) dropRest(request);
}

/** The last bytes of an answer that is not whole: its reader must see an error, also where it skips what they say. */
export function breakOff(response: ServerResponse, last: Uint8Array | string): void {
  const stream = streamOf(response);
  const { socket } = response;
  response.write(last, () => {
    if (stream === undefined) socket?.end();
    else stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  });
}

/** Its end is none: its sender left before. Over HTTP/1.1 no end is told then; over HTTP/2 one that looks like any other. */
export function isCutOff(request: IncomingMessage): boolean {
  const asked: unknown = request;
  return asked instanceof Http2ServerRequest && asked.aborted;
}
