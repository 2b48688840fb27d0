/** What can go wrong before there is a log to look at. @module */

import { defineErrors } from '../../core/errors.ts';

export const auditError = defineErrors({
  'audit.unreadable': {
    status: 400,
    recovery: 'fix_request',
    public: 'There is no audit log that can be read.',
  },
});
