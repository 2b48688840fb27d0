/** What stops a command that moves coins. @module */

import { defineErrors, type ErrorSpec } from '../../core/errors.ts';

const STOPPED: ErrorSpec = { status: 500, recovery: 'stop', public: 'The command cannot go on.' };

export const moneyError = defineErrors({
  /** Nobody said yes. Nothing was sent. */
  'money.consent': STOPPED,
  /** The wallet, or what a wallet needs, is not as it has to be. */
  'money.wallet': STOPPED,
  /** The gateway's word cannot be used: not signed, another identity, or terms that nobody should take. */
  'money.gateway': STOPPED,
  /** The gateway said no; `facts` hold its status and code. */
  'money.refused': STOPPED,
  /** No such channel here, or a file that is none. */
  'money.channel': STOPPED,
  /** The channel is not in the state that the command needs. */
  'money.state': STOPPED,
});
