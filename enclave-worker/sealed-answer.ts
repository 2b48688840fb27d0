/**
 * One answer on its way out: head, content, receipt and end mark in that order, with padding and a pace below and
 * back-pressure above. What goes wrong after opening is said inside the seal. Spec: gateways-and-e2ee §7.5, §7.6;
 * openai-gateway-and-engine §2.4.
 * @module
 */

import { utf8, type Bytes } from '../core/bytes.ts';
import { SSE_HEADERS } from '../protocol/openai/sse.ts';
import type { FrontFailure } from '../protocol/openai/chat-front.ts';
import type { ReceiptOutcome, ReceiptSigner, SignedReceipt, Usage } from '../protocol/receipt.ts';
import { FrameCoalescer, type Scheduler } from '../protocol/sx/coalesce.ts';
import { ConstantRate } from '../protocol/sx/constant-rate.ts';
import { RESPONSE_HEADERS } from '../protocol/sx/inner.ts';
import { ResponseSealer, type AnswerSealer, type MeterInput } from '../protocol/sx/respond.ts';

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
  /** In so many milliseconds the connection ends, unless all was read before: then everything above is let go. */
  cutAfter(delayMs: number): void;
}

const TIMERS: Scheduler = {
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

type Fields = FrontFailure['headers'];

/** When what is said leaves. */
interface Pace {
  head(status: number, fields: Fields): void;
  write(bytes: Uint8Array): void;
  /** The end of the content, once. */
  last(bytes: Uint8Array): void;
  /** What is held leaves now, where the pace depends on what is said. */
  flush(): void;
  room(): Promise<void>;
  /** How long it takes until so many bytes more have left, as far as the pace decides that. */
  lastsMs(bytes: number): number;
  /** Resolves when nothing is held any more; at once when `gone` fires. */
  end(gone: AbortSignal): Promise<void>;
  /** Drops what is held, and every timer. */
  close(): void;
}

const JSON_HEADERS = [['content-type', 'application/json']] as const;

export class SealedAnswer {
  readonly #responder: AnswerSealer;
  readonly #sink: ExchangeSink;
  readonly #pace: Pace;
  readonly #dueMs: number;
  #status: number | undefined;
  #drained: Promise<void> | undefined;

  /** `leftMs`: until its reader stops waiting for it. */
  constructor(responder: AnswerSealer, sink: ExchangeSink, leftMs: number) {
    this.#responder = responder;
    this.#sink = sink;
    this.#dueMs = performance.now() + leftMs;
    const isPaced = responder instanceof ResponseSealer && responder.isConstantRate;
    this.#pace = isPaced ? this.#constantPace(responder) : this.#ownPace();
  }

  #constantPace(responder: ResponseSealer): Pace {
    const rate = new ConstantRate({
      responder,
      scheduler: TIMERS,
      nowMs: () => performance.now(),
      write: (bytes) => this.#write(bytes),
      hasRoom: () => this.#drained === undefined,
    });
    return {
      head: (status, fields) => rate.head(status, fields),
      write: (bytes) => rate.write(bytes),
      last: (bytes) => rate.write(bytes),
      flush: () => undefined,
      room: () => rate.room(),
      lastsMs: (bytes) => rate.lastsMs(bytes),
      end: (gone) => rate.end(gone),
      close: () => rate.close(),
    };
  }

  /** As the engine yields it. */
  #ownPace(): Pace {
    const coalescer = new FrameCoalescer({
      scheduler: TIMERS,
      emit: (bytes) => this.#write(this.#responder.data(bytes)),
    });
    const flush = (): void => coalescer.flush();
    return {
      head: (status, fields) => {
        this.#sink.head?.(status, fields);
        this.#write(this.#responder.head(status, fields));
      },
      write: (bytes) => coalescer.write(bytes),
      last: (bytes) => {
        flush();
        this.#write(this.#responder.last(bytes));
      },
      flush,
      room: async () => this.#drained,
      lastsMs: () => 0,
      end: async () => flush(),
      close: () => coalescer.cancel(),
    };
  }

  /** Sealed status, once it is out. */
  get status(): number | undefined {
    return this.#status;
  }

  /**
   * The whole answer in one piece. False: at its pace it would come when nobody waits for it any more, and nothing was said,
   * so that this can be.
   */
  whole(body: object): boolean {
    const bytes = utf8(JSON.stringify(body));
    const lastsMs = this.#pace.lastsMs(bytes.length);
    if (lastsMs > 0 && performance.now() + lastsMs > this.#dueMs) return false;
    this.#begin(200, JSON_HEADERS);
    this.#pace.last(bytes);
    return true;
  }

  failure({ status, body, headers }: FrontFailure): void {
    this.#begin(status, [...JSON_HEADERS, ...headers]);
    this.#pace.last(utf8(JSON.stringify(body)));
  }

  beginStream(): void {
    if (this.#status === undefined) this.#begin(200, SSE_HEADERS);
  }

  /** Nothing is written for an object of which a surface in front says nothing. */
  event(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#pace.write(bytes);
  }

  /** The last one of a whole answer: it may be held back until the exchange is settled. */
  lastEvent(bytes: Uint8Array): void {
    this.#pace.last(bytes);
  }

  /** Behind the text that it counts. */
  meter(input: MeterInput): void {
    this.#pace.flush();
    this.#write(this.#responder.meter(input));
  }

  /** Waits while the reader is slow, so that the engine waits too. */
  room(): Promise<void> {
    return this.#pace.room();
  }

  /**
   * Resolves when all that was said has left, and the end may follow. An answer that never began still gets its receipt: the
   * peer that went away may ask for it.
   */
  ended(gone: AbortSignal): Promise<void> {
    if (this.#status === undefined) this.#begin(499, []);
    return this.#pace.end(gone);
  }

  /** Signs the receipt and closes the seal, behind `ended`. */
  finish(input: {
    readonly signer: ReceiptSigner;
    readonly policyDigest: Bytes<32>;
    readonly usage: Usage;
    readonly outcome: ReceiptOutcome;
    readonly startMs: number;
    readonly endMs: number;
  }): SignedReceipt {
    const { bytes, signed } = this.#responder.receipt(input);
    this.#write(bytes);
    this.#write(this.#responder.final());
    this.#sink.end();
    return signed;
  }

  /** Without an end: nothing more is written. After `finish` there is nothing left to drop. */
  close(): void {
    this.#pace.close();
  }

  /** Headers about transport stay outside the seal: the protocol allows only those that speak to the app. */
  #begin(status: number, headers: Fields): void {
    this.#status = status;
    const fields = headers.filter(([name]) => RESPONSE_HEADERS.includes(name));
    this.#pace.head(status, fields);
  }

  #write(bytes: Uint8Array): void {
    if (this.#sink.write(bytes) || this.#drained !== undefined) return;
    this.#drained = this.#drain();
  }

  async #drain(): Promise<void> {
    await this.#sink.drained();
    this.#drained = undefined;
  }
}
