/**
 * Pages of the origins that the operator lists may ask; nobody else's are told anything. Off by default. No cookies and no
 * credentials of the browser's are involved: whoever asks brings a key, a token or a voucher in a header.
 * Spec: WHATWG Fetch §3.3 "CORS protocol"; openai-gateway-and-engine §2.8.
 * @module
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { EHBP_PREFIX } from './ehbp/ehbp-route.ts';
import { EXCHANGE_PATH } from './exchange-route.ts';

/** A page may not ask for more: `authorization`, `content-type`, some of ours, and two dozen of an SDK. */
const HEADERS_MAX_CHARS = 2048;
/** Spec: RFC 9110 §5.6.2, tokens in a list as Fetch writes it. */
const HEADER_NAMES = /^[!#$%&'*+.^_`|~\w-]+(,[ ]?[!#$%&'*+.^_`|~\w-]+)*$/;
/** What Chromium keeps at most is two hours; a list that was shortened should count sooner. */
const PREFLIGHT_MAX_AGE_S = 600;

/**
 * True when the request was a preflight and is answered. Else what answers it later carries the headers set here, where
 * the origin is listed.
 */
export function answerCors(
  origins: readonly string[],
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  if (origins.length === 0 || !isShown(request.url ?? '')) return false;
  response.setHeader('vary', 'origin');
  const { origin } = request.headers;
  if (origin === undefined || !origins.includes(origin)) return false;
  response.setHeader('access-control-allow-origin', origin);
  // Of a request without credentials "*" means every header, and all of them are this gateway's own.
  response.setHeader('access-control-expose-headers', '*');
  if (!isPreflight(request)) return false;
  response.setHeader('access-control-allow-methods', 'GET, POST');
  const asked = request.headers['access-control-request-headers'];
  if (asked !== undefined && asked.length <= HEADERS_MAX_CHARS && HEADER_NAMES.test(asked)) {
    response.setHeader('access-control-allow-headers', asked);
  }
  response.setHeader('access-control-max-age', String(PREFLIGHT_MAX_AGE_S));
  response.writeHead(204);
  response.end();
  return true;
}

/** What apps ask: the admin port and the probes of an operator are none of a page's business. */
function isShown(url: string): boolean {
  return url === EXCHANGE_PATH || url.startsWith('/v1/') || url.startsWith(EHBP_PREFIX);
}

function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers['access-control-request-method'] !== undefined;
}
