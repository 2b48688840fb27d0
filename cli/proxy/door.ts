/**
 * Who may ask: programs of this machine that hold the token. A page in a browser may not, whatever it knows: its requests
 * name an origin or a site, and a name that somebody pointed at this machine is not one of this machine's names.
 * Spec: gateways-and-e2ee §7.8; Fetch, "Origin header"; W3C Fetch Metadata §2.
 * @module
 */

import { isIP } from 'node:net';
import type { IncomingMessage } from 'node:http';
import { openAiFailure, type OpenAiFailure } from '../../protocol/openai/errors.ts';

export type RefusalReason = 'peer' | 'host' | 'browser' | 'target' | 'token';

const FORBIDDEN: Readonly<Record<Exclude<RefusalReason, 'token'>, string>> = {
  peer: 'This proxy serves programs of its own machine only.',
  host: 'The Host header must name this machine: 127.0.0.1, [::1] or localhost.',
  browser: 'This proxy does not serve web pages: requests with an origin are refused.',
  target: 'The target of the request must be a path.',
};

const TOKEN =
  'The token of this proxy is missing or wrong: send it as "Authorization: Bearer …", which SDKs do with what they call API key.';

export function refusalFailure(reason: RefusalReason): OpenAiFailure {
  return reason === 'token'
    ? openAiFailure('invalid_api_key', { message: TOKEN })
    : openAiFailure('policy_denied', { message: FORBIDDEN[reason] });
}

/** Undefined: come in. In this order, so that a page learns nothing about tokens. */
export function refusalOf(
  request: IncomingMessage,
  isToken: (authorization: string | undefined) => boolean,
): RefusalReason | undefined {
  if (!isLoopbackAddress(request.socket.remoteAddress)) return 'peer';
  if (!isHere(request.headersDistinct['host'])) return 'host';
  const { origin, 'sec-fetch-site': site } = request.headers;
  if (origin !== undefined || site !== undefined) return 'browser';
  if (request.url?.startsWith('/') !== true) return 'target';
  const given = request.headersDistinct['authorization'] ?? [];
  return given.length === 1 && isToken(given[0]) ? undefined : 'token';
}

const HERE = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

/** Any port: it may be forwarded, and the name is what a page in a browser cannot choose. */
function isHere(hosts: readonly string[] | undefined): boolean {
  return hosts?.length === 1 && HERE.test(hosts[0] ?? '');
}

/** RFC 1122 §3.2.1.3 (g); RFC 4291 §2.5.3. An address, no name: names are somebody else's to answer for. */
export function isLoopbackAddress(address: string | undefined): boolean {
  if (address === undefined) return false;
  const plain = address.replace(/^::ffff:/i, '');
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'));
}
