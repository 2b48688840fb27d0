/**
 * The workers this gateway may send to: one entry per admitted statement, found by its kid. In memory, because nothing
 * in it outlives an hour and every restart must prove again. A worker that the policy no longer admits sits on the bench:
 * nothing is sent to it, and if the next policy admits its evidence it is back at once, so that a mistake is undone as
 * fast as it was made. Spec: overview "Key life"; gpu-and-policy §5.4.
 * @module
 */

import { toHex, type Bytes } from '../../core/bytes.ts';
import type { EvidenceBundle, EvidenceJson } from '../../attestation/evidence.ts';
import type { Revocable } from '../../attestation/policy/revocations.ts';
import type { AttestedKey, Verdict } from '../../attestation/verdict.ts';
import { STATEMENTS_PER_WORKER_MAX, WORKERS_MAX } from '../limits.ts';
import type { WorkerLink } from './link.ts';
import { newLoad, type WorkerLoad } from './select.ts';

export interface Admission {
  readonly key: AttestedKey;
  readonly bundle: EvidenceBundle;
  readonly evidence: EvidenceJson;
  readonly verdict: Verdict;
  readonly challenge: Bytes<32>;
  readonly endpoint: string;
  readonly publishUntilMs: number;
  readonly link: WorkerLink;
}

export interface LiveWorker extends Admission {
  /** Hex. */
  readonly workerId: string;
  readonly kid: string;
  readonly load: WorkerLoad;
  /** Rises with every admission: the newest statement of a worker has the highest. */
  readonly order: number;
  /** What ends each exchange that runs there, when the worker is cut. */
  readonly running: Set<() => void>;
  /** What a revocation can name of that on which it was last admitted: exchanges that run began under it. */
  readonly grounds: readonly Revocable[];
}

export type RemovalReason = 'expired' | 'left' | 'unreachable' | 'denied' | 'key_gone' | 'replaced';

/** `policy`: running exchanges may finish. `revoked`: they are cut. */
export type BenchReason = 'policy' | 'revoked';

/** What a worker is from now on. */
export type Standing =
  | {
      readonly worker: LiveWorker;
      readonly outcome: 'serves';
      readonly key: AttestedKey;
      readonly verdict: Verdict;
      readonly publishUntilMs: number;
    }
  | {
      readonly worker: LiveWorker;
      readonly outcome: 'benched';
      readonly reason: BenchReason;
      readonly verdict: Verdict;
    };

export interface WorkerRegistry {
  /** False when full. An older statement of the same worker stays until it expires. */
  add(admission: Admission): boolean;
  byKid(kid: Uint8Array): LiveWorker | undefined;
  /** By the key for EHBP clients, of those that have one. */
  byEhbpKid(kid: Uint8Array): LiveWorker | undefined;
  byWorkerId(workerId: string): readonly LiveWorker[];
  hasStatement(statementHash: Uint8Array): boolean;
  /** The newest publishable statement of each worker that serves the model. */
  published(model: string, nowMs: number): readonly LiveWorker[];
  all(): readonly LiveWorker[];
  benched(): readonly LiveWorker[];
  /** All in one step: between two requests everybody has changed places. Who has gone meanwhile stays gone. */
  place(standings: readonly Standing[]): void;
  /** Whether it serves or sits on the bench. */
  remove(kid: string, reason: RemovalReason): void;
  /** Ends what still runs on workers that are not here any more. Returns on how many. */
  cutGone(isRevoked: (worker: LiveWorker) => boolean): number;
  close(): Promise<void>;
}

export interface RegistryEvents {
  readonly onRemoved?: (worker: LiveWorker, reason: RemovalReason) => void;
}

export class MemoryRegistry implements WorkerRegistry {
  readonly #byKid = new Map<string, LiveWorker>();
  /** Of those in service. */
  readonly #byEhbpKid = new Map<string, LiveWorker>();
  readonly #byWorker = new Map<string, LiveWorker[]>();
  readonly #bench = new Map<string, LiveWorker>();
  /** Removed while exchanges ran there: no more of them than exchanges. */
  readonly #gone = new Set<LiveWorker>();
  readonly #statements = new Set<string>();
  readonly #events: RegistryEvents;
  #admitted = 0;

  constructor(events: RegistryEvents = {}) {
    this.#events = events;
  }

