/**
 * Turns the sealed bytes of one answer into verified pieces for the app. An event stream flows, except for its last event;
 * that, and the whole of any other answer, waits until FINAL and the receipt have verified and somebody has judged the rest.
 * Spec: docs/protocol.md "Response".
 * @module
 */

import { Gatherer, type Bytes } from '../core/bytes.ts';
import { hasCode, type VeilError } from '../core/errors.ts';
import type { AttestedKey } from '../attestation/verdict.ts';
import { sxError } from '../protocol/sx/errors.ts';
import {
  ResponseReader,
  type ResponseEvent,
  type VerifiedReceipt,
} from '../protocol/sx/read-response.ts';
import type { ClientExchange, SealedRequest } from '../protocol/sx/seal.ts';
import type { SealedSink } from './carrier.ts';
import { DoneGate } from './done-gate.ts';
import { clientError } from './errors.ts';
import { ANSWER_MAX_BYTES, END_TIMEOUT_MS } from './limits.ts';
import type { Settlement } from './pay/line.ts';

/** Status and headers as the worker sealed them, and the key that did. */
export interface AnswerHead {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly key: AttestedKey;
  readonly msgId: Bytes<16>;
}

/** A METER as it came, unverified. */
export interface ReadMeter {
  readonly bytes: Uint8Array;
  /** Sealed frames that were read before it. */
  readonly frames: number;
}

/** Of the worker that answers; behind the data that it counts, unless somebody has moved it. */
export type OnMeter = (meter: ReadMeter, key: AttestedKey) => void;

/** Where verified bytes go. `data` answers false when the reader is slow. */
export interface AnswerSink {
  head(head: AnswerHead): void;
  data(bytes: Uint8Array): boolean;
  drain(): Promise<void>;
}

/** Sees everything that was opened, as soon as it is. */
export interface AnswerReader {
  head(contentType: string): void;
  push(bytes: Uint8Array): void;
}

/** Who follows an answer that is paid for. */
export interface ReadAlong {
  readonly reader: AnswerReader;
  readonly onMeter: OnMeter | undefined;
}

export interface OpenedAnswer {
  readonly head: AnswerHead;
  readonly receipt: VerifiedReceipt | undefined;
  /** The gateway's ledger line as it came, unverified. */
  readonly ledger: Uint8Array | undefined;
  readonly asked: Pick<ClientExchange, 'prelude' | 'th'>;
  /** What the line proved, once somebody has held it against the receipt. */
  readonly settlement?: Settlement | undefined;
  /**
   * Gives the app what was held back: the end of a stream, or all of another answer. Once, by whoever has judged the whole:
   * apps stop at the end of a stream, and what is said behind it nobody hears.
   */
  readonly release: () => void;
}

const EVENT_STREAM = /^text\/event-stream\b/i;

function contentTypeOf({ headers }: AnswerHead): string {
  return headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? '';
}

/** One exchange's answer. Never throws into the carrier: it stops it and keeps the reason for `finish`. */
export class AnswerOpener implements SealedSink {
  readonly #reader: ResponseReader;
  readonly #msgId: Bytes<16>;
  readonly #asked: OpenedAnswer['asked'];
  readonly #sink: AnswerSink;
  readonly #along: ReadAlong | undefined;
  readonly #stop = new AbortController();
  readonly #ended = new AbortController();
  readonly #gate = new DoneGate();
  #waiting = new Gatherer();
  #head: AnswerHead | undefined;
  #flows = false;
  #receipt: VerifiedReceipt | undefined;
  #ledger: Uint8Array | undefined;
  #isFinal = false;
  #roomy = true;
  #failure: unknown;

  constructor(sealed: SealedRequest, sink: AnswerSink, along?: ReadAlong) {
    this.#reader = new ResponseReader(sealed.exchange);
    this.#msgId = sealed.msgId;
    this.#asked = sealed.exchange;
    this.#sink = sink;
    this.#along = along;
  }

  /** Aborted once there is no point in reading on. */
  get stopped(): AbortSignal {
    return this.#stop.signal;
  }

  head(): void {
    // The carrier's kid is a hint of the gateway; the reader learns the true one from the bytes.
  }

  write(bytes: Uint8Array): boolean {
    if (this.#failure !== undefined) return true;
    this.#guard(() => {
      for (const event of this.#reader.push(bytes)) this.#take(event);
    });
    return this.#roomy;
  }

  async drain(): Promise<void> {
    if (this.#failure === undefined && !this.#roomy) await this.#sink.drain();
    this.#roomy = true;
  }

  end(): void {
    if (this.#failure !== undefined) return;
    this.#guard(() => this.#reader.end());
  }

  fail(code: string): void {
    this.#guard(() => {
      throw this.#endedBy(code);
    });
  }

