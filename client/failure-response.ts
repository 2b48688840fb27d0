/**
 * What the app's SDK gets instead of an answer. `sx-error-source` says who speaks: `gateway` when the words are
 * unauthenticated, `client` when this side refused; a worker's sealed error never passes here.
 * Spec: docs/protocol.md "Errors at the edge".
 * @module
 */

import { VeilError } from '../core/errors.ts';
import { failureOf, type OpenAiErrorBody } from '../protocol/openai/errors.ts';
import { spokenFailure } from '../protocol/spoken-failure.ts';

/** Errors of the exchange that only a gateway's clear word can cause. */
const GATEWAY_WORDS: readonly string[] = [
  'client.gateway_refused',
  'client.not_sealed',
  'client.pay_insufficient_deposit',
  'client.pay_insufficient_ceiling',
  'client.pay_channel_closing',
  'client.pay_channel_unknown',
  'client.pay_channel_unsynced',
  'client.pay_account_frozen',
  'client.pay_epoch_mismatch',
  'client.pay_voucher_bad_signature',
  'client.pay_refused',
  'sx.key_unknown',
  'sx.no_recipient',
  'sx.busy',
  'sx.price',
  'sx.replay',
  'sx.refused',
  'sx.unsupported',
  'sx.gateway',
];

/** Rethrows what is not ours: a bug must look like one. `pathname` says whose SDK it was. */
export function failureResponse(error: unknown, pathname = ''): Response {
  if (!(error instanceof VeilError)) throw error;
  const failure = failureOf(error);
  const headers = new Headers({ 'content-type': 'application/json' });
  for (const [name, value] of failure.headers) headers.set(name, value);
  headers.set('sx-authenticated', 'false');
  headers.set('sx-error-source', GATEWAY_WORDS.includes(error.code) ? 'gateway' : 'client');
  headers.set('sx-error', error.code);
  const named = withPaymentCode(failure.body, error);
  const body = isSetUp(error) ? withDetail(named, error) : named;
  const path = pathname.slice(Math.max(pathname.lastIndexOf('/v1/'), 0));
  const spoken = spokenFailure(path, { ...failure, body });
  return new Response(JSON.stringify(spoken.body), { status: spoken.status, headers });
}

const PAYMENT = 'client.pay_';
const OURS = 'client.';

/** Which way a payment failed is for the app to act on, so its code says that and not only that money is missing. */
function withPaymentCode(body: OpenAiErrorBody, { code }: VeilError): OpenAiErrorBody {
  if (!code.startsWith(PAYMENT)) return body;
  const isTheirs = GATEWAY_WORDS.includes(code);
  return { error: { ...body.error, code: code.slice((isTheirs ? PAYMENT : OURS).length) } };
}

const DETAIL_MAX_CHARS = 2000;

/** About this side's own policy and options, or which check a worker failed: for the developer, never content. */
function isSetUp({ code }: VeilError): boolean {
  return code.startsWith('policy.') || code.startsWith('client.');
}

function withDetail(body: OpenAiErrorBody, { message }: VeilError): OpenAiErrorBody {
  const detail = message.slice(0, DETAIL_MAX_CHARS).replaceAll(/[^\n\P{Cc}]/gu, '?');
  return { error: { ...body.error, message: `${body.error.message} (${detail})` } };
}
