/**
 * One worker's turn at a request: the same sealed bytes go out, frames come back with back-pressure, and the end is held
 * until the caller has made the receipt durable. Spec: gateways-and-e2ee §7.5 "Failover".
 * @module
 */

import { concat } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { VeilError } from '../core/errors.ts';
import type { ReadHeaders, StreamControl } from '../core/node/http-client.ts';
import type { SignedReceipt } from '../protocol/receipt.ts';
import { verifyReceipt, type ReceiptKey } from '../protocol/sx/check-receipt.ts';
import type { ClearRequest, Relay } from '../protocol/sx/clear.ts';
import type { Deadline, Deadlines } from './deadline.ts';
import type { Metering } from './payments/metering.ts';
import type { OpenHead, SealedForm } from './sealed-form.ts';
import type { DispatchLimits, SealedSink } from './sealed-sink.ts';
import type { LiveWorker } from './workers/registry.ts';
import type { AttemptNote } from './workers/select.ts';

export type AttemptEnd =
  /** Nothing was relayed. `sent`: the worker may have read the request. */
  | {
      readonly kind: 'moved';
      readonly code: string;
      readonly note: AttemptNote;
      readonly sent: boolean;
    }
  /** The worker refuses the request itself: no other may be asked. */
  | { readonly kind: 'stopped'; readonly code: string }
  /** FINAL and a receipt that verified are held; `release` gives the last bytes. */
  | {
      readonly kind: 'held';
      readonly receipt: SignedReceipt;
      readonly release: (ledgerLine: Uint8Array) => readonly Uint8Array[];
    }
  /** The answer had begun and cannot be completed. `fault`: whose time-out or mistake it was. */
  | { readonly kind: 'broken'; readonly code: string; readonly fault: 'worker' | 'client' }
  | { readonly kind: 'aborted'; readonly sent: boolean };

export interface AttemptInput {
  readonly worker: LiveWorker;
  readonly form: SealedForm;
  /** The worker's, by its kid of this form. */
  readonly key: ReceiptKey;
  readonly sealed: Uint8Array;
  readonly request: ClearRequest;
  readonly sink: SealedSink;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly limits: DispatchLimits;
  /** When the exchange is cut at the latest, Unix ms. */
  readonly untilMs: number;
  readonly onFirstSealed: () => void;
  /** Pay as you go. */
  readonly metering: Metering | undefined;
}

/** What a bare status of a worker means. Everything else is a failure of the worker. */
const REFUSALS: Readonly<Record<number, AttemptEnd>> = {
  400: { kind: 'stopped', code: 'sx.refused' },
  409: { kind: 'stopped', code: 'sx.replay' },
  402: { kind: 'moved', code: 'sx.price', note: 'neutral', sent: true },
  421: { kind: 'moved', code: 'sx.key_unknown', note: 'failed', sent: true },
  503: { kind: 'moved', code: 'sx.busy', note: 'busy', sent: true },
};

/** Never rejects. */
export function attempt(input: AttemptInput): Promise<AttemptEnd> {
  return new Attempt(input).run();
}

class Attempt {
  readonly #input: AttemptInput;
  readonly #relay: Relay;
  readonly #deadline: Deadline;
  readonly #done = Promise.withResolvers<AttemptEnd>();
  readonly #onAbort: () => void;
  readonly #onCut: () => void;
  #control: StreamControl | undefined;
  #abortLink: () => void = () => {};
  #headSeen = false;
  #relayed = false;
  #paused = false;
  /** Was paused at least once. */
  #wasSlow = false;
  #ended = false;
  #receipt: SignedReceipt | undefined;
  #openHead: OpenHead | undefined;