  add(admission: Admission): boolean {
    const workerId = toHex(admission.key.workerId);
    const kid = toHex(admission.key.kid);
    const known = this.#byWorker.get(workerId);
    if (this.#byKid.has(kid) || this.#bench.has(kid)) return false;
    if (known === undefined && this.#byWorker.size + this.#bench.size >= WORKERS_MAX) {
      // A policy that puts everybody on the bench must leave room for those whom it admits.
      const [benched] = this.#bench.keys();
      if (benched === undefined) return false;
      this.remove(benched, 'replaced');
    }
    const oldest = known?.[0];
    if (known !== undefined && oldest !== undefined && known.length >= STATEMENTS_PER_WORKER_MAX) {
      this.remove(oldest.kid, 'replaced');
    }
    this.#statements.add(toHex(admission.key.statementHash));
    const order = ++this.#admitted;
    const grounds = admission.verdict.revocable;
    const running = new Set<() => void>();
    this.#serve({ ...admission, workerId, kid, load: newLoad(), order, running, grounds });
    return true;
  }

  byKid(kid: Uint8Array): LiveWorker | undefined {
    return this.#byKid.get(toHex(kid));
  }

  byEhbpKid(kid: Uint8Array): LiveWorker | undefined {
    return this.#byEhbpKid.get(toHex(kid));
  }

  byWorkerId(workerId: string): readonly LiveWorker[] {
    return this.#byWorker.get(workerId) ?? [];
  }

  hasStatement(statementHash: Uint8Array): boolean {
    return this.#statements.has(toHex(statementHash));
  }

  published(model: string, nowMs: number): readonly LiveWorker[] {
    return [...this.#byWorker.values()].flatMap((statements) => {
      const newest = statements.findLast(
        (worker) => worker.key.model.id === model && nowMs < worker.publishUntilMs,
      );
      return newest === undefined ? [] : [newest];
    });
  }

  all(): readonly LiveWorker[] {
    return [...this.#byKid.values()];
  }

  benched(): readonly LiveWorker[] {
    return [...this.#bench.values()];
  }

  place(standings: readonly Standing[]): void {
    for (const standing of standings) {
      const { worker } = standing;
      const served = this.#byKid.get(worker.kid);
      const place = served ?? this.#bench.get(worker.kid);
      if (place === undefined) continue;
      if (standing.outcome === 'serves') this.#return(place, standing);
      else this.#benchOf(place, standing);
    }
  }

  #return(place: LiveWorker, standing: Extract<Standing, { outcome: 'serves' }>): void {
    const { key, verdict, publishUntilMs } = standing;
    const worker = { ...place, key, verdict, publishUntilMs, grounds: verdict.revocable };
    this.#bench.delete(place.kid);
    this.#serve(worker);
  }

  #benchOf(place: LiveWorker, standing: Extract<Standing, { outcome: 'benched' }>): void {
    const worker = { ...place, verdict: standing.verdict };
    this.#unserve(place);
    this.#bench.set(place.kid, worker);
    if (standing.reason === 'revoked') for (const cut of worker.running) cut();
  }

  #serve(worker: LiveWorker): void {
    this.#byKid.set(worker.kid, worker);
    const { ehbp } = worker.key;
    if (ehbp !== undefined) this.#byEhbpKid.set(toHex(ehbp.kid), worker);
    const statements = this.#byWorker.get(worker.workerId) ?? [];
    const at = statements.findIndex(({ kid }) => kid === worker.kid);
    const next =
      at < 0
        ? [...statements, worker].sort((a, b) => a.order - b.order)
        : statements.with(at, worker);
    this.#byWorker.set(worker.workerId, next);
  }

  #unserve(worker: LiveWorker): void {
    this.#byKid.delete(worker.kid);
    const { ehbp } = worker.key;
    if (ehbp !== undefined) this.#byEhbpKid.delete(toHex(ehbp.kid));
    const rest = this.byWorkerId(worker.workerId).filter((other) => other.kid !== worker.kid);
    if (rest.length > 0) this.#byWorker.set(worker.workerId, rest);
    else this.#byWorker.delete(worker.workerId);
  }

  remove(kid: string, reason: RemovalReason): void {
    const worker = this.#byKid.get(kid) ?? this.#bench.get(kid);
    if (worker === undefined) return;
    this.#unserve(worker);
    this.#bench.delete(kid);
    this.#statements.delete(toHex(worker.key.statementHash));
    // Streams that run may finish, unless it is revoked before; the pool closes behind them.
    this.#forgetIdle();
    if (worker.running.size > 0) this.#gone.add(worker);
    void worker.link.close();
    this.#events.onRemoved?.(worker, reason);
  }

  cutGone(isRevoked: (worker: LiveWorker) => boolean): number {
    this.#forgetIdle();
    const revoked = [...this.#gone].filter(isRevoked);
    for (const { running } of revoked) for (const cut of running) cut();
    return revoked.length;
  }

  #forgetIdle(): void {
    for (const worker of this.#gone) if (worker.running.size === 0) this.#gone.delete(worker);
  }

  async close(): Promise<void> {
    const links = [...this.all(), ...this.benched()].map((worker) => worker.link);
    this.#byKid.clear();
    this.#byEhbpKid.clear();
    this.#byWorker.clear();
    this.#bench.clear();
    this.#gone.clear();
    this.#statements.clear();
    await Promise.all(links.map((link) => link.destroy()));
  }
}
