/**
 * Worker: opens an EHBP request, in the order of P§8.2. Nothing is dispatched before its last chunk has opened.
 * Spec: EHBP §4.3, §4.4; docs/ehbp.md "The worker".
 * @module
 */

import { ascii, concat, fixed, type Bytes } from '../../core/bytes.ts';
import { randomBytes } from '#primitives';
import { refused, sxError } from '../sx/errors.ts';
import { INNER_PATHS } from '../sx/inner.ts';
import { CLOCK_SKEW_MAX_MS, INNER_REQUEST_MAX_BYTES } from '../sx/limits.ts';
import { checkClock, decapsulateOrRefuse, type Opened, type OpenInput } from '../sx/open.ts';
import { parseEhbpEnvelope, type EhbpEnvelope } from './envelope.ts';
import { EHBP_CHUNKS_MAX } from './limits.ts';
import type { EhbpRecipients } from './recipients.ts';
import { EhbpSealer } from './respond.ts';

export type EhbpOpenInput = Pick<OpenInput, 'nowMs' | 'admit'> & {
  readonly recipients: EhbpRecipients;
};

const REQUEST_INFO = ascii('ehbp request');
const EXPORT_LABEL = ascii('ehbp response');
const NO_POLICY = fixed(new Uint8Array(32), 32);
const LENGTH_BYTES = 4;

/** Throws what `openRequest` throws. */
export function openEhbpRequest(bytes: Uint8Array, input: EhbpOpenInput): Opened {
  return openEhbpRequestWith(bytes, input, randomBytes(32));
}

/** For the vector generator, which must give the same answer twice. Everybody else calls `openEhbpRequest`. */
export function openEhbpRequestWith(
  bytes: Uint8Array,
  { recipients, nowMs, admit }: EhbpOpenInput,
  nonce: Bytes<32>,
): Opened {
  const envelope = parseEhbpEnvelope(bytes);
  const { prelude, kid, enc, th } = envelope;
  const chunks = splitChunks(envelope.body);
  const found = recipients.get(kid, nowMs);
  if (found === undefined) throw sxError('sx.key_unknown');
  const { recipient, replay } = found;
  checkClock(prelude, nowMs);
  admit(prelude, recipient);
  const context = decapsulateOrRefuse(enc, recipient, REQUEST_INFO);
  const open = context.opener();
  const parts = chunks.map((chunk) => {
    const part = open(chunk);
    if (part === undefined) throw refused('frame');
    return part;
  });
  const body = concat(...parts);
  if (body.length === 0 || body.length > INNER_REQUEST_MAX_BYTES) throw refused('size');
  // The request says nothing of when it was made, so it is remembered for as long as its key lives.
  const outcome = replay.insert(prelude.msgId, recipient.expiresAtMs + CLOCK_SKEW_MAX_MS, nowMs);
  if (outcome === 'replay') throw sxError('sx.replay');
  if (outcome === 'full') throw sxError('sx.busy', 'replay set');
  const secret = context.export(EXPORT_LABEL);
  const responder = new EhbpSealer({ kid, prelude, enc, th, nonce, secret });
  return { prelude, kid, recipient, th, inner: innerOf(envelope, body), responder };
}

/** Of lengths and ciphertexts. Chunks of length zero are legal and say nothing. */
function splitChunks(body: Uint8Array): readonly Uint8Array[] {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (let count = 0; at < body.length; count++) {
    if (count === EHBP_CHUNKS_MAX || body.length - at < LENGTH_BYTES) throw refused('frame');
    const length = view.getUint32(at);
    at += LENGTH_BYTES;
    if (length > body.length - at) throw refused('frame');
    if (length > 0) chunks.push(body.subarray(at, at + length));
    at += length;
  }
  return chunks;
}

function innerOf({ path }: EhbpEnvelope, body: Uint8Array): Opened['inner'] {
  if (!INNER_PATHS.includes(path)) return { kind: 'refused', error: sxError('sx.inner', 'path') };
  return { kind: 'request', request: { path, headers: [], body }, policyDigest: NO_POLICY };
}
