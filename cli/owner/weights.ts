/** The digest of a weights file, read in pieces: such files are larger than memory. @module */

import { createReadStream } from 'node:fs';
import { sha256Stream } from '#primitives';
import type { Bytes } from '../../core/bytes.ts';
import { cliError } from '../errors.ts';

/** Throws `cli.file`. */
export async function sha256OfFile(path: string): Promise<Bytes<32>> {
  const running = sha256Stream();
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
      const bytes: unknown = chunk;
      if (bytes instanceof Uint8Array) running.update(bytes);
    }
  } catch (cause) {
    throw cliError('cli.file', `${path} cannot be read`, { cause });
  }
  return running.digest();
}
