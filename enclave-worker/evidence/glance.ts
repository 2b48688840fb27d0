/**
 * Looks at the system to find words for its operator. Nothing is decided by what is seen here, so that whatever cannot be
 * seen counts as absent. Spec: STYLE §6.
 * @module
 */

import { fromUtf8 } from '../../core/bytes.ts';
import type { Guest } from './guest.ts';

export async function isThere({ files }: Guest, path: string): Promise<boolean> {
  try {
    return (await files.kindOf(path)) !== undefined;
  } catch {
    // Not to be seen is as good as absent, for words.
    return false;
  }
}

export async function textOf({ files }: Guest, path: string, maxBytes: number): Promise<string> {
  try {
    return fromUtf8(await files.read(path, maxBytes));
  } catch {
    // Unreadable, too long or no text: no words can be found in it.
    return '';
  }
}
