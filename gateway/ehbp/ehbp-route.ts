/**
 * `/e/<kid>/…` for unmodified EHBP clients: one address per worker key. The gateway reads headers and lengths, writes the
 * prelude that such a client does not have, and hands both to the dispatch of every sealed request.
 * Spec: EHBP; docs/ehbp.md; gateways-and-e2ee §5.4.
 * @module
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { fixed, fromHex, Gatherer, type Bytes } from '../../core/bytes.ts';
import { codeOf } from '../../core/node/log.ts';
import { ehbpMessageId, encodeEhbpEnvelope } from '../../protocol/ehbp/envelope.ts';
import { EHBP_BODY_MAX_BYTES } from '../../protocol/ehbp/limits.ts';
import {
  ENCAPSULATED_KEY_HEADER,
  KEY_CONFIG_PATH,
  KEY_CONFIG_TYPE,
  keyConfig,
} from '../../protocol/ehbp/names.ts';
import { endpointAt, type EndpointPath } from '../../protocol/openai/endpoints.ts';
import { openAiFailure } from '../../protocol/openai/errors.ts';
import { modelList, modelObject } from '../../protocol/openai/models.ts';
import { refused, sxError } from '../../protocol/sx/errors.ts';
import type { BodyBudget } from '../body-budget.ts';
import { dispatch, type DispatchDeps } from '../dispatch.ts';
import { gatewayError } from '../errors.ts';
import { withBearer } from '../openai/plain-caller.ts';
import { respondFailure, respondJson } from '../openai/respond.ts';
import { isCutOff } from '../over-http2.ts';
import type { PaymentRefusal } from '../payments/cashier.ts';
import type { Headers } from '../payments/edge.ts';
import type { Payers } from '../payments/payers.ts';
import { EHBP_FORM } from '../sealed-form.ts';
import type { LiveWorker } from '../workers/registry.ts';
import { askedBounds, ehbpPrelude, type EhbpFacts } from './bounds.ts';
import { EhbpSink, respondEhbpError } from './ehbp-sink.ts';

export const EHBP_PREFIX = '/e/';

export interface EhbpRouteDeps {
  readonly payers: Payers;
  readonly demand: (refusal: PaymentRefusal) => Headers;
  readonly network: string | undefined;
  readonly dispatch: DispatchDeps;
  readonly bodies: BodyBudget;
}

interface Target {
  readonly kid: Bytes<16>;
  /** Below the address of the key. */
  readonly path: string;
}

