/**
 * Owns a sealed request from its bytes to its last frame: limits, account, once-only reservation, choice among the
 * sealed recipients, failover until the first sealed frame, relay, receipt, settlement, then FINAL. The gateway holds no
 * key here. Spec: gateways-and-e2ee §7.5, §7.10; overview "Once only".
 * @module
 */

import { constantTimeEqual } from '#primitives';
import { revokedAmong } from '../attestation/policy/revocations.ts';
import { toHex, type Bytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { VeilError } from '../core/errors.ts';
import { gatewayErrorFrame, type ClearRequest } from '../protocol/sx/clear.ts';
import type { ReceiptKey } from '../protocol/sx/check-receipt.ts';
import { refused, sxError } from '../protocol/sx/errors.ts';
import { CLOCK_SKEW_MAX_MS, REQUEST_WIRE_MAX_BYTES } from '../protocol/sx/limits.ts';
import { isMetered, payerRefOf } from '../protocol/sx/prelude.ts';
import type { Account, Accounts } from './accounts.ts';
import { attempt, type AttemptEnd } from './attempt.ts';
import type { Counters } from './counters.ts';
import type { Deadlines } from './deadline.ts';
import { gatewayError } from './errors.ts';
import type { GatewayLog } from './events.ts';
import { DEADLINE_GRACE_MS } from './limits.ts';
import type { Cashier, Reserved } from './payments/cashier.ts';
import { Metering } from './payments/metering.ts';
import type { PolicyDesk } from './policy/desk.ts';
import type { ReceiptRecovery } from './receipt-recovery.ts';
import { SX_FORM, type SealedForm } from './sealed-form.ts';
import type { DispatchLimits, SealedSink } from './sealed-sink.ts';
import type { LiveWorker, WorkerRegistry } from './workers/registry.ts';
import { noteChosen, noteDone, selectOrder } from './workers/select.ts';

export interface DispatchDeps {
  readonly clock: Clock;
  readonly registry: WorkerRegistry;
  readonly desk: PolicyDesk;
  readonly cashier: Cashier;
  readonly accounts: Accounts;
  readonly deadlines: Deadlines;
  readonly recovery: ReceiptRecovery;
  readonly limits: DispatchLimits;
  readonly log: GatewayLog;
  readonly counters: Counters;
  /** Shared by all exchanges of this gateway. */
  readonly load: { active: number };
}

export type DispatchOutcome =
  | { readonly outcome: 'answered'; readonly workerId: string }
  | { readonly outcome: 'refused'; readonly code: string }
  | { readonly outcome: 'broken'; readonly code: string; readonly workerId: string }
  | { readonly outcome: 'aborted'; readonly workerId: string | undefined };

/** A request as it came, for whom, and where its answer goes. */
export interface SealedCall {
  readonly form: SealedForm;
  readonly sealed: Uint8Array;
  readonly account: Account;
  readonly signal: AbortSignal;
  readonly sink: SealedSink;
}

/** A request of SX/1. Ends with `end` or `fail` of the sink. Never rejects: a fault of our own is `internal.invariant`. */
export function dispatchSealed(
  deps: DispatchDeps,
  sealed: Uint8Array,
  account: Account,
  signal: AbortSignal,
  sink: SealedSink,
): Promise<DispatchOutcome> {
  return dispatch(deps, { form: SX_FORM, sealed, account, signal, sink });
}

/** The same for a request of any form; ends with `end`, `cut` or `fail` of the sink. */
export async function dispatch(deps: DispatchDeps, call: SealedCall): Promise<DispatchOutcome> {
  const exchange = new Exchange(deps, call);
  deps.load.active++;
  deps.counters.active(deps.load.active);
  try {
    return exchange.report(await exchange.run());
  } catch (error) {
    return exchange.report(
      exchange.stop(error instanceof VeilError ? error.code : 'internal.invariant'),
    );
  } finally {
    deps.load.active--;
    deps.counters.active(deps.load.active);
  }
}

class Exchange {
  readonly #deps: DispatchDeps;
  readonly #form: SealedForm;
  readonly #sealed: Uint8Array;
  readonly #account: Account;
  readonly #signal: AbortSignal;
  readonly #sink: SealedSink;
  readonly #startMs: number;
  #held: Extract<Reserved, { outcome: 'reserved' }> | undefined;
  #ours: Bytes<16> | undefined;
  #requestId = '';
  #attempts = 0;
  #firstMs = 0;
  #bytesOut = 0;
  #answer: 'none' | 'begun' | 'over' = 'none';
  #workerId = '';

  constructor(deps: DispatchDeps, { form, sealed, account, signal, sink }: SealedCall) {
    this.#deps = deps;
    this.#form = form;
    this.#sealed = sealed;
    this.#account = account;
    this.#signal = signal;
    this.#startMs = deps.clock();
    this.#sink = {
      head: (kid, open) => {
        this.#answer = 'begun';
        sink.head(kid, open);
      },
      write: (bytes) => {
        this.#bytesOut += bytes.length;
        return sink.write(bytes);
      },
      drain: () => sink.drain(),
      end: () => {
        this.#answer = 'over';
        sink.end();
      },
      ...(sink.cut && {
        cut: (code: string) => {
          this.#answer = 'over';
          sink.cut?.(code);
        },
      }),
      settled: (settled) => sink.settled?.(settled),
      fail: (code, refusal) => {
        sink.fail(code, refusal);
        this.#answer = 'over';
      },
    };
  }

  async run(): Promise<DispatchOutcome> {
    const deps = this.#deps;
    if (deps.load.active > deps.limits.exchangesMax) throw gatewayError('gateway.busy');
    deps.desk.assertFresh(this.#startMs);
    if (this.#sealed.length > REQUEST_WIRE_MAX_BYTES) throw gatewayError('gateway.too_large');
    const request = this.#form.parse(this.#sealed);
    this.#requestId = toHex(request.prelude.msgId);
    this.#assertInTime(request);
    this.#assertPayer(request);
    const leave = deps.accounts.enter(this.#account, this.#startMs);
    try {
      const workers = this.#candidates(request);
      if (workers.length === 0) {
        // A repeat stays one when its workers are gone: whoever is told to seal anew would pay for a second answer.
        const isRepeat = (await deps.cashier.find(request.prelude.msgId)) !== undefined;
        return this.#refuse(isRepeat ? 'sx.replay' : emptyHanded([]));
      }
      const refused = await this.#reserve(request, workers);
      return refused ?? (await this.#serve(request, workers));
    } finally {
      leave();
    }
  }

  /** Whoever waits is told, whatever they have of the answer; what is reserved is left for recovery to ask about. */
  stop(code: string): DispatchOutcome {
    const workerId = this.#workerId;
    // Only of what this exchange holds: of a repeat the first one may still be running.
    if (this.#ours !== undefined) this.#deps.cashier.leave(this.#ours);
    switch (this.#answer) {
      case 'none':
        return this.#refuse(code);
      case 'begun':
        return this.#breakOff(code, workerId);
      case 'over':
        return { outcome: 'broken', code, workerId };
      default:
        return this.#answer satisfies never;
    }
  }

  report(outcome: DispatchOutcome): DispatchOutcome {
    const { log, counters, clock } = this.#deps;
    const code = 'code' in outcome ? outcome.code : undefined;
    const durMs = clock() - this.#startMs;
    counters.exchange(outcome.outcome, code ?? 'none', durMs);
    log.event('exchange.done', {
      requestId: this.#requestId,
      keyId: this.#account.keyId,
      outcome: outcome.outcome,
      code,
      workerId: ('workerId' in outcome ? outcome.workerId : undefined) ?? '',
      attempts: this.#attempts,
      bytesIn: this.#sealed.length,
      bytesOut: this.#bytesOut,
      firstMs: this.#firstMs,
      durMs,
    });
    return outcome;
  }

  /** The worker checks this too; here it keeps old msg_ids from being tried after the store has forgotten them. */
  #assertInTime({ prelude }: ClearRequest): void {
    const nowMs = this.#startMs;
    if (prelude.issuedAtMs > nowMs + CLOCK_SKEW_MAX_MS) throw refused('clock');
    if (nowMs >= prelude.issuedAtMs + prelude.ttlS * 1000) throw refused('clock');
  }

  #assertPayer({ prelude }: ClearRequest): void {
    const { payer } = this.#account;
    if (payer === undefined) return;
    if (!constantTimeEqual(payerRefOf(payer, prelude.msgId), prelude.payerRef)) {
      throw gatewayError('gateway.payer');
    }
  }

  /** Undefined once it is durable. */
  async #reserve(
    request: ClearRequest,
    workers: readonly LiveWorker[],
  ): Promise<DispatchOutcome | undefined> {
    const reserved = await this.#deps.cashier.reserve(this.#account, request, workers);
    if (reserved.outcome === 'reserved') {
      this.#held = reserved;
      this.#ours = request.prelude.msgId;
      return undefined;
    }
    if (reserved.outcome === 'replayed') throw sxError('sx.replay');
    const code = `payment.${reserved.refusal.code}`;
    this.#sink.fail(code, reserved.refusal);
    return { outcome: 'refused', code };
  }

  async #serve(request: ClearRequest, workers: readonly LiveWorker[]): Promise<DispatchOutcome> {
    const codes: string[] = [];
    for (const { key } of workers) {
      const receiptKey = this.#form.receiptKey(key);
      if (receiptKey === undefined) continue;
      // While another one was asked it may have been revoked, or left the policy.
      const worker = this.#usable(receiptKey.kid, request);
      if (worker === undefined) continue;
      const end = await this.#attempt(worker, receiptKey, request);
      const outcome = await this.#conclude(end, { worker, key: receiptKey }, request);
      if (outcome !== undefined) return outcome;
      if (end.kind !== 'moved') continue;
      codes.push(end.code);
      // The first worker may have read it; whoever cannot accept a second execution said so.
      if (end.sent && request.prelude.flags.singleRecipient && end.code !== 'sx.price') break;
    }
    this.#deps.cashier.release(request.prelude.msgId);
    return this.#refuse(emptyHanded(codes));
  }

  /** Of the sealed recipients those that live here, in the order of our choice. */
  #candidates(request: ClearRequest): readonly LiveWorker[] {
    const live = request.kids
      .map((kid) => this.#usable(kid, request))
      .filter((worker) => worker !== undefined);
    return selectOrder(live, this.#deps.clock());
  }

  /** Undefined for whom nothing may be sent to now. */
  #usable(kid: Uint8Array, request: ClearRequest): LiveWorker | undefined {
    const { registry, desk, clock } = this.#deps;
    const nowMs = clock();
    const worker = this.#form.find(registry, kid, request);
    if (worker === undefined) return undefined;
    if (!(nowMs < worker.key.expiresAtMs)) return undefined;
    if (desk.staleBecause(nowMs, desk.policyFor(worker.key.workerId)) !== undefined) {
      return undefined;
    }
    const isRevoked = revokedAmong(desk.revocations(), worker.verdict.revocable) !== undefined;
    return isRevoked ? undefined : worker;
  }

  async #attempt(worker: LiveWorker, key: ReceiptKey, request: ClearRequest): Promise<AttemptEnd> {
    const { clock, deadlines, limits, counters } = this.#deps;
    const { prelude } = request;
    this.#attempts++;
    this.#workerId = worker.workerId;
    noteChosen(worker.load);
    const end = await attempt({
      worker,
      form: this.#form,
      key,
      sealed: this.#sealed,
      request,
      sink: this.#sink,
      signal: this.#signal,
      clock,
      deadlines,
      limits,
      untilMs: prelude.issuedAtMs + prelude.deadlineMs + DEADLINE_GRACE_MS,
      metering: this.#metering(worker, prelude),
      onFirstSealed: () => {
        this.#firstMs = clock() - this.#startMs;
        counters.firstFrame(this.#firstMs);
      },
    });
    noteDone(worker.load, noteOf(end), clock());
    return end;
  }

  /** Where the payer pays step by step, and the answer says how far it is. */
  #metering(worker: LiveWorker, prelude: ClearRequest['prelude']): Metering | undefined {
    const { cashier, log } = this.#deps;
    const { means } = this.#account;
    const held = this.#held;
    if (means.kind !== 'channel' || means.chunkTokens === undefined || !isMetered(prelude.flags)) {
      return undefined;
    }
    if (held === undefined) return undefined;
    const { chunkTokens } = means;
    return new Metering({ cashier, worker, prelude, ...held, log, means, chunkTokens });
  }

  /** Undefined: the next candidate may try. */
  async #conclude(
    end: AttemptEnd,
    { worker, key }: { readonly worker: LiveWorker; readonly key: ReceiptKey },
    request: ClearRequest,
  ): Promise<DispatchOutcome | undefined> {
    const { cashier, recovery } = this.#deps;
    const { msgId } = request.prelude;
    switch (end.kind) {
      case 'moved':
        this.#moved(end.code, worker);
        return undefined;
      case 'stopped':
        cashier.release(msgId);
        return this.#refuse(end.code);
      case 'held':
        return this.#settle(end, worker);
      case 'broken':
        // A client that stalls is a client that left: the worker may still be owed.
        if (end.fault === 'client') recovery.start(worker, request, key);
        else cashier.release(msgId);
        return this.#breakOff(end.code, worker.workerId);
      case 'aborted':
        if (end.sent) recovery.start(worker, request, key);
        else cashier.release(msgId);
        this.#sink.end();
        return { outcome: 'aborted', workerId: worker.workerId };
      default:
        return end satisfies never;
    }
  }

  #moved(code: string, worker: LiveWorker): void {
    const { log, counters, registry } = this.#deps;
    counters.moved(code);
    log.event('exchange.moved', { requestId: this.#requestId, workerId: worker.workerId, code });
    // The key is gone for good: keys live in memory only, and a worker that restarted has new ones.
    if (code === 'sx.key_unknown') registry.remove(worker.kid, 'key_gone');
  }

  async #settle(
    end: Extract<AttemptEnd, { kind: 'held' }>,
    worker: LiveWorker,
  ): Promise<DispatchOutcome> {
    const { receipt } = end;
    let line: Uint8Array;
    try {
      const statement = await this.#deps.cashier.settle(worker, receipt);
      this.#sink.settled?.({ receipt, line: statement, asset: worker.key.prices.asset });
      line = statement;
    } catch (error) {
      // FINAL says that the exchange is settled, so it must not leave when it is not.
      this.#deps.cashier.leave(receipt.receipt.requestId);
      return this.#breakOff(
        error instanceof VeilError ? error.code : 'gateway.store',
        worker.workerId,
      );
    }
    for (const bytes of end.release(line)) this.#sink.write(bytes);
    this.#sink.end();
    return { outcome: 'answered', workerId: worker.workerId };
  }

  #refuse(code: string): DispatchOutcome {
    this.#sink.fail(code);
    return { outcome: 'refused', code };
  }

  #breakOff(code: string, workerId: string): DispatchOutcome {
    if (this.#sink.cut === undefined) {
      this.#sink.write(gatewayErrorFrame(frameCode(code)));
      this.#sink.end();
    } else this.#sink.cut(code);
    return { outcome: 'broken', code, workerId };
  }
}

/** Frame 0x1F takes lower-case ASCII. */
function frameCode(code: string): string {
  return code.toLowerCase();
}

function noteOf(end: AttemptEnd): 'good' | 'failed' | 'busy' | 'neutral' {
  if (end.kind === 'moved') return end.note;
  if (end.kind === 'held') return 'good';
  return end.kind === 'broken' && end.fault === 'worker' ? 'failed' : 'neutral';
}

/** What the client is told when no recipient took it. */
function emptyHanded(codes: readonly string[]): string {
  if (codes.every((code) => code === 'sx.key_unknown')) return 'sx.key_unknown';
  if (codes.every((code) => code === 'sx.price')) return 'sx.price';
  if (codes.every((code) => code === 'gateway.timeout')) return 'gateway.timeout';
  return 'sx.no_recipient';
}
