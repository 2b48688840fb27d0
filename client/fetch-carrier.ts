/**
 * Carries sealed bytes to a gateway over `fetch`. Spec: docs/protocol.md "HTTP binding".
 * @module
 */

import { hasCode } from '../core/errors.ts';
import type { SealedSend } from './carrier.ts';
import { clearError } from './answer-opener.ts';
import { clientError } from './errors.ts';
import { demandIn } from './pay/demand.ts';
import { chunksOf, reach, refusal, type Fetch } from './fetch-bounded.ts';

export const EXCHANGE_PATH = '/sx/v1/exchange';
const REQUEST_TYPE = 'application/vnd.sx1.req';
const RESPONSE_TYPE = 'application/vnd.sx1.res';

export interface FetchCarrierOptions {
  readonly fetch: Fetch;
  readonly gatewayUrl: string;
  readonly authorization: string | undefined;
}

export function fetchCarrier(options: FetchCarrierOptions): SealedSend {
  return async (sealed, sink, signal, payment) => {
    const headers: Record<string, string> = {
      ...payment,
      'content-type': REQUEST_TYPE,
      accept: RESPONSE_TYPE,
    };
    if (options.authorization !== undefined) headers['authorization'] = options.authorization;
    const response = await reach(options.fetch, `${options.gatewayUrl}${EXCHANGE_PATH}`, {
      method: 'POST',
      headers,
      body: Uint8Array.from(sealed),
      signal,
    }).catch((error: unknown) => {
      throw isLostTo421(error) ? clearError('key_unknown') : error;
    });
    if (response.status !== 200) throw await clearRefusal(response);
    if (response.headers.get('content-type') !== RESPONSE_TYPE) {
      await response.body?.cancel();
      throw clientError('client.not_sealed');
    }
    for await (const chunk of chunksOf(response)) {
      if (signal.aborted) return;
      if (!sink.write(chunk)) await sink.drain();
    }
    sink.end();
  };
}

/**
 * Fetch repeats a request that was answered with 421 on a new connection, and undici does so with the body that it has read
 * already where redirects are errors: the answer is lost, and this is what is left of it. A body of known length cannot fail
 * like that otherwise. Spec: WHATWG Fetch, "HTTP-network-or-cache fetch", status 421.
 */
function isLostTo421(error: unknown): boolean {
  const failed = causeOf(error); // of ours: the TypeError of fetch, whose own cause names the fault
  const { code }: { readonly code?: unknown } = Object(causeOf(failed));
  return code === 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH';
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined;
}

/** Refusals that the payer can do something about. */
const OF_PAYMENT = {
  pass_invalid: 'client.pay_pass',
  bearer_forbids: 'client.pay_token',
} as const;

/** Statuses that the protocol defines in clear become its codes; the rest stays the gateway's word. */
async function clearRefusal(response: Response): Promise<Error> {
  const demand = demandIn(response);
  if (demand !== undefined) {
    await response.body?.cancel();
    return demand;
  }
  const error = await refusal(response, Object.keys(OF_PAYMENT));
  const { refusedCode: code } = error.facts;
  if (code === 'pass_invalid' || code === 'bearer_forbids') {
    return clientError(OF_PAYMENT[code], '', { facts: error.facts });
  }
  if (typeof code === 'string' && code.startsWith('sx.')) {
    const clear = clearError(code);
    if (!hasCode(clear, 'sx.gateway')) return clear;
  }
  return response.status === 421 ? clearError('key_unknown') : error;
}
