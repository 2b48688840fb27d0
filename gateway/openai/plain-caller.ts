/**
 * Who sends a request that this gateway may read: identified like any sealed one, and served by the same dispatch.
 * Spec: overview "Roles in one request".
 * @module
 */

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { OpenAiFailure } from '../../protocol/openai/errors.ts';
import type { BodyBudget } from '../body-budget.ts';
import { dispatchSealed, type DispatchDeps } from '../dispatch.ts';
import type { PaymentRefusal } from '../payments/cashier.ts';
import { paymentFailure, paymentResponse, type Headers } from '../payments/edge.ts';
import type { Payers } from '../payments/payers.ts';
import type { SealedSink } from '../sealed-sink.ts';
import type { PlainCaller } from './chat.ts';
import { CHAT_BODY_MAX_BYTES } from './limits.ts';

export interface PlainCallerDeps {
  readonly dispatch: DispatchDeps;
  readonly bodies: BodyBudget;
  readonly payers: Payers;
  readonly demand: (refusal: PaymentRefusal) => Headers;
  readonly network: string | undefined;
}

export const NOBODY = new Uint8Array(32);

/** Anthropic's SDK shows its key in a header of its own. Where both are shown, the bearer counts. */
export function withBearer(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const { authorization, 'x-api-key': key } = headers;
  if (authorization !== undefined || typeof key !== 'string') return headers;
  return { ...headers, authorization: `Bearer ${key}` };
}

/** Throws as `Payers.identify`, and `gateway.busy`. */
export async function plainCaller(
  deps: PlainCallerDeps,
  request: IncomingMessage,
): Promise<PlainCaller> {
  const account = await deps.payers.identify(withBearer(request.headers));
  const declared = Number(request.headers['content-length'] ?? CHAT_BODY_MAX_BYTES);
  // The body's reader refuses more than the limit; without a length the limit is what may come.
  request.once('close', deps.bodies.take(account.keyId, Math.min(declared, CHAT_BODY_MAX_BYTES)));
  let refusal: OpenAiFailure | undefined;
  return {
    payer: account.payer ?? NOBODY,
    pays: account.means.kind !== 'none',
    refusal: () => refusal,
    paymentResponse: (settled) => paymentResponse(settled, deps.network),
    send: async ({ sealed, sink, signal, onSettled }) => {
      const heard: SealedSink = {
        head: (kid) => sink.head(kid),
        write: (bytes) => sink.write(bytes),
        drain: () => sink.drain(),
        end: () => sink.end(),
        settled: onSettled,
        fail: (code, refused) => {
          if (refused !== undefined) refusal = paymentFailure(code, deps.demand(refused));
          else if (code.startsWith('payment.')) refusal = paymentFailure(code);
          sink.fail(code);
        },
      };
      await dispatchSealed(deps.dispatch, sealed, account, signal, heard);
    },
  };
}
