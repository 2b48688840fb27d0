/**
 * `POST /sx/v1/exchange` on the raw request and response: the token path, without a framework in it.
 * Spec: gateways-and-e2ee §7.4, §7.5, §7.10; openai-gateway-and-engine D4.
 * @module
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { toHex } from '../core/bytes.ts';
import { codeOf } from '../core/node/log.ts';
import { REQUEST_WIRE_MAX_BYTES } from '../protocol/sx/limits.ts';
import type { BodyBudget } from './body-budget.ts';
import { dispatchSealed, type DispatchDeps } from './dispatch.ts';
import { drained } from './drained.ts';
import { gatewayError } from './errors.ts';
import { endUnread } from './over-http2.ts';
import type { PaymentRefusal } from './payments/cashier.ts';
import type { Payers } from './payments/payers.ts';
import { rateHeaders, waitHeaders, type RateStanding } from './rate-headers.ts';
import { respondClear } from './respond-clear.ts';
import type { SealedSink } from './sealed-sink.ts';

export const EXCHANGE_PATH = '/sx/v1/exchange';
const REQUEST_TYPE = 'application/vnd.sx1.req';
const RESPONSE_TYPE = 'application/vnd.sx1.res';

export interface ExchangeRouteDeps {
  readonly payers: Payers;
  /** Headers of a refusal for payment. */
  readonly demand: (refusal: PaymentRefusal) => Readonly<Record<string, string>>;
  readonly dispatch: DispatchDeps;
  readonly bodies: BodyBudget;
}

/** Owns the response to its end; never rejects. */
export async function handleSealed(
  deps: ExchangeRouteDeps,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  const { dispatch } = deps;
  let giveBack: (() => void) | undefined;
  try {
    // The key or voucher first: a stranger's body is not read at all.
    const account = await deps.payers.identify(request.headers);
    const size = declaredSize(request);
    // Whoever left while that was looked up is heard of no more: its body would be waited for, for ever.
    if (gone.signal.aborted) throw gatewayError('gateway.aborted');
    giveBack = deps.bodies.take(account.keyId, size);
    const sealed = await readExactly(request, size);
    const standing = () => dispatch.accounts.standing(account, dispatch.clock());
    const sink = new ResponseSink(response, deps.demand, standing);
    await dispatchSealed(dispatch, sealed, account, gone.signal, sink);
  } catch (error) {
    refuse(request, response, codeOf(error) ?? 'internal.invariant');
  } finally {
    giveBack?.();
  }
}

function refuse(request: IncomingMessage, response: ServerResponse, code: string): void {
  if (!response.headersSent) endUnread(request, response);
  respondClear(response, code);
}

/** A length is required: memory is taken once, before the first byte. Throws `gateway.*`. */
function declaredSize(request: IncomingMessage): number {
  if (request.headers['content-type'] !== REQUEST_TYPE) throw gatewayError('gateway.media_type');
  if (request.headers['content-encoding'] !== undefined) throw gatewayError('gateway.media_type');
  const size = Number(request.headers['content-length'] ?? Number.NaN);
  if (!Number.isSafeInteger(size) || size <= 0) throw gatewayError('gateway.length_required');
  if (size > REQUEST_WIRE_MAX_BYTES) throw gatewayError('gateway.too_large');
  return size;
}

function readExactly(request: IncomingMessage, size: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const bytes = new Uint8Array(size);
    let at = 0;
    const cut = (): void => {
      // `close` comes after every body; only an incomplete one is a fault.
      if (!request.complete || at !== size) reject(gatewayError('gateway.aborted'));
    };
    request.on('data', (chunk: Uint8Array) => {
      bytes.set(chunk.subarray(0, size - at), at);
      at += chunk.length;
    });
    request.once('end', () => (at === size ? resolve(bytes) : cut()));
    request.once('error', cut);
    request.once('close', cut);
  });
}

class ResponseSink implements SealedSink {
  readonly #response: ServerResponse;
  readonly #demand: ExchangeRouteDeps['demand'];

  readonly #standing: () => RateStanding;

  constructor(
    response: ServerResponse,
    demand: ExchangeRouteDeps['demand'],
    standing: () => RateStanding,
  ) {
    this.#response = response;
    this.#demand = demand;
    this.#standing = standing;
  }

  head(kid: Uint8Array): void {
    if (this.#response.destroyed) return;
    // Written together with the first frames.
    this.#response.writeHead(200, {
      'content-type': RESPONSE_TYPE,
      'cache-control': 'no-store',
      'sx-kid': toHex(kid),
      ...rateHeaders(this.#standing()),
    });
  }

  write(bytes: Uint8Array): boolean {
    return this.#response.destroyed || this.#response.write(bytes);
  }

  drain(): Promise<void> {
    return drained(this.#response);
  }

  end(): void {
    this.#response.end();
  }

  fail(code: string, refusal?: PaymentRefusal): void {
    const standing = this.#standing();
    respondClear(this.#response, code, {
      ...rateHeaders(standing),
      ...(code === 'gateway.rate' ? waitHeaders(standing) : {}),
      ...(refusal === undefined ? {} : this.#demand(refusal)),
    });
  }
}
