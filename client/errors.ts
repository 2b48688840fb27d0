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

/** 402: SDKs do not repeat it by themselves, as they would 409 and 429. */
const UNPAID: ErrorSpec = {
  status: 402,
  recovery: 'stop',
  public: 'The gateway does not accept the payment.',
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
  /** A file that is no proof of an answer, or one above its bound. */
  'client.proof': {
    status: 400,
    recovery: 'fix_request',
    public: 'The proof of an answer could not be read.',
  },
  /** Workers prove the model, and none of their cards promises this endpoint. */
  'client.endpoint': {
    status: 404,
    recovery: 'fix_request',
    public: 'The model is not served at this path.',
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
  /** No evidence of the gateway's own, or none that can be read. Nothing of the request was sent. */
  'client.gateway_evidence': {
    ...GATEWAY_UNFIT,
    public: 'The gateway did not show readable evidence of its own.',
  },
  /** Evidence that the policy does not admit; the message names the first failed check. Nothing of the request was sent. */
  'client.gateway_denied': {
    ...GATEWAY_UNFIT,
    public: 'The gateway is not one that the policy lets hold plaintext.',
  },
  /** The connection ends in another key than the attested one. Nothing of the request was sent. */
  'client.gateway_key': {
    ...GATEWAY_UNFIT,
    public: 'The connection does not end in the attested gateway.',
  },
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
  /** The channel file, its key or its count cannot be used, or another process pays from it. */
  'client.channel_file': {
    status: 400,
    recovery: 'fix_request',
    public: 'The payment channel of this client cannot be used.',
  },
  /** The gateway's document names another payee, key or network than the channel's terms. */
  'client.pay_foreign': {
    ...UNPAID,
    public: 'The payment channel does not pay this gateway.',
  },
  /** The client's own bound: `spendMax`, or what is left of the session. */
  'client.pay_limit': {
    ...UNPAID,
    public: 'The request could cost more than this client may spend.',
  },
  /** Of too many requests nobody has said what they cost. Detail: how many. Asking again is asking the gateway again. */
  'client.pay_unbilled': {
    status: 503,
    recovery: 'retry_later',
    public:
      'Too many requests have ended without a bill: nothing more is signed until the gateway says what became of them. Try again; if that does not help, ask its operator.',
  },
  /** A fault of an earlier answer. Detail: which. */
  'client.pay_halted': {
    ...UNPAID,
    public:
      'Paying has stopped: an earlier bill did not hold. Look at the evidence before you resume.',
  },
  /** The gateway says that more was spent than this client asked for, or shows a signature that is not the client's. */
  'client.pay_disputed': {
    ...UNPAID,
    public: 'What the gateway says about the payment channel does not agree with what was signed.',
  },
  'client.pay_insufficient_deposit': {
    ...UNPAID,
    public: 'The deposit of this account does not cover the request: top it up.',
  },
  'client.pay_insufficient_ceiling': {
    ...UNPAID,
    public: 'The gateway asks for more than the request may cost.',
  },
  'client.pay_channel_closing': {
    ...UNPAID,
    public: 'The payment channel is being withdrawn.',
  },
  'client.pay_channel_unknown': {
    ...UNPAID,
    public: 'The gateway does not know the payment channel, or did not accept it.',
  },
  /** Nobody read the chain yet: a matter of time, which is why an SDK may ask again. */
  'client.pay_channel_unsynced': {
    status: 503,
    recovery: 'retry_later',
    public: 'The gateway has not read the payment channel from the chain yet.',
  },
  'client.pay_account_frozen': {
    ...UNPAID,
    public: 'The operator of the gateway has frozen the payment channel.',
  },
  /** Only the chain says which epoch it is: look there, and have `veilgate channel` write it down. */
  'client.pay_epoch_mismatch': {
    ...UNPAID,
    public: 'The payment channel was closed and opened anew since this client last looked.',
  },
  'client.pay_voucher_bad_signature': {
    ...UNPAID,
    public: 'The gateway does not accept the signature of the payment channel.',
  },
  /** The gateway looks at when a pass ends by its own clock. */
  'client.pay_pass': {
    ...UNPAID,
    status: 403,
    public:
      'The gateway does not accept the pass of the payment channel. Is the clock of this machine right?',
  },
  'client.pay_token': {
    ...UNPAID,
    status: 403,
    public: 'The token does not allow this request.',
  },
  /** Any other reason. Facts: `demanded`. */
  'client.pay_refused': {
    ...UNPAID,
    public: 'The gateway does not accept the payment.',
  },
  /** An answer that nobody pays for carried a ledger line that does not hold. */
  'client.ledger_line': {
    status: 502,
    recovery: 'stop',
    public: 'What the gateway says that the request cost does not hold.',
  },
  /** What was given is no saved bill. */
  'client.bill': {
    status: 400,
    recovery: 'fix_request',
    public: 'The saved bill cannot be read.',
  },
});
