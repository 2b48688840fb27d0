/**
 * What a gateway in a TEE shows: its own evidence to everybody, and to whoever paid for an answer by what it can be proved.
 * Spec: docs/attested-gateway.md "Over HTTP".
 * @module
 */

import { Hono, type Context } from 'hono';
import type { IncomingHttpHeaders } from 'node:http';
import { fixed, fromBase64Url, toBase64, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { encodeEvidence } from '../../attestation/evidence.ts';
import { encodeGatewayEvidence } from '../../attestation/gateway/gateway-evidence.ts';
import type { PublicationState } from '../../attestation/publication/memory.ts';
import { gatewayError } from '../errors.ts';
import { NOBODY, withBearer } from '../openai/plain-caller.ts';
import { headersOf } from '../payments/account-json.ts';
import type { Payers } from '../payments/payers.ts';
import { staple } from '../policy/served.ts';
import type { AnswerProofs } from './answer-proofs.ts';
import type { OwnEvidence } from './own-evidence.ts';

export interface AttestedRoutesDeps {
  readonly own: OwnEvidence;
  readonly proofs: AnswerProofs;
  readonly payers: Payers;
  /** What was published and accepted; undefined with an unsigned policy. */
  readonly published: (() => PublicationState) | undefined;
}

export const OWN_EVIDENCE_PATH = '/.well-known/veilgate/evidence';
export const ANSWER_PROOF_FORMAT = 'veilgate.answer-proof/1';

export function attestedRoutes({ own, proofs, payers, published }: AttestedRoutesDeps): Hono {
  const app = new Hono();
  app.get(OWN_EVIDENCE_PATH, async (context) => {
    const asked = context.req.query('challenge');
    const evidence =
      asked === undefined
        ? own.current()
        : await own.answering(challengeOf(asked), context.req.raw.signal);
    const publication = published === undefined ? null : staple(published());
    return context.json({ evidence: encodeGatewayEvidence(evidence), publication });
  });
  app.get('/v1/proofs/:requestId', async (context) => {
    const { payer } = await payers.identify(callerHeaders(context));
    const proof = proofs.find(context.req.param('requestId'), payer ?? NOBODY);
    if (proof === undefined) throw gatewayError('gateway.no_proof');
    const { evidence, bill } = proof;
    return context.json({
      fmt: ANSWER_PROOF_FORMAT,
      evidence: encodeEvidence(evidence),
      bill: toBase64(bill),
    });
  });
  return app;
}

/** As the request for the answer showed who asks, so that whoever got one may fetch its proof. */
function callerHeaders(context: Context): IncomingHttpHeaders {
  const key = context.req.header('x-api-key');
  return withBearer({ ...headersOf(context), ...(key !== undefined && { 'x-api-key': key }) });
}

/** Throws `gateway.body`. */
function challengeOf(text: string): Bytes<32> {
  try {
    return fixed(fromBase64Url(text), 32);
  } catch (cause) {
    if (!(cause instanceof VeilError)) throw cause;
    throw gatewayError('gateway.body', 'challenge', { cause });
  }
}
