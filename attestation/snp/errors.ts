/** Error codes of the SEV-SNP readers. They never leave `verifySnp`: there they become failed checks. @module */

import { defineErrors, type ErrorSpec } from '../../core/errors.ts';

const REJECTED: ErrorSpec = {
  status: 502,
  recovery: 'try_other_worker',
  public: 'No worker could prove its integrity.',
};

export const snpError = defineErrors({
  'snp.report': REJECTED,
  'snp.certificate': REJECTED,
  'snp.certificate_table': REJECTED,
});
