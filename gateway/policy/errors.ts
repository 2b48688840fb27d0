/** What can go wrong on the way to published documents. What is wrong with them is `publication.*`. @module */

import { defineErrors, type ErrorSpec } from '../../core/errors.ts';

const UNREACHABLE: ErrorSpec = {
  status: 503,
  recovery: 'retry_later',
  public: 'Published policies cannot be read now.',
};

export const publicationSourceError = defineErrors({
  'publication_source.url': {
    status: 500,
    recovery: 'stop',
    public: 'The gateway is not configured correctly.',
  },
  'publication_source.status': UNREACHABLE,
  'publication_source.unreadable': UNREACHABLE,
  'publication_source.size': UNREACHABLE,
});
