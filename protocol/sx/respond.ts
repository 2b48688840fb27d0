/**
 * Worker: seals the answer frame by frame. Every method returns wire bytes to write, in the order of the calls. Spec: P§10.
 * @module
 */

import { ascii, concat, type Bytes } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { sha256Stream } from '#primitives';
import { encodeContentChunk, encodeResponseHead, RESPONSE_END, type Fields } from '../bhttp.ts';
import type { ReceiptOutcome, ReceiptSigner, SignedReceipt, Usage } from '../receipt.ts';
import {
  clearFrame,
  DATA_LENGTH_BYTES,
  FRAME,
  FRAME_DATA_MAX_BYTES,
  FrameSealer,
} from './frames.ts';
import { checkResponseHead } from './inner.ts';
import { responseKeys } from './key-schedule.ts';
import { CONSTANT_FRAME_BYTES, CONSTANT_FRAMES_STEP, TRAILER_MAX_BYTES } from './limits.ts';
import { responsePlaintextBytes } from './padding.ts';
import { isMetered, type Prelude } from './prelude.ts';
import { sxError } from './errors.ts';

/** What an answer is sealed with, in whatever form its request came. */
export interface AnswerSealer {
  readonly kid: Bytes<16>;
  head(status: number, headers: Fields): Uint8Array;
  data(bytes: Uint8Array): Uint8Array;
  /** The end of the content, once: where the form has no end mark of its own, what must not leave before settlement. */
  last(bytes: Uint8Array): Uint8Array;
  meter(input: MeterInput): Uint8Array;
  receipt(input: ReceiptInput): { readonly bytes: Uint8Array; readonly signed: SignedReceipt };
  final(): Uint8Array;
}

export interface ResponderInput {
  readonly kid: Bytes<16>;
  readonly prelude: Prelude;
  readonly th: Bytes<32>;
  readonly nonce: Bytes<32>;
  /** Exported from the HPKE context of this recipient: another candidate cannot answer in its name. */
  readonly secret: Bytes<32>;
}

export interface ReceiptInput {
  readonly signer: ReceiptSigner;
  readonly policyDigest: Bytes<32>;
  readonly usage: Usage;
  readonly outcome: ReceiptOutcome;
  readonly startMs: number;
  readonly endMs: number;
}

export interface MeterInput {
  readonly signer: ReceiptSigner;
  readonly usage: Usage;
  /** From 1, without holes. */
  readonly seq: number;
}

/** Frame 0x11, empty; legal only between the 48 opening bytes and the first sealed frame. */
export const KEEPALIVE_FRAME: Uint8Array = clearFrame(FRAME.keepalive, new Uint8Array());

/** A content chunk has its own length in front of it, inside the data. */
const CHUNK_LENGTH_BYTES = 4;
/** One content chunk fills a frame. */
const CHUNK_MAX_BYTES = FRAME_DATA_MAX_BYTES - CHUNK_LENGTH_BYTES;
/** And one of a constant rate. */
export const CONSTANT_CHUNK_MAX_BYTES: number =
  CONSTANT_FRAME_BYTES - DATA_LENGTH_BYTES - CHUNK_LENGTH_BYTES;
const NO_RECEIPT = new Uint8Array(32);
const RESPONSE_HASH_LABEL = ascii('sx1 rh');

type Stage = 'head' | 'content' | 'trailer' | 'end' | 'receipted' | 'done';

export class ResponseSealer implements AnswerSealer {
  readonly kid: Bytes<16>;
  readonly #input: ResponderInput;
  readonly #frames: FrameSealer;
  readonly #isConstant: boolean;
  readonly #hash = sha256Stream();
  #stage: Stage = 'head';
  #receiptHash: Uint8Array = NO_RECEIPT;

  constructor(input: ResponderInput) {
    this.kid = input.kid;
    this.#input = input;
    this.#isConstant = input.prelude.flags.constantRate;
    this.#frames = new FrameSealer(responseKeys(input.th, input.nonce, input.secret));
    this.#hash.update(RESPONSE_HASH_LABEL);
    this.#hash.update(input.nonce);
  }

  #advance(from: readonly Stage[], to: Stage): void {
    assert(from.includes(this.#stage), `response: ${to} after ${this.#stage}`);
    this.#stage = to;
  }

  get isConstantRate(): boolean {
    return this.#isConstant;
  }

  /** Of sealed frames so far. */
  get frames(): number {
    return this.#frames.count;
  }

  /** Seals and takes into resp_hash. In front of the first frame stand kid ‖ nonce. */
  #seal(type: number, data: Uint8Array, paddedBytes = 0): Uint8Array {
    const used = Math.max(paddedBytes, DATA_LENGTH_BYTES + data.length);
    const size = this.#isConstant ? CONSTANT_FRAME_BYTES : responsePlaintextBytes(used);
    const wire = this.#frames.seal(type, data, size);
    this.#hash.update(wire);
    return this.#frames.count === 1 ? concat(this.kid, this.#input.nonce, wire) : wire;
  }

