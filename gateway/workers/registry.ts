/**
 * The workers this gateway may send to: one entry per admitted statement, found by its kid. In memory, because nothing
 * in it outlives an hour and every restart must prove again. Spec: overview "Key life".
 * @module
 */

import { toHex, type Bytes } from '../../core/bytes.ts';
import type { EvidenceBundle, EvidenceJson } from '../../attestation/evidence.ts';
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
}

export type RemovalReason = 'expired' | 'left' | 'unreachable' | 'denied' | 'key_gone' | 'replaced';

export interface WorkerRegistry {
  /** False when full. An older statement of the same worker stays until it expires. */
  add(admission: Admission): boolean;
  byKid(kid: Uint8Array): LiveWorker | undefined;
  byWorkerId(workerId: string): readonly LiveWorker[];
  hasStatement(statementHash: Uint8Array): boolean;
  /** The newest publishable statement of each worker that serves the model. */
  published(model: string, nowMs: number): readonly LiveWorker[];
  all(): readonly LiveWorker[];
  remove(kid: string, reason: RemovalReason): void;
  close(): Promise<void>;
}

export interface RegistryEvents {
  readonly onRemoved?: (worker: LiveWorker, reason: RemovalReason) => void;
}

export class MemoryRegistry implements WorkerRegistry {
  readonly #byKid = new Map<string, LiveWorker>();
  readonly #byWorker = new Map<string, LiveWorker[]>();
  readonly #events: RegistryEvents;

  constructor(events: RegistryEvents = {}) {
    this.#events = events;
  }

  add(admission: Admission): boolean {
    const workerId = toHex(admission.key.workerId);
    const kid = toHex(admission.key.kid);
    const known = this.#byWorker.get(workerId);
    if (known === undefined && this.#byWorker.size >= WORKERS_MAX) return false;
    if (this.#byKid.has(kid)) return false;
    const oldest = known?.[0];
    if (known !== undefined && oldest !== undefined && known.length >= STATEMENTS_PER_WORKER_MAX) {
      this.remove(oldest.kid, 'replaced');
    }
    const worker: LiveWorker = { ...admission, workerId, kid, load: newLoad() };
    this.#byKid.set(kid, worker);
    this.#byWorker.set(workerId, [...(this.#byWorker.get(workerId) ?? []), worker]);
    return true;
  }

  byKid(kid: Uint8Array): LiveWorker | undefined {
    return this.#byKid.get(toHex(kid));
  }

  byWorkerId(workerId: string): readonly LiveWorker[] {
    return this.#byWorker.get(workerId) ?? [];
  }

  hasStatement(statementHash: Uint8Array): boolean {
    const hex = toHex(statementHash);
    return this.all().some((worker) => toHex(worker.key.statementHash) === hex);
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

  remove(kid: string, reason: RemovalReason): void {
    const worker = this.#byKid.get(kid);
    if (worker === undefined) return;
    this.#byKid.delete(kid);
    const rest = this.byWorkerId(worker.workerId).filter((other) => other.kid !== kid);
    if (rest.length > 0) this.#byWorker.set(worker.workerId, rest);
    else this.#byWorker.delete(worker.workerId);
    // Streams that run may finish; the pool closes behind them.
    void worker.link.close();
    this.#events.onRemoved?.(worker, reason);
  }

  async close(): Promise<void> {
    const links = this.all().map((worker) => worker.link);
    this.#byKid.clear();
    this.#byWorker.clear();
    await Promise.all(links.map((link) => link.destroy()));
  }
}
