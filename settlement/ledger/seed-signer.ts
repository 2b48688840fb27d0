/** Signs statements with a seed in memory. @module */

import { fixed, type Bytes } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { statementSigner } from '../statement.ts';
import type { SignBytes, SignerSource } from './signer.ts';

export function seedSigner(secretKey: Bytes<32>): SignerSource {
  return { url: import.meta.url, data: new Uint8Array(secretKey) };
}

export function createSigner(data: unknown): SignBytes {
  assert(data instanceof Uint8Array, 'the seed of a ledger key');
  return statementSigner(fixed(data, 32, 'seed'));
}