  /** Once, before all content: the DATA frame that carries status and headers, the authenticated "accepted". */
  head(status: number, headers: Fields): Uint8Array {
    this.#advance(['head'], 'content');
    const head = { status, fields: headers };
    checkResponseHead(head, (what) => sxError('sx.inner', what));
    return this.#seal(FRAME.data, encodeResponseHead(head));
  }

  /** Any size; split into frames as needed. */
  data(bytes: Uint8Array): Uint8Array {
    this.#advance(['content'], 'content');
    const chunkMaxBytes = this.#isConstant ? CONSTANT_CHUNK_MAX_BYTES : CHUNK_MAX_BYTES;
    if (bytes.length <= chunkMaxBytes) {
      return bytes.length === 0 ? bytes : this.#seal(FRAME.data, encodeContentChunk(bytes));
    }
    const frames: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += chunkMaxBytes) {
      const chunk = bytes.subarray(at, at + chunkMaxBytes);
      frames.push(this.#seal(FRAME.data, encodeContentChunk(chunk)));
    }
    return concat(...frames);
  }

  /** FINAL is the end mark here: the last content is content like any other. */
  last(bytes: Uint8Array): Uint8Array {
    return this.data(bytes);
  }

  /** A frame that says nothing; `paddedBytes` is rounded up to the size of any other frame. */
  pad(paddedBytes = 0): Uint8Array {
    this.#advance(['content'], 'content');
    assert(!this.#isConstant, 'its type would tell that nothing is said');
    return this.#seal(FRAME.pad, new Uint8Array(), paddedBytes);
  }

  /** At a constant rate, before the head too: a frame that from outside says as much as any other. */
  silence(): Uint8Array {
    assert(this.#isConstant, 'silence has its frames at a constant rate alone');
    if (this.#stage !== 'head') this.#advance(['content'], 'content');
    return this.#seal(FRAME.data, new Uint8Array());
  }

  /** Unsealed, and not in resp_hash: how far this answer is. */
  meter(input: MeterInput): Uint8Array {
    this.#advance(['content'], 'content');
    assert(isMetered(this.#input.prelude.flags), 'METER would tell what the pace hides');
    const { signer, usage, seq } = input;
    const frames = this.#frames.count;
    const payload = signer.signMeter(this.#input.prelude.msgId, { usage, seq, frames });
    return clearFrame(FRAME.meter, payload);
  }

  /** Ends the content before whatever follows it. */
  #endContent(): Uint8Array {
    if (this.#stage !== 'content') return new Uint8Array();
    this.#stage = 'trailer';
    return this.#seal(FRAME.data, RESPONSE_END);
  }

  /** Private usage detail, at most once, after the last data. */
  trailer(bytes: Uint8Array): Uint8Array {
    assert(bytes.length <= TRAILER_MAX_BYTES, 'trailer size');
    const end = this.#endContent();
    this.#advance(['trailer'], 'end');
    return concat(end, this.#seal(FRAME.trailer, bytes));
  }

  /** At most once, after everything sealed but FINAL. `signed` is kept for whoever asks for the receipt later. */
  receipt(input: ReceiptInput): { readonly bytes: Uint8Array; readonly signed: SignedReceipt } {
    const end = this.#endContent();
    this.#advance(['trailer', 'end'], 'receipted');
    const { prelude, th } = this.#input;
    if (this.#isConstant) {
      assert(this.frames % CONSTANT_FRAMES_STEP === 0, 'an end where many answers end');
    }
    const answered = { kid: this.kid, prelude, th, respHash: this.#hash.digest() };
    const signed = signAnswer(input, answered);
    this.#receiptHash = signed.hash;
    return { bytes: concat(end, clearFrame(FRAME.receipt, signed.payload)), signed };
  }

  /** Last, once. */
  final(): Uint8Array {
    const end = this.#endContent();
    this.#advance(['trailer', 'end', 'receipted'], 'done');
    const size = responsePlaintextBytes(DATA_LENGTH_BYTES + this.#receiptHash.length);
    return concat(end, this.#frames.seal(FRAME.final, this.#receiptHash, size));
  }
}

/** Which request was answered, and with what. */
interface AnsweredRequest {
  readonly kid: Bytes<16>;
  readonly prelude: Prelude;
  readonly th: Bytes<32>;
  readonly respHash: Bytes<32>;
}

/** The receipt of an answer, in whatever form it was asked for. */
export function signAnswer(
  { signer, ...fields }: ReceiptInput,
  { kid, prelude, th, respHash }: AnsweredRequest,
): SignedReceipt {
  const { msgId: requestId, payerRef } = prelude;
  const signed = signer.sign({ ...fields, requestId, kid, payerRef, reqHash: th, respHash });
  assertWithinBounds(signed, prelude);
  return signed;
}

/** The worker enforces the client's bounds while it generates; a receipt beyond them is a bug and is not sent. */
function assertWithinBounds({ receipt }: SignedReceipt, prelude: Prelude): void {
  const { usage, amount } = receipt;
  assert(usage.prompt + usage.cached <= prelude.maxPrompt, 'prompt within the bound');
  assert(usage.completion + usage.reasoning <= prelude.maxOutput, 'output within the bound');
  assert(amount <= prelude.maxAmount, 'amount within the ceiling');
}
