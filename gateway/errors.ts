/**
 * What the gateway refuses in its own name. Codes of the exchange itself are in protocol/sx/errors.ts.
 * Spec: openai-gateway-and-engine §2.5; gateways-and-e2ee §7.10.
 * @module
 */

import { defineErrors, type ErrorSpec } from '../core/errors.ts';

const BUSY: ErrorSpec = {
  status: 503,
  recovery: 'retry_later',
  public: 'The gateway takes no more requests now.',
};
const RATE: ErrorSpec = {
  status: 429,
  recovery: 'retry_later',
  public: 'Too many requests for this key.',
};
const NOT_ADMITTED: ErrorSpec = {
  status: 403,
  recovery: 'stop',
  public: 'The worker was not admitted.',
};
const BAD_REGISTRATION: ErrorSpec = {
  status: 400,
  recovery: 'fix_request',
  public: 'The registration is malformed or answers no open challenge.',
};
const MISCONFIGURED: ErrorSpec = {
  status: 500,
  recovery: 'stop',
  public: 'The gateway is not configured correctly.',
};

export const gatewayError = defineErrors({
  'gateway.unauthorized': {
    status: 401,
    recovery: 'fix_request',
    public: 'The API key is missing or not known.',
  },
  /** The request is sealed for another payer than the key that brought it. */
  'gateway.payer': {
    status: 403,
    recovery: 'fix_request',
    public: 'The sealed request names another payer than this API key.',
  },
  'gateway.rate': RATE,
  'gateway.concurrency': RATE,
  'gateway.busy': BUSY,
  'gateway.closing': { ...BUSY, public: 'The gateway is shutting down.' },
  'gateway.too_large': {
    status: 413,
    recovery: 'fix_request',
    public: 'The request body is too large.',
  },
  'gateway.length_required': {
    status: 411,
    recovery: 'fix_request',
    public: 'The request needs a content-length.',
  },
  'gateway.media_type': {
    status: 415,
    recovery: 'fix_request',
    public: 'The content type of the request is not the one of this path.',
  },
  /** HTTP/1.0 has no end of an answer but that of its connection: one that was cut would look whole. */
  'gateway.http_version': {
    status: 505,
    recovery: 'fix_request',
    public: 'This path needs HTTP/1.1 or HTTP/2, from every proxy on the way.',
  },
  'gateway.body': {
    status: 400,
    recovery: 'fix_request',
    public: 'The request body is not what this path takes.',
  },
  'gateway.aborted': {
    status: 400,
    recovery: 'fix_request',
    public: 'The request body ended early.',
  },
  'gateway.timeout': {
    status: 504,
    recovery: 'retry_later',
    public: 'The request did not finish in its time.',
  },
  'gateway.model': {
    status: 404,
    recovery: 'fix_request',
    public: 'The model does not exist here.',
  },
  /** Nobody has said lately that nothing newer was revoked or decided: fail closed until somebody does. */
  'gateway.policy_stale': {
    status: 503,
    recovery: 'retry_later',
    public: 'The gateway cannot confirm its policy now.',
  },
  /** In-band: the worker was revoked while it answered. */
  'gateway.worker_revoked': {
    status: 502,
    recovery: 'try_other_worker',
    public: 'The worker was taken out of service while it answered.',
  },
  /** No policy, or documents that do not verify. */
  'gateway.policy': { ...MISCONFIGURED, public: 'The gateway has no policy that it can use.' },
  'gateway.config': MISCONFIGURED,
  /** Its machine gave no quote in time, or too many challenges came at once. */
  'gateway.quote': { ...BUSY, public: 'The gateway cannot prove itself now.' },
  /** Of another account, too old, or never made: one answer for all of them. */
  'gateway.no_proof': {
    status: 404,
    recovery: 'stop',
    public: 'No proof of this answer is kept for this account.',
  },
  'gateway.identity': MISCONFIGURED,
  /** A verified receipt that the ledger does not settle: for a request it let go, or a worker it does not know. */
  'gateway.settlement': { ...BUSY, status: 500, public: 'The request could not be settled.' },
  'gateway.store': { ...BUSY, status: 500, public: 'The gateway cannot keep its records now.' },
});

export const registrationError = defineErrors({
  'registration.format': BAD_REGISTRATION,
  /** Unknown, used, expired, or not the one in the statement. */
  'registration.challenge': BAD_REGISTRATION,
  'registration.owner_signature': {
    ...NOT_ADMITTED,
    public: 'The owner did not sign this statement.',
  },
  'registration.signature': {
    ...NOT_ADMITTED,
    public: 'The signature is not by the key of the statement.',
  },
  /** Not https, a forbidden range, a name that resolves to one, or credentials in the URL. */
  'registration.endpoint': {
    ...BAD_REGISTRATION,
    public: 'The endpoint is not one this gateway connects to.',
  },
  /** The endpoint does not answer with the key of the statement. */
  'registration.unreachable': {
    ...BAD_REGISTRATION,
    public: 'The endpoint does not answer with the key of the statement.',
  },
  'registration.denied': NOT_ADMITTED,
  /** While the gateway looked at the endpoint, the policy changed or something was revoked. */
  'registration.policy_changed': {
    status: 503,
    recovery: 'retry_later',
    public: 'The policy changed in the meantime. Register again.',
  },
  /** Admissible, but the gateway cannot make sure that nothing newer speaks against it. */
  'registration.collateral': {
    status: 503,
    recovery: 'retry_later',
    public: 'The collateral of this worker cannot be confirmed now. Try again later.',
  },
  /** The statement was registered before. */
  'registration.duplicate': {
    ...NOT_ADMITTED,
    status: 422,
    public: 'This statement was registered before.',
  },
  'registration.expiring': {
    ...NOT_ADMITTED,
    status: 422,
    public: 'The statement expires too soon to be published.',
  },
  'registration.full': BUSY,
  'registration.rate': RATE,
});
