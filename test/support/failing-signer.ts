/** A signer that fails for the statement of one request. @module */

import { equalPublic, fixed } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import type { SignBytes } from '../../settlement/ledger/signer.ts';

const REQUEST_ID_AT = 46;

export function createSigner(requestId: unknown): SignBytes {
  assert(requestId instanceof Uint8Array, 'a request id');
  return (bytes) => {
    const named = bytes.subarray(REQUEST_ID_AT, REQUEST_ID_AT + requestId.length);
    assert(!equalPublic(named, requestId), 'out of order');
    return fixed(new Uint8Array(64), 64);
  };
}
