/**
 * Words and documents of EHBP as its clients expect them. Spec: EHBP §3 (keys), §4.1, §4.2 (headers), §5.4.2 (problem);
 * RFC 9458 §3 (key configuration).
 * @module
 */

import { concat, u16be, type Bytes } from '../../core/bytes.ts';
import { KEM_IDS } from '../../attestation/verdict.ts';

export const ENCAPSULATED_KEY_HEADER = 'ehbp-encapsulated-key';
export const RESPONSE_NONCE_HEADER = 'ehbp-response-nonce';

export const KEY_CONFIG_PATH = '/.well-known/hpke-keys';
export const KEY_CONFIG_TYPE = 'application/ohttp-keys';
const KEY_ID = 0;
const HKDF_SHA256 = 0x0001;
const AES_256_GCM = 0x0002;
const SUITE_BYTES = 4;

/** One configuration with one suite: X25519, HKDF-SHA256, AES-256-GCM. */
export function keyConfig(publicKey: Bytes<32>): Uint8Array {
  return concat(
    Uint8Array.of(KEY_ID),
    u16be(KEM_IDS.X25519),
    publicKey,
    u16be(SUITE_BYTES),
    u16be(HKDF_SHA256),
    u16be(AES_256_GCM),
  );
}

export const PROBLEM_TYPE = 'application/problem+json';
export const PROBLEM_STATUS = 422;

/** Tells a client that its key is none of this server's: nothing was processed, and it may fetch the key anew. */
export const KEY_CONFIG_PROBLEM = {
  type: 'urn:ietf:params:ehbp:error:key-config',
  title: 'The key of this address is not in service. Verify the worker anew.',
} as const;

export const EHBP_LINK_PATH = '/sx/v1/ehbp';
export const EHBP_LINK_REQUEST_TYPE = 'application/vnd.veilgate.ehbp.req';
export const EHBP_LINK_RESPONSE_TYPE = 'application/vnd.veilgate.ehbp.res';

/** On the link, what EHBP leaves outside of its encryption: a worker's word, before the answer begins. */
export const STATUS_HEADER = 'ehbp-status';
/** Each is called `ehbp-<name>` on the link. */
export const ANSWER_HEADERS = ['content-type', 'retry-after', 'retry-after-ms'] as const;

export function isAnswerHeader(name: string): boolean {
  return ANSWER_HEADERS.some((known) => known === name);
}
