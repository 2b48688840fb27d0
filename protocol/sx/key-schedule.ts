/**
 * Names and keys derived from the bytes of one exchange. Spec: P§4.2, P§5, P§6.1, P§10.2.
 * @module
 */

import { ascii, concat, fixed, u16be, type Bytes } from '../../core/bytes.ts';
import { KEM_IDS, type KemName } from '../../attestation/verdict.ts';
import { aes256GcmKey, hmacSha256, sha256, type AeadKey } from '#primitives';

const REQUEST_INFO = concat(ascii('sx1 req'), Uint8Array.of(0));
const ONE = Uint8Array.of(1);

/** The name of a key: changes with the statement it stands in, so neither can be swapped. */
export function kidOf(statementHash: Bytes<32>, kem: KemName, publicKey: Uint8Array): Bytes<16> {
  const digest = sha256(ascii('sx1 kid'), statementHash, u16be(KEM_IDS[kem]), publicKey);
  return fixed(digest.slice(0, 16), 16);
}

export function transcript0(prelude: Uint8Array, kids: Uint8Array): Bytes<32> {
  return sha256(ascii('sx1 th0'), prelude, kids);
}

export function transcript(th0: Bytes<32>, blocks: Uint8Array): Bytes<32> {
  return sha256(ascii('sx1 th'), th0, blocks);
}

/** HPKE info of one recipient's block. */
export function requestInfo(th0: Bytes<32>, statementHash: Bytes<32>): Uint8Array {
  return concat(REQUEST_INFO, th0, statementHash);
}

/** HKDF-Expand for outputs of one block. Spec: RFC 5869 §2.3. */
function expand<N extends number>(prk: Bytes<32>, label: string, size: N): Bytes<N> {
  return fixed(hmacSha256(prk, ascii(label), ONE).subarray(0, size), size);
}

export interface DirectionKeys {
  readonly key: AeadKey;
  readonly iv: Bytes<12>;
}

/** `commit` ties the content key to this transcript: no second key opens the same bytes to something else. */
export function requestKeys(
  th: Bytes<32>,
  contentKey: Bytes<32>,
): DirectionKeys & { readonly commit: Bytes<32> } {
  const prk = hmacSha256(th, contentKey);
  return {
    key: aes256GcmKey(expand(prk, 'sx1 req key', 32)),
    iv: expand(prk, 'sx1 req iv', 12),
    commit: expand(prk, 'sx1 req commit', 32),
  };
}

export const RESPONSE_EXPORT_LABEL: Uint8Array = ascii('sx1 res');

export function responseKeys(
  th: Bytes<32>,
  nonce: Bytes<32>,
  responseSecret: Bytes<32>,
): DirectionKeys {
  const prk = hmacSha256(concat(th, nonce), responseSecret);
  return {
    key: aes256GcmKey(expand(prk, 'sx1 res key', 32)),
    iv: expand(prk, 'sx1 res iv', 12),
  };
}
