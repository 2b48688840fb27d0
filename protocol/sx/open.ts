/**
 * Worker: opens a sealed request, in the order that spends least on a stranger and tells him least. Spec: P§8.
 * @module
 */

import { concat, equalPublic, fixed, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { constantTimeEqual, randomBytes } from '#primitives';
import { encBytesOf, setupRecipient, type HpkeContext } from '../hpke.ts';
import { CONTENT_KEY_BYTES, parseEnvelope, type Envelope } from './envelope.ts';
import { refused, sxError } from './errors.ts';
import { FRAME, FrameOpener } from './frames.ts';
import { decodeInner, type InnerRequest } from './inner.ts';
import {
  requestInfo,
  requestKeys,
  RESPONSE_EXPORT_LABEL,
  type DirectionKeys,
} from './key-schedule.ts';
import { CLOCK_SKEW_MAX_MS, INNER_REQUEST_MAX_BYTES } from './limits.ts';
import { routeTag, type Prelude } from './prelude.ts';
import type { Recipient, RecipientKeys } from './recipient-keys.ts';
import type { ReplaySet } from './replay.ts';
import { ResponseSealer, type AnswerSealer } from './respond.ts';

export interface OpenInput {
  readonly keys: RecipientKeys;
  readonly replay: ReplaySet;
  readonly nowMs: number;
  /** Admission on clear data alone: throws `sx.busy` or `sx.price`. Nothing is consumed yet, so the gateway may move on. */
  readonly admit: (prelude: Prelude, recipient: Recipient) => void;
}

/** A request that was opened, in whatever form it came. */
export interface Opened {
  readonly prelude: Prelude;
  readonly kid: Bytes<16>;
  readonly recipient: Recipient;
  readonly th: Bytes<32>;
  /** `refused`: answer it *sealed* through `responder` (code `sx.inner`, 400). */
  readonly inner:
    | {
        readonly kind: 'request';
        readonly request: InnerRequest;
        /** The client's `sx-policy`: copied into the receipt, not judged. */
        readonly policyDigest: Bytes<32>;
      }
    | { readonly kind: 'refused'; readonly error: VeilError };
  readonly responder: AnswerSealer;
}

export interface OpenedRequest extends Opened {
  readonly responder: ResponseSealer;
}

/**
 * Throws `sx.refused` (bare 400), `sx.unsupported`, `sx.key_unknown`, `sx.replay`, `sx.busy` and whatever `admit` throws:
 * all of them answered in clear, with the status and nothing else.
 */
export function openRequest(bytes: Uint8Array, input: OpenInput): OpenedRequest {
  return openRequestWith(bytes, input, randomBytes(32));
}

/** For the vector generator, which must give the same answer twice. Everybody else calls `openRequest`. */
export function openRequestWith(
  bytes: Uint8Array,
  input: OpenInput,
  responseNonce: Bytes<32>,
): OpenedRequest {
  // The order is normative (P§8.2): shape, key, clock, admission, unwrap, replay, frames, inner.
  const envelope = parseEnvelope(bytes);
  const { prelude, th } = envelope;
  const { recipient, block } = findRecipient(envelope, input);
  checkClock(prelude, input.nowMs);
  input.admit(prelude, recipient);
  const { context, keys } = unwrap(envelope, recipient, block);
  remember(prelude, input);
  const message = openFrames(envelope, keys);
  const responder = new ResponseSealer({
    kid: recipient.kid,
    prelude,
    th,
    nonce: responseNonce,
    secret: context.export(RESPONSE_EXPORT_LABEL),
  });
  const { kid } = recipient;
  return { prelude, kid, recipient, th, inner: readInner(message), responder };
}

function findRecipient(
  envelope: Envelope,
  { keys, nowMs }: OpenInput,
): { readonly recipient: Recipient; readonly block: Uint8Array } {
  for (const [i, kid] of envelope.kids.entries()) {
    const recipient = keys.get(kid, nowMs);
    const block = envelope.blocks[i];
    if (recipient === undefined || block === undefined) continue;
    // The kid names a key of one KEM; a prelude that says otherwise is malformed, not unknown.
    if (recipient.pair.kem !== envelope.prelude.kem) throw refused('kids');
    return { recipient, block };
  }
  throw sxError('sx.key_unknown');
}

/** Throws `sx.refused`. */
export function checkClock(prelude: Prelude, nowMs: number): void {
  if (prelude.issuedAtMs > nowMs + CLOCK_SKEW_MAX_MS) throw refused('clock');
  if (nowMs > prelude.issuedAtMs + prelude.ttlS * 1000) throw refused('clock');
}

function unwrap(
  envelope: Envelope,
  recipient: Recipient,
  block: Uint8Array,
): { readonly context: HpkeContext; readonly keys: DirectionKeys } {
  const encBytes = encBytesOf(envelope.prelude.kem);
  const info = requestInfo(envelope.th0, recipient.statementHash);
  const context = decapsulateOrRefuse(block.subarray(0, encBytes), recipient, info);
  const contentKey = context.open(new Uint8Array(), block.subarray(encBytes));
  if (contentKey === undefined) throw refused('unwrap');
  const keys = requestKeys(envelope.th, fixed(contentKey, CONTENT_KEY_BYTES));
  contentKey.fill(0);
  if (!constantTimeEqual(keys.commit, envelope.commit)) throw refused('commit');
  return { context, keys };
}

/** Throws `sx.refused`. */
export function decapsulateOrRefuse(
  enc: Uint8Array,
  recipient: Recipient,
  info: Uint8Array,
): HpkeContext {
  try {
    return setupRecipient(enc, recipient.pair, info);
  } catch (cause) {
    // A small-order point: to the sender the same as any other ciphertext that does not open.
    if (cause instanceof VeilError && cause.code === 'primitive.dh') throw refused('unwrap', cause);
    throw cause;
  }
}

function remember(prelude: Prelude, { replay, nowMs }: OpenInput): void {
  const expiresAtMs = prelude.issuedAtMs + prelude.ttlS * 1000 + CLOCK_SKEW_MAX_MS;
  const outcome = replay.insert(prelude.msgId, expiresAtMs, nowMs);
  if (outcome === 'replay') throw sxError('sx.replay');
  if (outcome === 'full') throw sxError('sx.busy', 'replay set');
}

/** Nothing is dispatched before FINAL: any frame that fails, fails the whole. */
function openFrames(envelope: Envelope, keys: DirectionKeys): Uint8Array {
  const opener = new FrameOpener(keys);
  const parts: Uint8Array[] = [];
  let size = 0;
  for (const wire of envelope.frames) {
    const data = opener.open(wire);
    if (data === undefined) throw refused('frame');
    if (wire[0] === FRAME.data) {
      size += data.length;
      if (size > INNER_REQUEST_MAX_BYTES) throw refused('size');
      parts.push(data);
    } else if (data.length > 0) {
      throw refused('frame'); // PAD and FINAL carry nothing
    }
  }
  return concat(...parts);
}

function readInner(message: Uint8Array): OpenedRequest['inner'] {
  try {
    return { kind: 'request', ...decodeInner(message) };
  } catch (error) {
    if (error instanceof VeilError) return { kind: 'refused', error };
    throw error;
  }
}

/** Throws `sx.model` when the model named inside is not the one the request was routed and priced for. */
export function assertRouted(prelude: Prelude, modelId: string): void {
  if (!equalPublic(prelude.routeTag, routeTag(modelId))) throw sxError('sx.model');
}
