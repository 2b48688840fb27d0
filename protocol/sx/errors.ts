/**
 * Every way in which a sealed exchange ends badly. Spec: P§11.
 * What a worker answers in clear is bare: one status, no detail. The reason travels in `facts.reason`, for counters only.
 * @module
 */

import { defineErrors, type ErrorSpec, type VeilError } from '../../core/errors.ts';

const RESPONSE_REFUSED: ErrorSpec = {
  status: 502,
  recovery: 'try_other_worker',
  public: 'The sealed answer was cut or altered on its way and was discarded.',
};

const RECEIPT_REFUSED: ErrorSpec = {
  status: 502,
  recovery: 'stop',
  public: 'The receipt for this answer is missing or does not match it.',
};

export const sxError = defineErrors({
  // Worker and gateway, in clear.
  'sx.refused': {
    status: 400,
    recovery: 'fix_request',
    public: 'The sealed request was refused.',
  },
  'sx.unsupported': {
    status: 400,
    recovery: 'fix_request',
    public: 'The sealed request asks for a mode that this version does not serve.',
  },
  'sx.key_unknown': {
    status: 421,
    recovery: 'try_other_worker',
    public: 'The request was not sealed to a key that lives here.',
  },
  'sx.replay': {
    status: 409,
    recovery: 'stop',
    public: 'This sealed request was already received.',
  },
  'sx.busy': {
    status: 503,
    recovery: 'try_other_worker',
    public: 'The worker takes no more requests now.',
  },
  'sx.price': {
    status: 402,
    recovery: 'try_other_worker',
    public: 'The ceiling of the request is below the price of this worker.',
  },
  'sx.no_recipient': {
    status: 503,
    recovery: 'retry_later',
    public: 'None of the workers to which the request was sealed can take it now.',
  },
  // Worker, sealed: the sender is authenticated by its own ciphertext, so it may know why.
  'sx.inner': {
    status: 400,
    recovery: 'fix_request',
    public: 'The request inside the seal is malformed.',
  },
  'sx.model': {
    status: 400,
    recovery: 'fix_request',
    public: 'The model named inside the seal is not the one the request was routed for.',
  },
  // Client, before sealing.
  'sx.input': {
    status: 400,
    recovery: 'fix_request',
    public: 'The request cannot be sealed as asked.',
  },
  'sx.kem': {
    status: 502,
    recovery: 'stop',
    public: 'The key agreement on offer is weaker than the policy allows.',
  },
  // Client, reading the answer.
  'sx.truncated': {
    ...RESPONSE_REFUSED,
    public: 'The sealed answer ended before its end mark.',
  },
  'sx.response': RESPONSE_REFUSED,
  'sx.trailing': RESPONSE_REFUSED,
  'sx.limit': RESPONSE_REFUSED,
  'sx.gateway': {
    status: 502,
    recovery: 'retry_later',
    public: 'The gateway ended the exchange with an error of its own.',
  },
  'sx.receipt': RECEIPT_REFUSED,
  'sx.receipt_missing': RECEIPT_REFUSED,
  // Gateway or client, who paces a payment by it.
  'sx.meter': {
    status: 502,
    recovery: 'stop',
    public: 'What the worker says of its progress does not fit the exchange.',
  },
});

/** Why a worker refuses. A closed set: these are counter labels. */
export type RefusalReason =
  | 'size'
  | 'prelude'
  | 'kids'
  | 'clock'
  | 'unwrap'
  | 'commit'
  | 'frame'
  | 'order';

/** The uniform bare 400: whoever looks from outside cannot tell the reasons apart. */
export function refused(reason: RefusalReason, cause?: unknown): VeilError {
  return sxError('sx.refused', '', { facts: { reason }, cause });
}
