/** What can go wrong in the command itself. @module */

import { defineErrors, type ErrorSpec } from '../core/errors.ts';

const STOPPED: ErrorSpec = { status: 500, recovery: 'stop', public: 'The command cannot go on.' };

export const cliError = defineErrors({
  'cli.data_in_use': STOPPED,
  'cli.data_unusable': STOPPED,
  'cli.file': STOPPED,
  'cli.option': STOPPED,
  'cli.worker_failed': STOPPED,
  'cli.worker_late': STOPPED,
});
