/** What can go wrong in the local proxy itself; what goes wrong with an exchange are the client's codes. @module */

import { defineErrors, type ErrorSpec } from '../../core/errors.ts';

const STOPPED: ErrorSpec = { status: 500, recovery: 'stop', public: 'The proxy cannot start.' };

export const proxyError = defineErrors({
  /** Anybody on the network could spend from the channel; there is no option for it. */
  'proxy.bind': STOPPED,
  'proxy.option': STOPPED,
  'proxy.token_file': STOPPED,
  'proxy.key_file': STOPPED,
});
