/**
 * The worker's own error codes. Those of the exchange itself are in protocol/sx/errors.ts.
 * Spec: STYLE §6; openai-gateway-and-engine §2.5, §5.4.
 * @module
 */

import { defineErrors, type ErrorSpec } from '../core/errors.ts';

const BROKEN_MODEL: ErrorSpec = {
  status: 500,
  recovery: 'stop',
  public: 'The model of this worker cannot be loaded.',
};
const ENGINE_GONE: ErrorSpec = {
  status: 502,
  recovery: 'try_other_worker',
  public: 'The model stopped unexpectedly.',
};
const NO_ROOM: ErrorSpec = {
  status: 503,
  recovery: 'try_other_worker',
  public: 'The model is busy.',
};
const MISCONFIGURED: ErrorSpec = {
  status: 500,
  recovery: 'stop',
  public: 'The worker is not configured correctly.',
};

export const engineError = defineErrors({
  /** The file is not the one whose digest was asked for. Raised before a byte of it is interpreted. */
  'engine.digest': BROKEN_MODEL,
  /** The file could not be copied to private memory: unreadable, or no room. */
  'engine.copy': BROKEN_MODEL,
  'engine.load': BROKEN_MODEL,
  'engine.template': BROKEN_MODEL,
  'engine.crashed': ENGINE_GONE,
  'engine.failed': ENGINE_GONE,
  /** An engine beside the worker did what it must not; `problem` says what. */
  'engine.upstream': ENGINE_GONE,
  /** It is not what the configuration and the card say; `probe` says in what. */
  'engine.probe': MISCONFIGURED,
  /** It would not have the request, before anything ran. */
  'engine.refused': {
    status: 400,
    recovery: 'fix_request',
    public: 'The model cannot serve this request.',
  },
  'engine.busy': NO_ROOM,
  'engine.down': NO_ROOM,
  'engine.prompt_too_long': {
    status: 400,
    recovery: 'fix_request',
    public: 'The prompt does not fit into the context of the model.',
  },
  /** It names a token that the model does not have, or one that ends an answer, which the library leaves alone. */
  'engine.logit_bias': {
    status: 400,
    recovery: 'fix_request',
    public: 'The bias is for a token that cannot be biased.',
  },
  /** Models whose state cannot take one token back would evaluate all of it again for every token. */
  'engine.logprobs': {
    status: 400,
    recovery: 'fix_request',
    public: 'This model does not tell probabilities.',
  },
  'engine.answer_too_large': {
    status: 413,
    recovery: 'fix_request',
    public: 'The answer would be too large.',
  },
  'engine.aborted': {
    status: 499,
    recovery: 'stop',
    public: 'The request was ended.',
  },
});

export const workerError = defineErrors({
  'worker.config': MISCONFIGURED,
  'worker.owner_refused': {
    status: 500,
    recovery: 'stop',
    public: 'The owner did not sign the statement of this worker.',
  },
  'worker.owner_silent': {
    status: 504,
    recovery: 'retry_later',
    public: 'The owner did not answer in time.',
  },
  'worker.gateway_identity': {
    status: 502,
    recovery: 'stop',
    public: 'The gateway is not the one this worker is configured for.',
  },
  'worker.gateway_refused': {
    status: 502,
    recovery: 'stop',
    public: 'The gateway did not admit this worker.',
  },
  'worker.gateway_unreachable': {
    status: 503,
    recovery: 'retry_later',
    public: 'The gateway cannot be reached.',
  },
  /** More would be owed than the owner lets a gateway owe, or than its channel holds. Free work goes on. */
  'worker.credit': {
    status: 503,
    recovery: 'try_other_worker',
    public: 'The worker takes no more requests now.',
  },
  /** The gateway's books are an older copy of those it has acknowledged by. */
  'worker.gateway_rolled_back': {
    status: 503,
    recovery: 'try_other_worker',
    public: 'The worker takes no more requests now.',
  },
  /** The gateway keeps a larger part than the owner agreed to. */
  'worker.gateway_fee': {
    status: 502,
    recovery: 'stop',
    public: 'The fee of the gateway is higher than the owner of this worker agreed to.',
  },
  'worker.closed': {
    status: 503,
    recovery: 'try_other_worker',
    public: 'The worker is shutting down.',
  },
});

const NO_EVIDENCE: ErrorSpec = {
  status: 500,
  recovery: 'stop',
  public: 'This machine cannot prove what it is.',
};
const NO_EVIDENCE_NOW: ErrorSpec = {
  status: 503,
  recovery: 'retry_later',
  public: 'This machine cannot prove what it is at the moment.',
};

/** Collecting evidence from the machine. What is wrong with evidence that was received is in attestation/errors.ts. */
export const providerError = defineErrors({
  /** `provider: auto` found nothing that can be used. */
  'evidence.none_found': NO_EVIDENCE,
  /** The interface is not there: kernel, module or agent. */
  'evidence.unavailable': NO_EVIDENCE,
  'evidence.permission': NO_EVIDENCE,
  /** The interface is there and belongs to a machine or an agent that is not supported. */
  'evidence.unsupported': NO_EVIDENCE,
  /** The kernel does not let this guest ask for the privilege level. */
  'evidence.privilege_level': NO_EVIDENCE,
  /** The answer does not have the form that it should. */
  'evidence.malformed': NO_EVIDENCE,
  'evidence.oversized': NO_EVIDENCE,
  /** The quote is not about our report data. */
  'evidence.foreign': NO_EVIDENCE,
  /** What was collected cannot be turned into a bundle. */
  'evidence.endorsements': NO_EVIDENCE,
  /** Others wrote into our request, every time. */
  'evidence.raced': NO_EVIDENCE_NOW,
  'evidence.busy': NO_EVIDENCE_NOW,
  /** The host did not produce a quote. */
  'evidence.host': NO_EVIDENCE_NOW,
  'evidence.timeout': NO_EVIDENCE_NOW,
  'evidence.aborted': NO_EVIDENCE_NOW,
});
