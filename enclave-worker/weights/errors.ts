/** What can be wrong with weights on a disk. Spec: docs/engines.md "What is hashed". @module */

import { defineErrors } from '../../core/errors.ts';

export const weightsError = defineErrors({
  /** Nothing is there, or it cannot be read. */
  'weights.unreadable': {
    status: 500,
    recovery: 'stop',
    public: 'The weights of the model cannot be read.',
  },
  /** A device, a socket, a link to a folder, a name that is no text, an empty folder, or too much of anything. */
  'weights.form': {
    status: 500,
    recovery: 'stop',
    public: 'The weights of the model are not plain files.',
  },
  /** Something was written, replaced, added or removed while they were read, or after. */
  'weights.changed': {
    status: 500,
    recovery: 'stop',
    public: 'The weights of the model changed after they were measured.',
  },
});
