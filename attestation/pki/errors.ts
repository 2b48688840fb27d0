/** Error codes of the certificate and list readers. They never leave a verification: there they become failed checks. @module */

import { defineErrors, type ErrorSpec } from '../../core/errors.ts';

const REJECTED: ErrorSpec = {
  status: 502,
  recovery: 'try_other_worker',
  public: 'No worker could prove its integrity.',
};

export const pkiError = defineErrors({
  'pki.certificate': REJECTED,
  'pki.crl': REJECTED,
  'pki.signature': REJECTED,
});
