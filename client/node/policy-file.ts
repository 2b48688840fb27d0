/** Reads a policy from disk. Loaded only when a policy is given as a path; browsers never get here. @module */

import { open } from 'node:fs/promises';
import { VeilError } from '../../core/errors.ts';
import { clientError } from '../errors.ts';

export const POLICY_FILE_MAX_BYTES = 1_048_576;

/** Throws `client.policy_file`. */
export async function readPolicyFile(path: string): Promise<Uint8Array> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    if (size > POLICY_FILE_MAX_BYTES) throw clientError('client.policy_file', `${path}: too large`);
    return new Uint8Array(await file.readFile());
  } catch (cause) {
    if (cause instanceof VeilError) throw cause;
    throw clientError('client.policy_file', path, { cause });
  }
}
