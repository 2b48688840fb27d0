/**
 * Who sends a request that this gateway may read: identified like any sealed one, and served by the same dispatch.
 * Spec: overview "Roles in one request".
 * @module
 */

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { OpenAiFailure } from '../../protocol/openai/errors.ts';
import type { BodyBudget } from '../body-budget.ts';
import type { Idempotency } from '../idempotency.ts';
import { dispatchSealed, type DispatchDeps } from '../dispatch.ts';
import { gatewayError } from '../errors.ts';
import { isCutOff } from '../over-http2.ts';
import type { PaymentRefusal } from '../payments/cashier.ts';
import { paymentFailure, paymentResponse, type Headers } from '../payments/edge.ts';
import type { Payers } from '../payments/payers.ts';
import type { SealedSink } from '../sealed-sink.ts';
import type { PlainCaller } from './chat.ts';

export interface PlainCallerDeps {
  readonly dispatch: DispatchDeps;
  readonly bodies: BodyBudget;
  readonly payers: Payers;
  readonly demand: (refusal: PaymentRefusal) => Headers;
  readonly network: string | undefined;
  readonly bodyMaxBytes: number;
  readonly idempotency: Idempotency;
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
  // Whoever left while that was looked up is heard of no more, and would give nothing back.
  if (request.destroyed || isCutOff(request)) throw gatewayError('gateway.aborted');
  const { bodyMaxBytes, dispatch } = deps;
  const payer = account.payer ?? NOBODY;
  const nextMsgId = deps.idempotency.idsFor(request.headers, payer);
  const declared = Number(request.headers['content-length'] ?? bodyMaxBytes);
  // The body's reader refuses more than the limit; without a length the limit is what may come.
  request.once('close', deps.bodies.take(account.keyId, Math.min(declared, bodyMaxBytes)));
  let refusal: OpenAiFailure | undefined;
  return {
    payer,
    ...(nextMsgId === undefined ? {} : { nextMsgId }),
    standing: () => dispatch.accounts.standing(account, dispatch.clock()),
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
      await dispatchSealed(dispatch, sealed, account, signal, heard);
    },
  };
}
