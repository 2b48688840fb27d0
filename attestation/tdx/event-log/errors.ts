/** The error code of the log readers. It never leaves `replay.ts`: there it becomes `log.format`. @module */

import { defineErrors, type VeilError } from '../../../core/errors.ts';

const eventLogError = defineErrors({
  'event_log.format': {
    status: 502,
    recovery: 'try_other_worker',
    public: 'No worker could prove its integrity.',
  },
});

export function malformedLog(what: string, offset: number): VeilError {
  return eventLogError('event_log.format', `${what} at ${offset}`, { facts: { offset } });
}

export function malformedEvent(index: number, what: string): VeilError {
  return eventLogError('event_log.format', `event ${index}: ${what}`, { facts: { index } });
}
