/**
 * The memory of a policy as two files of this user alone: the list that people read under the path that was given, and the
 * reader's state beside it. Loaded only when a memory is given as a path; browsers never get here.
 * @module
 */

import { STATE_MAX_BYTES } from '../../attestation/publication/limits.ts';
import { POLICY_MEMORY_MAX_BYTES } from '../../attestation/publication/policy-memory.ts';
import { readPrivate, saveOver, systemCodeOf } from '../../core/node/private-files.ts';
import { clientError } from '../errors.ts';
import type { PolicyStore } from '../policy-memory.ts';

/** Each file is replaced whole; the state first, because the list is made from it again where an entry is missing. */
export function policyMemoryFile(path: string): PolicyStore {
  const statePath = `${path}.state`;
  return {
    load: async () => {
      const state = readPrivate(statePath, { privacy: 'public', maxBytes: STATE_MAX_BYTES });
      const accepted = readPrivate(path, { privacy: 'public', maxBytes: POLICY_MEMORY_MAX_BYTES });
      await Promise.resolve();
      return { ...(state && { state }), ...(accepted && { accepted }) };
    },
    save: async ({ state, accepted }) => {
      try {
        saveOver(statePath, state);
        saveOver(path, accepted);
      } catch (cause) {
        const detail = `${path} cannot be written (${systemCodeOf(cause)})`;
        throw clientError('client.policy_memory', detail, { cause });
      }
      await Promise.resolve();
    },
  };
}
