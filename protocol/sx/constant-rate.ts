/**
 * Worker: one answer at a constant rate. From the moment the request was accepted one frame of one size leaves in each tick,
 * whether there is something to say or not; the number of frames is rounded up. What is seen from outside is when the
 * request was accepted and, to a second, when its answer ended. Spec: P§10.8.
 * @module
 */

import { deferred } from '../../core/deferred.ts';
import { assert } from '../../core/errors.ts';
import type { Fields } from '../bhttp.ts';
import type { Scheduler } from './coalesce.ts';
import { CONSTANT_AHEAD_MAX_BYTES, CONSTANT_FRAMES_STEP, CONSTANT_TICK_MS } from './limits.ts';
import { CONSTANT_CHUNK_MAX_BYTES, type ResponseSealer } from './respond.ts';

export interface ConstantRateInput {
  readonly responder: ResponseSealer;
  readonly scheduler: Scheduler;
  /** Milliseconds that never go back. */
  readonly nowMs: () => number;
  readonly write: (bytes: Uint8Array) => void;
  /** False: the reader is slow, and a tick has nowhere to go. */
  readonly hasRoom: () => boolean;
}

interface Ending {
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

export class ConstantRate {
  readonly #input: ConstantRateInput;
  #head: { readonly status: number; readonly fields: Fields } | undefined;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #dueMs: number;
  #cancelTimer: (() => void) | undefined;
  #ending: Ending | undefined;
  #failure: { readonly reason: unknown } | undefined;
  #isClosed = false;
  #waiting: (() => void)[] = [];

  /** The first frame leaves at once. */
  constructor(input: ConstantRateInput) {
    this.#input = input;
    this.#dueMs = input.nowMs();
    this.#send();
    this.#await();
  }

  /** Once, before all content. */
  head(status: number, fields: Fields): void {
    this.#head = { status, fields };
  }

  write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
  }

  /** Resolves when no more is held than may be ahead of the pace. */
  async room(): Promise<void> {
    while (this.#queuedBytes > CONSTANT_AHEAD_MAX_BYTES && !this.#isOver) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** From now until so many bytes more have left and the answer has ended, behind a reader that is not slow. */
  lastsMs(bytes: number): number {
    const { frames } = this.#input.responder;
    // The head, and the frame that ends the content.
    const more = 2 + Math.ceil((this.#queuedBytes + bytes) / CONSTANT_CHUNK_MAX_BYTES);
    const all = Math.ceil((frames + more) / CONSTANT_FRAMES_STEP) * CONSTANT_FRAMES_STEP;
    return (all - frames) * CONSTANT_TICK_MS;
  }

  /** No more frames, whatever was said: the answer will not be ended. */
  close(): void {
    this.#isClosed = true;
    this.#cancelTimer?.();
    this.#freeWaiting();
  }

  /**
   * Resolves within the tick in which the answer ends: all but its last frame is out, and whoever asked writes that frame and
   * what follows it. Nobody is left to hide from once `gone` has fired: then all is written at once. Rejects with what went
   * wrong in a tick.
   */
  async end(gone: AbortSignal): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.reason;
    const { promise, resolve, reject } = deferred<void>();
    this.#ending = { resolve: () => resolve(undefined), reject };
    this.#freeWaiting();
    const rush = (): void => this.#rush();
    gone.addEventListener('abort', rush, { once: true });
    if (gone.aborted) rush();
    await promise;
    gone.removeEventListener('abort', rush);
  }

  /** Nothing that is held will be waited for. */
  get #isOver(): boolean {
    return this.#ending !== undefined || this.#failure !== undefined || this.#isClosed;
  }

  get #isAtEnd(): boolean {
    const isSaid = this.#head === undefined && this.#queuedBytes === 0;
    // The frame that ends the content is one of them.
    return isSaid && (this.#input.responder.frames + 1) % CONSTANT_FRAMES_STEP === 0;
  }

  #tick(): void {
    try {
      if (this.#input.hasRoom()) {
        if (this.#ending !== undefined && this.#isAtEnd) return this.#ending.resolve();
        this.#send();
      }
    } catch (reason) {
      return this.#fail(reason);
    }
    this.#await();
  }

  /** What a timer or a listener throws ends a process, and all other answers with it; so whoever ends this one is told. */
  #fail(reason: unknown): void {
    this.#failure = { reason };
    this.#freeWaiting();
    this.#ending?.reject(reason);
  }

  #await(): void {
    const { nowMs, scheduler } = this.#input;
    // A late tick is not made good: two frames in one would say that this machine was busy.
    const now = nowMs();
    const nextMs = this.#dueMs + CONSTANT_TICK_MS;
    this.#dueMs = nextMs > now ? nextMs : now + CONSTANT_TICK_MS;
    this.#cancelTimer = scheduler.after(this.#dueMs - now, () => this.#tick());
  }

  #rush(): void {
    this.#cancelTimer?.();
    try {
      while (!this.#isAtEnd) this.#send();
      this.#ending?.resolve();
    } catch (reason) {
      this.#fail(reason);
    }
  }

  #send(): void {
    const { responder, write } = this.#input;
    if (this.#head !== undefined) {
      const { status, fields } = this.#head;
      this.#head = undefined;
      return write(responder.head(status, fields));
    }
    write(this.#queuedBytes === 0 ? responder.silence() : responder.data(this.#take()));
  }

  /** As much as one frame holds. */
  #take(): Uint8Array {
    const bytes = new Uint8Array(Math.min(CONSTANT_CHUNK_MAX_BYTES, this.#queuedBytes));
    for (let has = 0; has < bytes.length;) {
      const [first] = this.#queue;
      assert(first !== undefined, 'what is counted is held');
      const piece = first.subarray(0, bytes.length - has);
      bytes.set(piece, has);
      has += piece.length;
      if (piece.length === first.length) this.#queue.shift();
      else this.#queue[0] = first.subarray(piece.length);
    }
    this.#queuedBytes -= bytes.length;
    if (this.#queuedBytes <= CONSTANT_AHEAD_MAX_BYTES) this.#freeWaiting();
    return bytes;
  }

  #freeWaiting(): void {
    for (const free of this.#waiting.splice(0)) free();
  }
}
