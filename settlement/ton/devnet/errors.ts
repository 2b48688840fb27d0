/** What can go wrong in the devnet. @module */

import { defineErrors, type ErrorSpec } from '../../../core/errors.ts';

const REFUSED: ErrorSpec = {
  status: 400,
  recovery: 'fix_request',
  public: 'The devnet cannot do that.',
};
const BROKEN: ErrorSpec = { status: 500, recovery: 'stop', public: 'The devnet cannot start.' };

export const devnetError = defineErrors({
  'devnet.request': REFUSED,
  'devnet.message': REFUSED,
  /** The contract did not accept the external message; `facts.exitCode` says why. */
  'devnet.not_accepted': REFUSED,
  'devnet.busy': { ...REFUSED, status: 429, recovery: 'retry_later' },
  'devnet.unknown': { ...REFUSED, status: 404 },
  'devnet.option': BROKEN,
  'devnet.state': BROKEN,
});
