/** Why a settler does not go on. Spec: ton-settlement §4.11. @module */

import { defineErrors, type ErrorSpec } from '../../core/errors.ts';

const BROKEN: ErrorSpec = { status: 500, recovery: 'stop', public: 'Internal error.' };

export const settlerError = defineErrors({
  /** The chain remembers what this ledger does not: an older copy was put back, or it is another one. */
  'settler.rolled_back': BROKEN,
  /** A note of the settler is not one. */
  'settler.note': BROKEN,
  'settler.config': BROKEN,
});
