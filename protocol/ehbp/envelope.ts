/**
 * One EHBP request on its way from the gateway to the worker: `prelude ‖ kid ‖ enc ‖ path ‖ body`. The gateway writes the
 * prelude, because an EHBP client has none; the body is the client's, byte for byte. Spec: docs/ehbp.md "On the link".
 * @module
 */

import { ascii, concat, equalPublic, fixed, Reader, type Bytes } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { sha256 } from '#primitives';
import { refused } from '../sx/errors.ts';
import { REQUEST_WIRE_MAX_BYTES } from '../sx/limits.ts';
import { encodePrelude, parsePrelude, PRELUDE_BYTES, type Prelude } from '../sx/prelude.ts';
import { EHBP_BODY_MAX_BYTES, EHBP_PATH_MAX_BYTES } from './limits.ts';

const ENC_BYTES = 32;
const KID_BYTES = 16;

export interface EhbpEnvelope {
  readonly prelude: Prelude;
  readonly kid: Bytes<16>;
  readonly enc: Bytes<32>;
  /** The gateway's word: EHBP binds no path. */
  readonly path: string;
  /** Encrypted chunks with their lengths, a view. */
  readonly body: Uint8Array;
  /** What the receipt calls reqHash: over every byte of this. */
  readonly th: Bytes<32>;
}

/** Follows from the ciphertext, so that a request which is sent again is the same request to everybody. */
export function ehbpMessageId(kid: Bytes<16>, enc: Bytes<32>): Bytes<16> {
  return fixed(sha256(ascii('sx1 ehbp id'), kid, enc).slice(0, 16), 16);
}

export function encodeEhbpEnvelope(input: Omit<EhbpEnvelope, 'th'>): Uint8Array {
  const { prelude, kid, enc, body } = input;
  const path = ascii(input.path);
  assert(path.length <= EHBP_PATH_MAX_BYTES, 'path size');
  assert(body.length <= EHBP_BODY_MAX_BYTES, 'body size');
  return concat(encodePrelude(prelude), kid, enc, Uint8Array.of(path.length), path, body);
}

/** Throws `sx.refused`, `sx.unsupported`. */
export function parseEhbpEnvelope(bytes: Uint8Array): EhbpEnvelope {
  if (bytes.length > REQUEST_WIRE_MAX_BYTES) throw refused('size');
  const reader = new Reader(bytes, () => refused('size'));
  const prelude = parsePrelude(reader.bytes(PRELUDE_BYTES, 'prelude')); // +0
  const kid = fixed(reader.bytes(KID_BYTES, 'kid').slice(), KID_BYTES); // +112
  const enc = fixed(reader.bytes(ENC_BYTES, 'enc').slice(), ENC_BYTES); // +128
  const pathBytes = reader.u8('path'); // +160
  if (pathBytes > EHBP_PATH_MAX_BYTES) throw refused('size');
  const path = String.fromCharCode(...reader.bytes(pathBytes, 'path')); // +161
  const body = bytes.subarray(PRELUDE_BYTES + KID_BYTES + ENC_BYTES + 1 + pathBytes);
  // One key, one worker, nobody to fail over to; and nothing is metered that cannot be counted along.
  const { recipientCount, kem, flags, msgId } = prelude;
  if (recipientCount !== 1 || kem !== 'X25519') throw refused('prelude');
  const { stream, constantRate, singleRecipient, receiptRequired } = flags;
  if (stream || constantRate || !singleRecipient || !receiptRequired) throw refused('prelude');
  if (!equalPublic(msgId, ehbpMessageId(kid, enc))) throw refused('prelude');
  return { prelude, kid, enc, path, body, th: sha256(ascii('sx1 ehbp th'), bytes) };
}
