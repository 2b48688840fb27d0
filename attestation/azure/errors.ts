/** Error codes of the readers for Azure's evidence. They never leave a verification: there they become failed checks. @module */

import { defineErrors, type ErrorSpec } from '../../core/errors.ts';

const REJECTED: ErrorSpec = {
  status: 502,
  recovery: 'try_other_worker',
  public: 'No worker could prove its integrity.',
};

export const azureError = defineErrors({
  'azure.hcl': REJECTED,
  'azure.tpm_quote': REJECTED,
});
