/**
 * Shows a gateway a higher voucher while an answer runs. Spec: ton-settlement §4.4, §4.5 "Endpoints".
 * @module
 */

import { utf8 } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { formatPass } from '../../settlement/pass.ts';
import type { Token } from '../../settlement/token.ts';
import { formatVoucher } from '../../settlement/voucher.ts';
import { PASS_HEADER } from '../../settlement/x402.ts';
import { clientError } from '../errors.ts';
import { reach, refusal, type Fetch } from '../fetch-bounded.ts';
import { RAISE_TIMEOUT_MS } from '../limits.ts';
import { DEMAND_CODES, refusalFor } from './demand.ts';

export type Raised =
  | { readonly outcome: 'taken' }
  /** Nobody knows whether it arrived: once more. */
  | { readonly outcome: 'lost'; readonly error: VeilError }
  /** Another one would be refused like it. */
  | { readonly outcome: 'refused'; readonly error: VeilError };

/** Rejects only with what is not ours, and with the reason of `signal`. */
export type RaiseVoucher = (shown: Token, signal: AbortSignal) => Promise<Raised>;

const VOUCHER_PATH = '/v1/payments/voucher';
const PAYMENT_REQUIRED = 402;
const TOO_MANY = 429;
const SERVER_ERROR = 500;
/** A higher one of ours overtook it on the way: then this one is not needed. */
const STALE = 'voucher_stale';

export function raiseOver(fetch: Fetch, gatewayUrl: string): RaiseVoucher {
  return async ({ voucher, pass }, signal) => {
    const limit = AbortSignal.timeout(RAISE_TIMEOUT_MS);
    try {
      const response = await reach(fetch, `${gatewayUrl}${VOUCHER_PATH}`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          [PASS_HEADER]: formatPass(pass),
        },
        body: Uint8Array.from(utf8(JSON.stringify({ voucher: formatVoucher(voucher) }))),
        signal: AbortSignal.any([signal, limit]),
      });
      return await raisedBy(response);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof VeilError) return { outcome: 'lost', error };
      if (!limit.aborted) throw error;
      const late = clientError('client.unreachable', 'time limit', { cause: error });
      return { outcome: 'lost', error: late };
    }
  };
}

async function raisedBy(response: Response): Promise<Raised> {
  if (response.ok) {
    await response.body?.cancel();
    return { outcome: 'taken' };
  }
  const error = await refusal(response, [STALE, ...DEMAND_CODES]);
  const { refusedCode = '' } = error.facts;
  if (response.status === PAYMENT_REQUIRED) {
    if (refusedCode === STALE) return { outcome: 'taken' };
    return { outcome: 'refused', error: refusalFor({ code: String(refusedCode) }) };
  }
  const isPassing = response.status === TOO_MANY || response.status >= SERVER_ERROR;
  return { outcome: isPassing ? 'lost' : 'refused', error };
}
