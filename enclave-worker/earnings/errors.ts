/** What can be wrong with the worker's books of its earnings. @module */

import { defineErrors, type ErrorSpec } from '../../core/errors.ts';

const BROKEN: ErrorSpec = { status: 500, recovery: 'stop', public: 'Internal error.' };

export const earningsError = defineErrors({
  /** The file is not there, is of another version, or cannot be read or written. */
  'earnings.store': BROKEN,
});
