/**
 * The key of a wallet: 32 bytes in a file that only its owner may read. It is handed on as bytes, never as text.
 * @module
 */

import { generateEd25519 } from '#primitives';
import { fixed, type Bytes } from '../../../core/bytes.ts';
import { readPrivate, saveOnce } from '../../../core/node/private-files.ts';
import { tonError } from '../errors.ts';

const SEED_BYTES = 32;

/** Throws `ton.wallet` when there is none or it is none, `file.private` when others may read it. */
export function loadSeed(path: string): Bytes<32> {
  const bytes = readPrivate(path, { privacy: 'secret', maxBytes: SEED_BYTES });
  if (bytes === undefined) throw tonError('ton.wallet', `${path} is not there`);
  if (bytes.length !== SEED_BYTES)
    throw tonError('ton.wallet', `${path} is not a seed of 32 bytes`);
  return fixed(bytes, SEED_BYTES, 'wallet seed');
}

/** One that is there stays: two processes that start together agree on one. Throws as `loadSeed`. */
export function loadOrMakeSeed(path: string): Bytes<32> {
  saveOnce(path, generateEd25519().secretKey);
  return loadSeed(path);
}
