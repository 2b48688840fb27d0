/** What can go wrong on the way to the chain. @module */

import { defineErrors, type ErrorSpec } from '../../core/errors.ts';

const AWAY: ErrorSpec = {
  status: 503,
  recovery: 'retry_later',
  public: 'The blockchain cannot be reached at the moment.',
};
const WRONG: ErrorSpec = { status: 500, recovery: 'stop', public: 'Internal error.' };

export const tonError = defineErrors({
  /** Too few providers answered in time. A message may have arrived all the same. */
  'ton.unreachable': AWAY,
  /** They answered, and no two alike. */
  'ton.disagree': AWAY,
  /** One provider: no answer, not one we understand, or not now. Seen in reports only. */
  'ton.provider': AWAY,
  'ton.answer': AWAY,
  'ton.rate_limited': AWAY,
  /** The contract refuses the message as it is now; `facts.exitCode` says why, where the provider did. */
  'ton.not_accepted': {
    status: 409,
    recovery: 'fix_request',
    public: 'The contract does not accept the message.',
  },
  /** The get-method ended with another exit code than zero. */
  'ton.get_method': {
    status: 409,
    recovery: 'fix_request',
    public: 'The contract does not answer.',
  },
  /** Not enough providers of the configured network. */
  'ton.network': WRONG,
  /** The transactions before this point are not to be had. */
  'ton.history': AWAY,
  'ton.config': WRONG,
  'ton.wallet': WRONG,
});
