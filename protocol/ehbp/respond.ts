/**
 * Worker: an answer in EHBP's chunks, carried by frames of SX/1. A chunk's length has four bytes, and so has a frame's
 * header: a DATA frame *is* a chunk, and the gateway passes it on as it is. The last chunk is marked for the gateway, which
 * holds it until the settlement is durable. Spec: EHBP §4.3, §4.4; docs/ehbp.md "The answer".
 * @module
 */

import { ascii, concat, fixed, type Bytes } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { aes256GcmKey, hmacSha256, sealAes256Gcm, sha256Stream, type AeadKey } from '#primitives';
import type { Fields } from '../bhttp.ts';
import { Nonces } from '../nonces.ts';
import type { SignedReceipt } from '../receipt.ts';
import { clearFrame, FRAME } from '../sx/frames.ts';
import { sxError } from '../sx/errors.ts';
import { FRAME_PLAINTEXT_MAX_BYTES, RESPONSE_PADDING_BYTES } from '../sx/limits.ts';
import { responsePlaintextBytes } from '../sx/padding.ts';
import type { Prelude } from '../sx/prelude.ts';
import { signAnswer, type AnswerSealer, type ReceiptInput } from '../sx/respond.ts';

export interface EhbpResponderInput {
  readonly kid: Bytes<16>;
  readonly prelude: Prelude;
  readonly enc: Bytes<32>;
  readonly th: Bytes<32>;
  readonly nonce: Bytes<32>;
  /** Exported from the HPKE context of the request. */
  readonly secret: Bytes<32>;
}

const ONE = Uint8Array.of(1);
const RESPONSE_HASH_LABEL = ascii('sx1 rh');
const NOTHING = new Uint8Array();
const TAG_BYTES = 16;

/** Spec: EHBP §4.4.1, as OHTTP has it (RFC 9458 §4.4). */
export function ehbpResponseKeys({
  enc,
  nonce,
  secret,
}: Pick<EhbpResponderInput, 'enc' | 'nonce' | 'secret'>): {
  readonly key: AeadKey;
  readonly iv: Bytes<12>;
} {
  const prk = hmacSha256(concat(enc, nonce), secret);
  return {
    key: aes256GcmKey(hmacSha256(prk, ascii('key'), ONE)),
    iv: fixed(hmacSha256(prk, ascii('nonce'), ONE).subarray(0, 12), 12),
  };
}

type Stage = 'head' | 'content' | 'last' | 'receipted' | 'done';
type Content = 'events' | 'json';

export class EhbpSealer implements AnswerSealer {
  readonly kid: Bytes<16>;
  readonly #input: EhbpResponderInput;
  readonly #key: AeadKey;
  readonly #nonces: Nonces;
  readonly #hash = sha256Stream();
  #stage: Stage = 'head';
  #content: Content = 'json';
  #receiptHash: Uint8Array = NOTHING;

  constructor(input: EhbpResponderInput) {
    this.kid = input.kid;
    this.#input = input;
    const { key, iv } = ehbpResponseKeys(input);
    this.#key = key;
    this.#nonces = new Nonces(iv);
    this.#hash.update(RESPONSE_HASH_LABEL);
    this.#hash.update(input.nonce);
  }

  /** kid ‖ nonce. Status and headers are outside of EHBP's encryption: the link says them. */
  head(_status: number, headers: Fields): Uint8Array {
    this.#advance(['head'], 'content');
    const isEvents = headers.some(
      ([name, value]) => name === 'content-type' && value.startsWith('text/event-stream'),
    );
    this.#content = isEvents ? 'events' : 'json';
    return concat(this.kid, this.#input.nonce);
  }

  /** Whole events, which may be padded behind; JSON comes in one piece, through `last`. */
  data(bytes: Uint8Array): Uint8Array {
    this.#advance(['content'], 'content');
    assert(this.#content === 'events', 'JSON is not padded in its middle');
    const frames = piecesOf(bytes).map((piece) => this.#seal(FRAME.data, piece));
    return concat(...frames);
  }

  last(bytes: Uint8Array): Uint8Array {
    this.#advance(['content'], 'last');
    const pieces = piecesOf(bytes);
    const end = pieces.at(-1) ?? NOTHING;
    return concat(
      ...pieces.slice(0, -1).map((piece) => this.#seal(FRAME.data, piece)),
      this.#seal(FRAME.trailer, end),
    );
  }

  /** Whoever meters counts sealed frames of an open form; no gateway asks for it here. */
  meter(): never {
    throw sxError('sx.unsupported', 'meter');
  }

  receipt(input: ReceiptInput): { readonly bytes: Uint8Array; readonly signed: SignedReceipt } {
    // An answer that broke off has an end all the same, so that what the gateway holds is never nothing.
    const end = this.#stage === 'content' ? this.last(NOTHING) : NOTHING;
    this.#advance(['last'], 'receipted');
    const { prelude, th } = this.#input;
    const answered = { kid: this.kid, prelude, th, respHash: this.#hash.digest() };
    const signed = signAnswer(input, answered);
    this.#receiptHash = signed.hash;
    return { bytes: concat(end, clearFrame(FRAME.receipt, signed.payload)), signed };
  }

  /** For the gateway alone: EHBP has no end mark. */
  final(): Uint8Array {
    this.#advance(['receipted'], 'done');
    const payload = new Uint8Array(RESPONSE_PADDING_BYTES + TAG_BYTES);
    payload.set(this.#receiptHash);
    return clearFrame(FRAME.final, payload);
  }

  #advance(from: readonly Stage[], to: Stage): void {
    assert(from.includes(this.#stage), `response: ${to} after ${this.#stage}`);
    this.#stage = to;
  }

  #seal(type: number, piece: Uint8Array): Uint8Array {
    const plaintext = this.#padded(piece);
    const sealed = sealAes256Gcm(this.#key, this.#nonces.next(), NOTHING, plaintext);
    const wire = clearFrame(type, sealed);
    this.#hash.update(wire);
    return wire;
  }

  /** To the sizes of SX/1 with what readers skip: spaces behind JSON, a comment behind events. */
  #padded(piece: Uint8Array): Uint8Array {
    const size = Math.max(responsePlaintextBytes(piece.length), RESPONSE_PADDING_BYTES);
    if (size === piece.length) return piece;
    const padded = new Uint8Array(size).fill(SPACE);
    padded.set(piece);
    if (this.#content === 'events') {
      // With room for one byte only, an empty line: it ends nothing, because nothing was begun.
      if (size - piece.length > 1) padded[piece.length] = COLON;
      padded[size - 1] = LINE_FEED;
    }
    return padded;
  }
}

const SPACE = 0x20;
const COLON = 0x3a;
const LINE_FEED = 0x0a;

/** Full frames, which need no padding, and a rest. */
function piecesOf(bytes: Uint8Array): readonly Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += FRAME_PLAINTEXT_MAX_BYTES) {
    pieces.push(bytes.subarray(at, at + FRAME_PLAINTEXT_MAX_BYTES));
  }
  return pieces;
}
