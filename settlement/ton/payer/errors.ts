/** What can go wrong when a payer moves coins. @module */

import { defineErrors, type ErrorSpec } from '../../../core/errors.ts';

const STOPPED: ErrorSpec = {
  status: 409,
  recovery: 'fix_request',
  public: 'The payment did not happen.',
};
const UNKNOWN: ErrorSpec = {
  status: 503,
  recovery: 'retry_later',
  public: 'Whether the payment happened is not known yet.',
};

export const payerError = defineErrors({
  /** The wallet holds less than it takes. Nothing was sent. */
  'payer.balance': STOPPED,
  /** What is said to be the time of the chain lies in the future. Nothing was signed. */
  'payer.clock': { ...STOPPED, recovery: 'stop' },
  /** Its time is over and it did not happen; it cannot happen any more. */
  'payer.expired': STOPPED,
  /** Another order of the same wallet took its number; it cannot happen any more. */
  'payer.overtaken': STOPPED,
  /** The wallet took the order and sent less than it says. */
  'payer.unsent': STOPPED,
  /** The contract refused; `facts.exitCode` says why. What was attached comes back. */
  'payer.refused': STOPPED,
  /** It may have happened: look before you pay again. */
  'payer.unconfirmed': UNKNOWN,
  /** What stands at the address is not the contract that the terms name. */
  'payer.not_channel': { ...STOPPED, recovery: 'stop' },
  'payer.terms': { ...STOPPED, recovery: 'stop' },
});