const TARGET = /^\/e\/([0-9a-f]{32})(\/[^?#]*)$/;
const MODELS_PATH = '/v1/models';
const MS_PER_S = 1000;

/** False: the path is not of this surface, and the caller answers. Otherwise the response is taken care of. */
export function serveEhbp(
  deps: EhbpRouteDeps,
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  const { url = '', method } = request;
  if (!url.startsWith(EHBP_PREFIX)) return false;
  const target = targetOf(url);
  const endpoint = target === undefined ? undefined : endpointAt(target.path);
  if (target === undefined) respondFailure(response, openAiFailure('unknown_url'));
  else if (endpoint === undefined) serveOpen(deps, target, { request, response });
  else if (method !== 'POST') respondFailure(response, openAiFailure('method_not_allowed'));
  else void handleEhbp(deps, { kid: target.kid, path: endpoint.path }, { request, response });
  return true;
}

function targetOf(url: string): Target | undefined {
  const [, kid, path] = TARGET.exec(url) ?? [];
  if (kid === undefined || path === undefined) return undefined;
  return { kid: fixed(fromHex(kid), 16), path };
}

interface HttpExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** What has no body is not encrypted, in EHBP: the key, and the name of the model. Nothing here is proven by being here. */
function serveOpen(
  { dispatch: { registry, clock } }: EhbpRouteDeps,
  { kid, path }: Target,
  { request, response }: HttpExchange,
): void {
  const key = registry.byEhbpKid(kid)?.key;
  const isModel = path === MODELS_PATH || path.startsWith(`${MODELS_PATH}/`);
  if (key?.ehbp === undefined || !(isModel || path === KEY_CONFIG_PATH)) {
    respondFailure(response, openAiFailure('unknown_url'));
    return;
  }
  if (request.method !== 'GET') {
    respondFailure(response, openAiFailure('method_not_allowed'));
    return;
  }
  if (path === KEY_CONFIG_PATH) {
    response.writeHead(200, { 'content-type': KEY_CONFIG_TYPE, 'cache-control': 'no-store' });
    response.end(keyConfig(key.ehbp.publicKey));
    return;
  }
  const createdS = Math.floor(clock() / MS_PER_S);
  if (path === MODELS_PATH) respondJson(response, 200, modelList([key.model], createdS));
  else if (path.slice(MODELS_PATH.length + 1) === encodeURIComponent(key.model.id)) {
    respondJson(response, 200, modelObject(key.model, createdS));
  } else respondFailure(response, openAiFailure('model_not_found'));
}

/** Owns the response to its end; never rejects. */
async function handleEhbp(
  deps: EhbpRouteDeps,
  { kid, path }: { readonly kid: Bytes<16>; readonly path: EndpointPath },
  { request, response }: HttpExchange,
): Promise<void> {
  const { bodies, payers } = deps;
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  let giveBack: (() => void) | undefined;
  try {
    assertTellsEnd(request);
    // The key or voucher first: a stranger's body is not read at all.
    const account = await payers.identify(withBearer(request.headers));
    const enc = encapsulatedKey(request);
    const asked = askedBounds(request.headers);
    const msgId = ehbpMessageId(kid, enc);
    const { key } = await workerOf(deps, kid, msgId);
    const size = declaredSize(request);
    // Whoever left while that was looked up is heard of no more: its body would be waited for, for ever.
    if (gone.signal.aborted) throw gatewayError('gateway.aborted');
    giveBack = bodies.take(account.keyId, size);
    const sealed = await readSealed({ key, kid, enc, path, account, asked }, request, deps);
    giveBack();
    // What was announced, or only possible, is not held for as long as the answer takes.
    giveBack = bodies.take(account.keyId, sealed.length);
    const { demand, network } = deps;
    const pays = account.means.kind !== 'none';
    const sink = new EhbpSink(response, { demand, network, pays, msgId });
    await dispatch(deps.dispatch, {
      form: EHBP_FORM,
      sealed,
      account,
      signal: gone.signal,
      sink,
    });
  } catch (error) {
    refuse(request, response, codeOf(error) ?? 'internal.invariant');
  } finally {
    giveBack?.();
  }
}

/** The request as the worker takes it. Both are there for one turn of the loop; the body as it came is let go. Throws `gateway.*`, `sx.price`. */
async function readSealed(
  facts: Omit<EhbpFacts, 'bodyBytes' | 'nowMs'>,
  request: IncomingMessage,
  { dispatch: { clock } }: EhbpRouteDeps,
): Promise<Uint8Array> {
  const { kid, enc, path } = facts;
  const body = await readBody(request);
  const prelude = ehbpPrelude({ ...facts, bodyBytes: body.length, nowMs: clock() });
  return encodeEhbpEnvelope({ prelude, kid, enc, path, body });
}

/** EHBP has no end mark, so a broken connection must not look like an end. Throws `gateway.http_version`. */
function assertTellsEnd({ httpVersionMajor, httpVersionMinor }: IncomingMessage): void {
  if (httpVersionMajor === 1 && httpVersionMinor === 0) throw gatewayError('gateway.http_version');
}

/** What was not read of the body must not become the next request: the connection ends with the answer, or the stream. */
function refuse(request: IncomingMessage, response: ServerResponse, code: string): void {
  if (!request.complete && !response.headersSent) {
    if (request.httpVersionMajor === 1) response.setHeader('connection', 'close');
    response.once('finish', () => request.destroy());
  }
  respondEhbpError(response, code);
}

/**
 * Throws `sx.key_unknown`, on which a client verifies anew and seals again; but of a request that was here before
 * `sx.replay`: whoever seals it again would pay for a second answer.
 */
async function workerOf(
  { dispatch: { registry, cashier } }: EhbpRouteDeps,
  kid: Bytes<16>,
  msgId: Bytes<16>,
): Promise<LiveWorker> {
  const worker = registry.byEhbpKid(kid);
  if (worker !== undefined) return worker;
  throw (await cashier.find(msgId)) === undefined
    ? sxError('sx.key_unknown')
    : sxError('sx.replay');
}

/** Exactly one, in the one spelling: 64 lower-case hex digits. Throws `sx.refused`: nothing is ever served unencrypted. */
function encapsulatedKey({ headers }: IncomingMessage): Bytes<32> {
  const value = headers[ENCAPSULATED_KEY_HEADER];
  // Said twice it arrives as a list.
  if (typeof value !== 'string' || !/^[0-9a-f]{64}$/.test(value)) throw refused('unwrap');
  return fixed(fromHex(value), 32);
}

/** Clients that stream their body declare none: then memory for the largest is taken. Throws `gateway.*`. */
function declaredSize({ headers }: IncomingMessage): number {
  if (!/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '')) {
    throw gatewayError('gateway.media_type');
  }
  if (headers['content-encoding'] !== undefined) throw gatewayError('gateway.media_type');
  const size = Number(headers['content-length'] ?? EHBP_BODY_MAX_BYTES);
  if (!(size <= EHBP_BODY_MAX_BYTES)) throw gatewayError('gateway.too_large');
  return size;
}

/** Throws `gateway.too_large`, `gateway.aborted`. */
function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const body = new Gatherer();
  const cut = (): void => reject(gatewayError('gateway.aborted'));
  request.on('data', (chunk: Uint8Array) => {
    if (body.size + chunk.length > EHBP_BODY_MAX_BYTES) {
      request.pause();
      reject(gatewayError('gateway.too_large'));
      return;
    }
    body.push(chunk);
  });
  request.once('end', () => {
    request.off('close', cut);
    if (isCutOff(request)) cut();
    else resolve(body.bytes());
  });
  request.once('error', cut);
  request.once('close', cut);
  return promise;
}
