/**
 * What has happened since the start, kept in bounds: workers, requests, money, faults. Whoever shows it reads it; what
 * changes it says so with an event.
 * @module
 */

import { toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import type { Settlement } from '../../client/pay/line.ts';
import type { PayFault } from '../../client/pay/payer.ts';
import type { WorkerVerdict } from '../../client/session.ts';
import type { PolicyNews } from '../../client/signed-trust.ts';
import type { VerifiedReceipt } from '../../protocol/sx/read-response.ts';
import type { Asset } from '../../settlement/money.ts';
import { adviceOn } from './advice.ts';
import type { RefusalReason } from './door.ts';
import type {
  Cost,
  EndedRequest,
  ModelRow,
  PayTrouble,
  ProxyEvent,
  Route,
  Say,
  Tokens,
} from './events.ts';
import {
  BILLS_WAITING_MAX,
  FAULTS_SHOWN_MAX,
  REFUSALS_SAID_EVERY_MS,
  REQUESTS_SHOWN_MAX,
  WORKERS_SHOWN_MAX,
} from './limits.ts';
import { rowKey, safe, workerRow, type WorkerRow } from './worker-rows.ts';

/** What the client proved about an answer. */
interface Bill {
  readonly model: string;
  readonly workerId: string;
  readonly simulated: boolean;
  readonly tokens: Tokens;
  readonly cost: Cost | undefined;
}

export interface RunningRequest {
  readonly n: number;
  readonly route: Route | 'other';
  readonly startedMs: number;
  firstMs: number | undefined;
  /** Server-sent events so far: about one for each token. */
  pieces: number;
}

export interface RequestEnd {
  readonly outcome: EndedRequest['outcome'];
  readonly status?: number | undefined;
  readonly code?: string | undefined;
  readonly requestId?: string | undefined;
}

export class Activity {
  readonly #clock: Clock;
  readonly #listeners: Say[] = [];
  readonly #workers = new Map<string, WorkerRow>();
  readonly #models = new Map<string, ModelRow>();
  readonly #running = new Map<number, RunningRequest>();
  readonly #ended: EndedRequest[] = [];
  readonly #faults: PayTrouble[] = [];
  readonly #bills = new Map<string, Bill>();
  readonly #spent = new Map<Asset, bigint>();
  readonly #refusals = new Map<RefusalReason, { count: number; said: number; saidMs: number }>();
  readonly #counts = { answered: 0, failed: 0, left: 0 };
  readonly startedMs: number;
  #next = 1;
  #away: string | undefined;
  #isReady = false;
  /** Over the life of the channel, by the gateway's latest line. */
  #channelTotal: bigint | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.startedMs = clock();
  }

  onEvent(listener: Say): void {
    this.#listeners.push(listener);
  }

  get workers(): readonly WorkerRow[] {
    return [...this.#workers.values()];
  }

  get models(): readonly ModelRow[] {
    return [...this.#models.values()];
  }

  get running(): readonly RunningRequest[] {
    return [...this.#running.values()];
  }

  /** Oldest first. */
  get ended(): readonly EndedRequest[] {
    return this.#ended;
  }

  get faults(): readonly PayTrouble[] {
    return this.#faults;
  }

  get counts(): Readonly<Record<EndedRequest['outcome'], number>> {
    return this.#counts;
  }

  get spent(): ReadonlyMap<Asset, bigint> {
    return this.#spent;
  }

  get channelTotal(): bigint | undefined {
    return this.#channelTotal;
  }

  get refused(): number {
    return [...this.#refusals.values()].reduce((sum, { count }) => sum + count, 0);
  }

  /** Why the gateway cannot be asked, while it cannot. */
  get away(): string | undefined {
    return this.#away;
  }

  /** Said again only when it is another verdict: keys are looked up anew every few minutes. */
  verdict(found: WorkerVerdict): void {
    const worker = workerRow(found);
    const key = rowKey(worker);
    const known = this.#workers.get(key);
    this.#workers.delete(key);
    this.#workers.set(key, worker);
    dropOldest(this.#workers, WORKERS_SHOWN_MAX);
    const same =
      known !== undefined &&
      known.outcome === worker.outcome &&
      known.why === worker.why &&
      known.policy === worker.policy &&
      known.rule === worker.rule;
    if (!same) this.#say({ kind: 'worker', worker });
  }

  /** What became of each model that the gateway lists. Workers that are gone from all of them are not shown any more. */
  looked(models: readonly ModelRow[], current: readonly WorkerRow[]): void {
    const keys = new Set(current.map(rowKey));
    for (const key of this.#workers.keys()) if (!keys.has(key)) this.#workers.delete(key);
    const before = new Map(this.#models);
    this.#models.clear();
    for (const model of models) {
      this.#models.set(model.model, model);
      const known = before.get(model.model);
      const same = known?.outcome === model.outcome && known.why === model.why;
      if (!same && (known !== undefined || model.outcome === 'refused')) {
        this.#say({ kind: 'model', model });
      }
    }
    this.gatewayIsBack();
    const verified = models.filter(({ outcome }) => outcome === 'verified');
    if (this.#isReady || verified.length === 0) return;
    this.#isReady = true;
    this.#say({ kind: 'ready', models: verified.map(({ model }) => model) });
  }

  gatewayIsAway(code: string, why: string): void {
    if (this.#away === why) return;
    this.#away = why;
    this.#say({ kind: 'gateway', state: 'away', code, why });
  }

  gatewayIsBack(): void {
    if (this.#away === undefined) return;
    this.#away = undefined;
    this.#say({ kind: 'gateway', state: 'back', code: undefined, why: undefined });
  }

  policy(news: PolicyNews): void {
    if (news.outcome === 'refused') {
      const { document, code, detail } = news;
      this.#say({
        kind: 'policy',
        outcome: 'refused',
        document,
        detail: safe(`${code}: ${detail}`),
      });
      return;
    }
    const { event } = news;
    // Every twenty seconds there is a new one.
    if (event.kind === 'timestamp') return;
    const number = 'number' in event ? event.number : 'version' in event ? event.version : '';
    this.#say({ kind: 'policy', outcome: 'accepted', document: event.kind, detail: `${number}` });
  }

  fault({ faults, savedAs }: PayFault): void {
    const trouble: PayTrouble = { faults, savedAs };
    this.#faults.push(trouble);
    if (this.#faults.length > FAULTS_SHOWN_MAX) this.#faults.shift();
    this.#say({ kind: 'fault', trouble });
  }

  /** Before its bill. */
  receipt({ receipt, key }: VerifiedReceipt): void {
    const { prompt, cached, completion, reasoning } = receipt.usage;
    const { asset } = key.prices;
    this.#keepBill(toHex(receipt.requestId), {
      model: safe(key.model.id),
      workerId: toHex(key.workerId),
      simulated: key.simulated,
      tokens: { read: prompt + cached, written: completion + reasoning },
      cost: { amount: receipt.amount, asset, by: 'worker' },
    });
  }

  settled({ amount, cum, receipt }: Settlement, payer: 'channel' | 'account'): void {
    const id = toHex(receipt.receipt.requestId);
    const { asset } = receipt.key.prices;
    this.#spent.set(asset, (this.#spent.get(asset) ?? 0n) + amount);
    if (payer === 'channel' && (this.#channelTotal ?? 0n) < cum) this.#channelTotal = cum;
    const bill = this.#bills.get(id);
    if (bill !== undefined) this.#keepBill(id, { ...bill, cost: { amount, asset, by: 'gateway' } });
  }

  #keepBill(id: string, bill: Bill): void {
    this.#bills.set(id, bill);
    dropOldest(this.#bills, BILLS_WAITING_MAX);
  }

  asked(route: Route | 'other'): RunningRequest {
    const request: RunningRequest = {
      n: this.#next++,
      route,
      startedMs: this.#clock(),
      firstMs: undefined,
      pieces: 0,
    };
    this.#running.set(request.n, request);
    this.#say({ kind: 'asked', n: request.n, route });
    return request;
  }

  /** Once for each request that was asked. */
  end({ n, route, startedMs, firstMs }: RunningRequest, end: RequestEnd): void {
    this.#running.delete(n);
    const { outcome, status, code, requestId } = end;
    const bill = this.#takeBill(requestId);
    const request: EndedRequest = {
      n,
      route,
      startedMs,
      outcome,
      status,
      code,
      advice: adviceOn(code),
      requestId,
      model: bill?.model,
      workerId: bill?.workerId,
      simulated: bill?.simulated ?? false,
      tokens: bill?.tokens,
      firstMs,
      totalMs: this.#clock() - startedMs,
      cost: bill?.cost,
    };
    this.#ended.push(request);
    if (this.#ended.length > REQUESTS_SHOWN_MAX) this.#ended.shift();
    this.#counts[outcome]++;
    this.#say({ kind: 'ended', request });
  }

  #takeBill(requestId: string | undefined): Bill | undefined {
    const id = requestId?.replace(/^sx_/, '');
    if (id === undefined) return undefined;
    const bill = this.#bills.get(id);
    this.#bills.delete(id);
    return bill;
  }

  turnedAway(reason: RefusalReason): void {
    const nowMs = this.#clock();
    const known = this.#refusals.get(reason) ?? { count: 0, said: 0, saidMs: 0 };
    const count = known.count + 1;
    const isQuiet = nowMs - known.saidMs < REFUSALS_SAID_EVERY_MS;
    this.#refusals.set(
      reason,
      isQuiet ? { ...known, count } : { count, said: count, saidMs: nowMs },
    );
    if (!isQuiet) this.#say({ kind: 'refused', reason, count: count - known.said });
  }

  stopping(): void {
    this.#say({ kind: 'stopping', running: this.#running.size });
  }

  #say(event: ProxyEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

function dropOldest<Key, Value>(map: Map<Key, Value>, max: number): void {
  for (const key of map.keys()) {
    if (map.size <= max) return;
    map.delete(key);
  }
}
