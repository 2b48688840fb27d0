/** Signs nothing, for measuring what a ledger costs without signatures. @module */

import { fixed } from '../../core/bytes.ts';
import type { SignBytes } from '../../settlement/ledger/signer.ts';

export function createSigner(): SignBytes {
  const zeros = fixed(new Uint8Array(64), 64);
  return () => zeros;
}
