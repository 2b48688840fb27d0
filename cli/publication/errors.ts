/** Why a repository, a key or a step of publishing is not taken; each says what to do next. @module */

import { defineErrors, type ErrorSpec, type VeilError } from '../../core/errors.ts';

const STOPPED: ErrorSpec = { status: 500, recovery: 'stop', public: 'The command cannot go on.' };

export const repositoryError = defineErrors({
  /** No directory of published documents, or one that cannot be read or written. */
  'repository.unusable': STOPPED,
  /** Somebody else is writing there. */
  'repository.in_use': { ...STOPPED, recovery: 'retry_later' },
  /** Somebody else wrote there after this command had read it: nothing was written. */
  'repository.changed': { ...STOPPED, recovery: 'retry_later' },
  /** Readers would not take it, or people would regret it: nothing was written. */
  'repository.refused': { ...STOPPED, recovery: 'fix_request' },
});

/** `what` happened not to be done, and why; `next` is what helps. */
export function refused(what: string, next: string, cause?: unknown): VeilError {
  return repositoryError('repository.refused', `${what}\nnext: ${next}`, { cause });
}
