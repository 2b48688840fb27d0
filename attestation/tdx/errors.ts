/** Error codes of the TDX readers. They never leave `verifyTdx`: there they become failed checks. @module */

import { defineErrors, type ErrorSpec } from '../../core/errors.ts';

const REJECTED: ErrorSpec = {
  status: 502,
  recovery: 'try_other_worker',
  public: 'No worker could prove its integrity.',
};

export const tdxError = defineErrors({
  'tdx.quote': REJECTED,
  'tdx.certificate': REJECTED,
  'tdx.crl': REJECTED,
  'tdx.collateral': REJECTED,
});
