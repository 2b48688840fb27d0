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

/** Statuses that the protocol defines in clear become its codes; the rest stays the gateway's word. */
async function clearRefusal(response: Response): Promise<Error> {
  const demand = demandIn(response);
  if (demand !== undefined) {
    await response.body?.cancel();
    return demand;
  }
  const error = await refusal(response);
  const { refusedCode: code } = error.facts;
  if (typeof code === 'string' && code.startsWith('sx.')) {
    const clear = clearError(code);
    if (!hasCode(clear, 'sx.gateway')) return clear;
  }
  return response.status === 421 ? clearError('key_unknown') : error;
}
