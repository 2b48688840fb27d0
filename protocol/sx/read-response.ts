/**
 * Client: reads a sealed answer as it arrives, in pieces of any size. What it has not authenticated it does not
 * hand out; a stream that stops before FINAL is an error. Spec: P§10.
 * @module
 */

import { ascii, equalPublic, isZero, toHex, type Bytes } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import type { AttestedKey } from '../../attestation/verdict.ts';
import { sha256Stream } from '#primitives';
import { ResponseDecoder } from '../bhttp.ts';
import { verifyReceipt, type VerifiedReceipt } from './check-receipt.ts';
import { sxError } from './errors.ts';
import { FRAME, FrameOpener, HEADER_BYTES } from './frames.ts';
import { checkResponseHead, RESPONSE_FIELD_LIMITS } from './inner.ts';
import { responseKeys } from './key-schedule.ts';
import { TRAILER_MAX_BYTES } from './limits.ts';
import { ResponseStream } from './response-stream.ts';
import type { ClientExchange } from './seal.ts';

export type { VerifiedReceipt } from './check-receipt.ts';

export type ResponseEvent =
  | {
      readonly kind: 'head';
      readonly status: number;
      readonly headers: readonly (readonly [string, string])[];
      readonly key: AttestedKey;
    }
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'trailer'; readonly bytes: Uint8Array }
  | { readonly kind: 'receipt'; readonly receipt: VerifiedReceipt }
  /** Reserved: the gateway's ledger line as it came, unverified. */
  | { readonly kind: 'ledger-unverified'; readonly bytes: Uint8Array }
  /** How far the worker says it is, as it came, unverified (protocol/meter.ts); and behind how many sealed frames. */
  | { readonly kind: 'meter-unverified'; readonly bytes: Uint8Array; readonly frames: number }
  | { readonly kind: 'final' }
  /** Unauthenticated, never content. Nothing follows it; `end()` throws `sx.gateway`. */
  | { readonly kind: 'gateway-error'; readonly code: string };

const bad = (what: string) => sxError('sx.response', what);
const HASH_BYTES = 32;

/** Set once the opening bytes have named one of our recipients. */
interface Opened {
  readonly key: AttestedKey;
  readonly opener: FrameOpener;
}

export class ResponseReader {
  readonly #exchange: ClientExchange;
  readonly #stream: ResponseStream;
  readonly #body = new ResponseDecoder(RESPONSE_FIELD_LIMITS, bad);
  /** resp_hash: every sealed frame before the receipt. */
  readonly #hash = sha256Stream();
  #opened: Opened | undefined;
  #receipt: VerifiedReceipt | undefined;
  #events: ResponseEvent[] = [];

  constructor(exchange: ClientExchange, limits: { readonly wireMaxBytes?: number } = {}) {
    this.#exchange = exchange;
    this.#stream = new ResponseStream({
      from: 'gateway',
      constantRate: exchange.prelude.flags.constantRate,
      ports: {
        onOpening: (kid, nonce) => this.#open(kid, nonce),
        onFrame: (type, wire) => this.#frame(type, wire),
      },
      ...limits,
    });
  }

  /**
   * Throws `sx.response`, `sx.trailing`, `sx.limit`, `sx.receipt`, `sx.receipt_missing`; after that every call throws, and
   * the events of the failing call are dropped.
   */
  push(chunk: Uint8Array): readonly ResponseEvent[] {
    this.#events = [];
    this.#stream.push(chunk);
    return this.#events;
  }

  /** The transport is at its end. Throws `sx.truncated` unless FINAL was read. */
  end(): void {
    this.#stream.end();
  }

  #open(kid: Bytes<16>, nonce: Bytes<32>): void {
    const secret = this.#exchange.responseSecret(kid);
    const key = this.#exchange.keys.find((candidate) => equalPublic(candidate.kid, kid));
    if (secret === undefined || key === undefined) throw bad('kid');
    this.#hash.update(ascii('sx1 rh'));
    this.#hash.update(nonce);
    const opener = new FrameOpener(responseKeys(this.#exchange.th, nonce, secret));
    this.#opened = { key, opener };
  }

  #frame(type: number, wire: Uint8Array): void {
    const payload = wire.subarray(HEADER_BYTES);
    switch (type) {
      case FRAME.keepalive:
        return;
      case FRAME.receipt:
        return this.#onReceipt(payload);
      case FRAME.ledger:
        this.#events.push({ kind: 'ledger-unverified', bytes: payload.slice() });
        return;
      case FRAME.meter:
        this.#events.push({
          kind: 'meter-unverified',
          bytes: payload.slice(),
          frames: this.#opened?.opener.count ?? 0,
        });
        return;
      case FRAME.gatewayError:
        this.#events.push({ kind: 'gateway-error', code: gatewayErrorCode(payload) });
        return;
      default:
        return this.#sealed(type, wire);
    }
  }

  #sealed(type: number, wire: Uint8Array): void {
    assert(this.#opened !== undefined, 'the opening comes before any frame');
    const data = this.#opened.opener.open(wire);
    if (data === undefined) throw bad('tag');
    if (type === FRAME.final) return this.#onFinal(data);
    this.#hash.update(wire);
    if (type === FRAME.data) return this.#onData(data, this.#opened.key);
    if (type === FRAME.trailer) return this.#onTrailer(data);
    if (data.length > 0) throw bad('pad');
  }

  #onData(data: Uint8Array, key: AttestedKey): void {
    // The silence of a constant rate.
    if (data.length === 0 && this.#exchange.prelude.flags.constantRate) return;
    const piece = this.#body.push(data);
    if (piece.head !== undefined) {
      checkResponseHead(piece.head, bad);
      const { status, fields } = piece.head;
      this.#events.push({ kind: 'head', status, headers: fields, key });
    }
    for (const bytes of piece.content) this.#events.push({ kind: 'data', bytes });
  }

  #onTrailer(data: Uint8Array): void {
    if (!this.#body.isComplete) throw bad('content has not ended');
    if (data.length > TRAILER_MAX_BYTES) throw sxError('sx.limit', 'trailer');
    this.#events.push({ kind: 'trailer', bytes: data });
  }

  #onReceipt(payload: Uint8Array): void {
    assert(this.#opened !== undefined, 'the opening comes before any frame');
    if (!this.#body.isComplete) throw bad('content has not ended');
    const { key } = this.#opened;
    const { prelude, th } = this.#exchange;
    const respHash = this.#hash.digest();
    const policyDigest = key.policyDigest;
    this.#receipt = verifyReceipt(payload, { key, prelude, th, respHash, policyDigest });
    this.#events.push({ kind: 'receipt', receipt: this.#receipt });
  }

  /** FINAL repeats the hash of the receipt inside the seal, so that nobody on the way can drop or swap one. */
  #onFinal(data: Uint8Array): void {
    if (!this.#body.isComplete) throw bad('content has not ended');
    if (data.length !== HASH_BYTES) throw bad('final');
    if (this.#receipt === undefined) {
      if (!isZero(data) || this.#exchange.prelude.flags.receiptRequired) {
        throw sxError('sx.receipt_missing');
      }
    } else if (!equalPublic(data, this.#receipt.hash)) {
      throw sxError('sx.receipt', 'final', { facts: { check: 'final', got: toHex(data) } });
    }
    this.#events.push({ kind: 'final' });
  }
}

function gatewayErrorCode(payload: Uint8Array): string {
  const code = String.fromCharCode(...payload);
  if (!/^[a-z0-9._]+$/.test(code)) throw bad('gateway error');
  return code;
}