  constructor(input: AttemptInput) {
    this.#input = input;
    this.#relay = input.form.relay(input.key.kid, input.request);
    this.#onAbort = () => this.#finish({ kind: 'aborted', sent: true });
    this.#onCut = () => this.#cut();
    this.#deadline = {
      atMs: Math.min(input.untilMs, input.clock() + input.limits.firstSealedTimeoutMs),
      onLate: () => this.#late(),
    };
  }

  run(): Promise<AttemptEnd> {
    const { signal, worker, form, sealed, deadlines, metering } = this.#input;
    if (signal.aborted) {
      this.#finish({ kind: 'aborted', sent: false });
      return this.#done.promise;
    }
    signal.addEventListener('abort', this.#onAbort, { once: true });
    worker.running.add(this.#onCut);
    deadlines.add(this.#deadline);
    const running = worker.link.exchange(
      sealed,
      {
        onHead: (status, headers, control) => this.#head(status, headers, control),
        onData: (chunk) => this.#data(chunk),
        onEnd: () => this.#linkEnded(),
        onError: (error) => this.#linkFailed(error),
      },
      { form: form.link, ...(metering === undefined ? {} : { meterEvery: metering.every }) },
    );
    this.#abortLink = () => running.abort();
    // A pool may refuse at once, before there was anything to abort.
    if (this.#ended) running.abort();
    return this.#done.promise;
  }

  /** The one exit. Whatever still comes from the link after it is dropped. */
  #finish(end: AttemptEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#input.deadlines.remove(this.#deadline);
    this.#input.signal.removeEventListener('abort', this.#onAbort);
    this.#input.worker.running.delete(this.#onCut);
    this.#input.metering?.end();
    // After FINAL the worker ends its stream itself, and the connection stays usable.
    if (end.kind !== 'held') this.#abortLink();
    this.#done.resolve(end);
  }

  /**
   * A reader that does not read may neither close the door of its worker nor cost it its receipt; nor may one that held up
   * the answer and reads again when its deadline comes.
   */
  #late(): void {
    const isDeadline = this.#deadline.atMs >= this.#input.untilMs;
    const isOfReader = this.#paused || (this.#wasSlow && isDeadline);
    this.#fail('gateway.timeout', isOfReader ? 'neutral' : 'failed');
  }

  /** The worker was revoked: not another byte of it goes out. */
  #cut(): void {
    const code = 'gateway.worker_revoked';
    if (this.#relayed) this.#finish({ kind: 'broken', code, fault: 'worker' });
    else this.#finish({ kind: 'moved', code, note: 'neutral', sent: true });
  }

  #fail(code: string, note: AttemptNote): void {
    const fault = note === 'failed' ? 'worker' : 'client';
    if (this.#relayed) this.#finish({ kind: 'broken', code, fault });
    else this.#finish({ kind: 'moved', code, note, sent: true });
  }

  #head(status: number, headers: ReadHeaders, control: StreamControl): void {
    this.#control = control;
    this.#headSeen = true;
    const refusal = REFUSALS[status];
    if (refusal !== undefined) {
      this.#finish(refusal);
      return;
    }
    const { link, openHead } = this.#input.form;
    this.#openHead = openHead?.(headers);
    const isSaid = openHead === undefined || this.#openHead !== undefined;
    if (status !== 200 || headers['content-type'] !== link.responseType || !isSaid) {
      this.#fail('sx.response', 'failed');
    }
  }

  #data(chunk: Uint8Array): void {
    if (this.#ended) {
      // Bytes after FINAL: the worker does not speak the protocol, so the connection ends here.
      this.#abortLink();
      return;
    }
    try {
      this.#step(chunk);
    } catch (error) {
      const code = error instanceof VeilError ? error.code : 'internal.invariant';
      // How much there is to say was asked for by the client: who asks for more than is passed on owes it all the same.
      this.#fail(code, code === 'sx.limit' ? 'neutral' : 'failed');
    }
  }

  #step(chunk: Uint8Array): void {
    const { key, request, clock, limits, sink, untilMs } = this.#input;
    const step = this.#relay.push(chunk);
    if (step.firstSealed) {
      this.#relayed = true;
      this.#input.onFirstSealed();
      const open = this.#openHead;
      const { nonce } = step;
      sink.head(
        key.kid,
        ...(open === undefined || nonce === undefined ? [] : [{ ...open, nonce }]),
      );
    }
    if (this.#relayed) {
      this.#deadline.atMs = Math.min(untilMs, clock() + limits.idleTimeoutMs);
    }
    // Several frames that came in one read leave in one write.
    const [only] = step.forward;
    const joined = step.forward.length === 1 ? only : concat(...step.forward);
    if (joined !== undefined && joined.length > 0 && !sink.write(joined)) this.#waitForReader();
    for (const meter of step.meters) this.#input.metering?.take(meter);
    if (step.receipt !== undefined) {
      this.#receipt = verifyReceipt(step.receipt, {
        key,
        prelude: request.prelude,
        th: request.th,
        respHash: this.#relay.respHash(),
        policyDigest: 'sealed',
      });
    }
    if (!step.final) return;
    if (this.#receipt === undefined) this.#fail('sx.receipt_missing', 'failed');
    else {
      const release = (line: Uint8Array) => this.#relay.release(line);
      this.#finish({ kind: 'held', receipt: this.#receipt, release });
    }
  }

  /** A slow reader stops the worker: the link is not read until the client has read. */
  #waitForReader(): void {
    const { clock, limits, sink, untilMs } = this.#input;
    if (this.#paused) return;
    this.#paused = true;
    this.#wasSlow = true;
    this.#control?.pause();
    this.#deadline.atMs = Math.min(untilMs, clock() + limits.slowReaderTimeoutMs);
    void this.#resumeAfter(sink.drain());
  }

  async #resumeAfter(drained: Promise<void>): Promise<void> {
    await drained;
    const { clock, limits, untilMs } = this.#input;
    this.#paused = false;
    this.#deadline.atMs = Math.min(untilMs, clock() + limits.idleTimeoutMs);
    this.#control?.resume();
  }

  #linkEnded(): void {
    if (!this.#ended) this.#fail('sx.truncated', 'failed');
  }

  #linkFailed(error: VeilError): void {
    if (this.#ended) return;
    const sent = error.code !== 'http.connect' && error.code !== 'http.pin';
    if (!sent) this.#finish({ kind: 'moved', code: error.code, note: 'failed', sent });
    else this.#fail(this.#headSeen ? 'sx.truncated' : error.code, 'failed');
  }
}
