/**
 * One answer on its way out: head, content, receipt and end mark in that order, with padding and coalescing below and
 * back-pressure above. What goes wrong after opening is said inside the seal. Spec: gateways-and-e2ee §7.5, §7.6;
 * openai-gateway-and-engine §2.4.
 * @module
 */

import { utf8, type Bytes } from '../core/bytes.ts';
import { SSE_HEADERS } from '../protocol/openai/sse.ts';
import type { FrontFailure } from '../protocol/openai/chat-front.ts';
import type { ReceiptOutcome, ReceiptSigner, SignedReceipt, Usage } from '../protocol/receipt.ts';
import { FrameCoalescer, type Scheduler } from '../protocol/sx/coalesce.ts';
import { RESPONSE_HEADERS } from '../protocol/sx/inner.ts';
import type { AnswerSealer, MeterInput } from '../protocol/sx/respond.ts';

/** The raw HTTP answer of the link. Writing after the peer has gone is harmless. */
export interface ExchangeSink {
  /** A bare refusal: a status and nothing else. */
  refuse(status: number): void;
  /** 200, headers out at once. */
  accept(kid: Uint8Array): void;
  /** Of forms that leave status and headers outside of the seal: before the first byte. */
  head?(status: number, headers: FrontFailure['headers']): void;
  /** False: wait for `drained` before the next write. */
  write(bytes: Uint8Array): boolean;
  /** Resolves when there is room, and also when the peer is gone. */
  drained(): Promise<void>;
  end(): void;
}

const TIMERS: Scheduler = {
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

const JSON_HEADERS = [['content-type', 'application/json']] as const;

export class SealedAnswer {
  readonly #responder: AnswerSealer;
  readonly #sink: ExchangeSink;
  readonly #coalescer: FrameCoalescer;
  #status: number | undefined;
  #full = false;

  constructor(responder: AnswerSealer, sink: ExchangeSink) {
    this.#responder = responder;
    this.#sink = sink;
    this.#coalescer = new FrameCoalescer({
      scheduler: TIMERS,
      emit: (bytes) => this.#write(this.#responder.data(bytes)),
    });
  }

  /** Sealed status, once it is out. */
  get status(): number | undefined {
    return this.#status;
  }

  /** The whole answer in one piece. */
  json(status: number, body: object, headers: FrontFailure['headers'] = []): void {
    this.#begin(status, [...JSON_HEADERS, ...headers]);
    this.#write(this.#responder.last(utf8(JSON.stringify(body))));
  }

  failure(failure: FrontFailure): void {
    this.json(failure.status, failure.body, failure.headers);
  }

  beginStream(): void {
    if (this.#status === undefined) this.#begin(200, SSE_HEADERS);
  }

  /** Nothing is written for an object of which a surface in front says nothing. */
  event(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#coalescer.write(bytes);
  }

  /** The last one of a whole answer: it may be held back until the exchange is settled. */
  lastEvent(bytes: Uint8Array): void {
    this.#coalescer.flush();
    this.#write(this.#responder.last(bytes));
  }

  /** Behind the text that it counts. */
  meter(input: MeterInput): void {
    this.#coalescer.flush();
    this.#write(this.#responder.meter(input));
  }

  /** Waits while the reader is slow, so that the engine waits too. */
  async room(): Promise<void> {
    if (!this.#full) return;
    await this.#sink.drained();
    this.#full = false;
  }

  /**
   * Signs the receipt and closes the seal. An answer that never began still gets its receipt: the peer that went away
   * may ask for it.
   */
  finish(input: {
    readonly signer: ReceiptSigner;
    readonly policyDigest: Bytes<32>;
    readonly usage: Usage;
    readonly outcome: ReceiptOutcome;
    readonly startMs: number;
    readonly endMs: number;
  }): SignedReceipt {
    this.#coalescer.flush();
    if (this.#status === undefined) this.#begin(499, []);
    const { bytes, signed } = this.#responder.receipt(input);
    this.#write(bytes);
    this.#write(this.#responder.final());
    this.#sink.end();
    return signed;
  }

  /** Headers about transport stay outside the seal: the protocol allows only those that speak to the app. */
  #begin(status: number, headers: FrontFailure['headers']): void {
    this.#status = status;
    const fields = headers.filter(([name]) => RESPONSE_HEADERS.includes(name));
    this.#sink.head?.(status, fields);
    this.#write(this.#responder.head(status, fields));
  }

  #write(bytes: Uint8Array): void {
    if (!this.#sink.write(bytes)) this.#full = true;
  }
}
