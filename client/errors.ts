/**
 * What can go wrong on the app's side before and around a sealed exchange; the exchange's own codes are `sx.*`.
 * @module
 */

import { defineErrors, type ErrorSpec } from '../core/errors.ts';

const GATEWAY_UNFIT: ErrorSpec = {
  status: 502,
  recovery: 'stop',
  public: 'The gateway did not show a valid identity.',
};

export const clientError = defineErrors({
  'client.option': {
    status: 400,
    recovery: 'fix_request',
    public: 'The client was set up with an option that is not valid.',
  },
  'client.policy_file': {
    status: 400,
    recovery: 'fix_request',
    public: 'The policy could not be read.',
  },
  /** The root file is not there, is not a root, or has expired. */
  'client.policy_root': {
    status: 400,
    recovery: 'fix_request',
    public: 'The root of the policy keys cannot be used.',
  },
  /** What was given as `bundle` is not there, or does not hold under the root. */
  'client.policy_bundle': {
    status: 400,
    recovery: 'fix_request',
    public: 'The policy bundle cannot be used.',
  },
  /** What was remembered does not hold under the root, or cannot be read or written. */
  'client.policy_memory': {
    status: 500,
    recovery: 'stop',
    public: 'The memory of the policy cannot be used.',
  },
  /** Nothing that was shown verifies under the root. */
  'client.policy_none': {
    status: 502,
    recovery: 'stop',
    public: 'No policy was shown that verifies under your root.',
  },
  /** What is known of revocations is too old, or is known not to be the newest: nobody is admitted. */
  'client.policy_stale': {
    status: 503,
    recovery: 'retry_later',
    public: 'Nobody has shown lately that nothing more was revoked, so nobody is trusted.',
  },
  /** Somebody has to look: people signed both. Facts: the two digests, where known. */
  'client.policy_equivocation': {
    status: 502,
    recovery: 'stop',
    public: 'Two contents of the policy were signed under one number.',
  },
  'client.clock': {
    status: 500,
    recovery: 'stop',
    public: 'The clock of this machine is wrong.',
  },
  'client.insecure_url': {
    status: 400,
    recovery: 'fix_request',
    public: 'The API key would travel in clear: use https, or a loopback address.',
  },
  'client.path': {
    status: 404,
    recovery: 'fix_request',
    public: 'This path is not served sealed, and nothing is sent unsealed.',
  },
  'client.request': {
    status: 400,
    recovery: 'fix_request',
    public: 'The request is malformed.',
  },
  'client.gateway_document': GATEWAY_UNFIT,
  'client.gateway_changed': {
    ...GATEWAY_UNFIT,
    public: 'The gateway shows another identity than before or than pinned.',
  },
  /** Facts: refusedStatus; refusedCode when it is one of ours; retryAfterMs. Unauthenticated by nature. */
  'client.gateway_refused': {
    status: 502,
    recovery: 'stop',
    public: 'The gateway refused the request.',
  },
  /** Success without the seal: never content. */
  'client.not_sealed': {
    status: 502,
    recovery: 'stop',
    public: 'The gateway answered without a seal; the answer was discarded.',
  },
  'client.unreachable': {
    status: 502,
    recovery: 'retry_later',
    public: 'The gateway could not be reached.',
  },
  'client.evidence': {
    status: 502,
    recovery: 'retry_later',
    public: 'The gateway sent evidence that cannot be read.',
  },
  'client.no_worker': {
    status: 503,
    recovery: 'retry_later',
    public: 'The gateway has no worker for this model now.',
  },
  /** The gateway serves models, but not this one. */
  'client.model': {
    status: 404,
    recovery: 'fix_request',
    public: 'The gateway does not serve this model.',
  },
  'client.none_admitted': {
    status: 502,
    recovery: 'stop',
    public: 'No worker of this model proves itself under your policy.',
  },
  'client.none_usable': {
    status: 502,
    recovery: 'stop',
    public: 'No admitted worker offers an allowed key agreement at an allowed price.',
  },
  'client.answer_size': {
    status: 502,
    recovery: 'stop',
    public: 'The answer is larger than allowed.',
  },
  'client.deadline': {
    status: 504,
    recovery: 'retry_later',
    public: 'The exchange did not finish in its time.',
  },
});