  /**
   * The gateway's word counts only until a worker has answered. After that the request has run and part of the answer may be
   * with the app: whoever seals anew for a word of the gateway, this client or an SDK above it, pays for a second answer.
   */
  #endedBy(code: string): VeilError {
    const error = clearError(code);
    return this.#head === undefined ? error : sxError('sx.truncated', 'gateway', { cause: error });
  }

  /** FINAL and everything before it verified: nothing that happens to the connection now can take it back. */
  get isComplete(): boolean {
    return this.#isFinal && this.#failure === undefined;
  }

  /** After the carrier is done. Throws what went wrong, the first thing first. */
  finish(): OpenedAnswer {
    this.#ended.abort();
    if (this.#failure !== undefined) throw this.#failure;
    if (!this.#isFinal || this.#head === undefined) throw sxError('sx.truncated');
    const { prelude, th } = this.#asked;
    return {
      head: this.#head,
      receipt: this.#receipt,
      ledger: this.#ledger,
      asked: { prelude, th },
      release: () => this.#release(),
    };
  }

  /**
   * The reason kept, if any: the carrier's own error is often only its consequence. A connection that breaks in the middle of
   * an answer has cut it, whether it was closed or reset; SDKs repeat what they take for a passing failure.
   */
  failureOr(error: unknown): unknown {
    if (this.#failure !== undefined) return this.#failure;
    const cut = this.#head !== undefined && hasCode(error, 'client.unreachable');
    return cut ? sxError('sx.truncated', 'broken off', { cause: error }) : error;
  }

  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#failure ??= error;
      this.#stop.abort();
    }
  }

  #take(event: ResponseEvent): void {
    switch (event.kind) {
      case 'head':
        this.#begin({
          status: event.status,
          headers: event.headers,
          key: event.key,
          msgId: this.#msgId,
        });
        return;
      case 'data':
        this.#data(event.bytes);
        return;
      case 'receipt':
        this.#receipt = event.receipt;
        return;
      case 'final':
        this.#isFinal = true;
        this.#awaitEnd();
        return;
      case 'gateway-error':
        throw this.#endedBy(event.code);
      case 'ledger-unverified':
        this.#ledger = event.bytes;
        return;
      case 'meter-unverified':
        if (this.#head !== undefined) this.#along?.onMeter?.(event, this.#head.key);
        return;
      case 'trailer':
    }
  }

  #begin(head: AnswerHead): void {
    this.#head = head;
    const contentType = contentTypeOf(head);
    this.#along?.reader.head(contentType);
    this.#flows = head.status === 200 && EVENT_STREAM.test(contentType);
    if (this.#flows) this.#sink.head(head);
  }

  #data(bytes: Uint8Array): void {
    this.#along?.reader.push(bytes);
    if (this.#flows) {
      this.#emit(this.#gate.pass(bytes));
      return;
    }
    if (this.#waiting.size + bytes.length > ANSWER_MAX_BYTES) {
      throw clientError('client.answer_size');
    }
    this.#waiting.push(bytes);
  }

  /** What may follow is an error, so the end is waited for; whoever holds it back gains this much of the app's time. */
  #awaitEnd(): void {
    const limit = AbortSignal.timeout(END_TIMEOUT_MS);
    const { signal } = this.#ended;
    limit.addEventListener('abort', () => this.#stop.abort(), { once: true, signal });
  }

  #release(): void {
    if (this.#flows) {
      this.#emit(this.#gate.release());
      return;
    }
    if (this.#head !== undefined) this.#sink.head(this.#head);
    this.#emit(this.#waiting.bytes());
    this.#waiting = new Gatherer();
  }

  #emit(bytes: Uint8Array): void {
    if (bytes.length > 0 && !this.#sink.data(bytes)) this.#roomy = false;
  }
}

const CLEAR_CODES = {
  key_unknown: 'sx.key_unknown',
  no_recipient: 'sx.no_recipient',
  busy: 'sx.busy',
  price: 'sx.price',
  replay: 'sx.replay',
  refused: 'sx.refused',
  unsupported: 'sx.unsupported',
} as const;

const CLEAR_CODE_ENTRIES: ReadonlyMap<string, (typeof CLEAR_CODES)[keyof typeof CLEAR_CODES]> =
  new Map(Object.entries(CLEAR_CODES));

/** What a gateway refuses in its own name, as the HTTP status it means. */
const GATEWAY_STATUSES: ReadonlyMap<string, number> = new Map([
  ['gateway.unauthorized', 401],
  ['gateway.payer', 403],
  ['gateway.rate', 429],
  ['gateway.concurrency', 429],
  ['gateway.busy', 503],
  ['gateway.closing', 503],
  ['gateway.too_large', 413],
  ['gateway.timeout', 504],
]);

/** The gateway's word for what happened, as ours; an unknown word says only that the gateway ended it. */
export function clearError(code: string): VeilError {
  const known = CLEAR_CODE_ENTRIES.get(code.replace(/^sx\./, '').replaceAll('-', '_'));
  if (known !== undefined) return sxError(known);
  const refusedStatus = GATEWAY_STATUSES.get(code);
  if (refusedStatus === undefined) return sxError('sx.gateway');
  return clientError('client.gateway_refused', '', { facts: { refusedStatus } });
}
