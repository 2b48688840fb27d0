/**
 * The audit log of a gateway: which policies, revocations and keys it accepted, and whom it admitted and refused
 * under them. A chain, so that nothing can be taken out or changed afterwards without a trace. Strangers cause some
 * of the entries: those are counted past a rate, and what is offered again and again is written once. Spec:
 * docs/audit.md §3.
 * @module
 */

import { join } from 'node:path';
import { toHex, type Bytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import type { VeilError } from '../core/errors.ts';
import type { ChainHead } from '../core/node/chained-line.ts';
import {
  openChainedLog,
  type ChainedLog,
  type ChainedLogOptions,
} from '../core/node/chained-log.ts';
import { pause as pauseNow } from '../core/node/lifecycle.ts';
import {
  ADDED_MAX,
  idText,
  valueText,
  wordText,
  type AuditEntry,
  type AuditEntryOf,
} from './audit-entries.ts';
import {
  AUDIT_DENIALS_PER_MINUTE_MAX,
  AUDIT_REFUSALS_PER_MINUTE_MAX,
  AUDIT_REMEMBERED_MAX,
} from './limits.ts';
import type { RemovalReason } from './workers/registry.ts';

const FOLDER = 'audit';
const NAME = 'audit';
const MINUTE_MS = 60_000;

export interface RootAccepted {
  readonly name: string;
  readonly version: number;
  readonly digest: Bytes<32>;
}
export interface ReleaseAccepted {
  readonly name: string;
  readonly number: number;
  readonly digest: Bytes<32>;
  readonly current: { readonly serial: number; readonly policy: Bytes<32> };
  readonly candidate?: {
    readonly serial: number;
    readonly policy: Bytes<32>;
    readonly share: number;
  };
}
export interface RevocationsAccepted {
  readonly name: string;
  readonly number: number;
  readonly digest: Bytes<32>;
  /** What the list before it did not have. */
  readonly added: readonly { readonly kind: string; readonly value: string }[];
}
export interface PublicationRefused {
  readonly document: AuditEntryOf<'publication.refused'>['document'];
  readonly code: string;
  /** Of the payload, where there was one to be read. */
  readonly digest?: Bytes<32>;
}
export interface Equivocation {
  readonly name: string;
  readonly document: AuditEntryOf<'publication.equivocation'>['document'];
  readonly number: number;
  readonly accepted: Bytes<32>;
  readonly offered: Bytes<32>;
}
/** A worker's ids are hex, as in the registry. */
interface WorkerRef {
  readonly workerId: string;
  readonly kid: string;
}
interface Judged {
  readonly rule?: string;
  readonly image?: string;
  /** Digest of the policy that judged. */
  readonly policy: Bytes<32>;
}
export interface WorkerAdmitted extends WorkerRef, Judged {
  readonly model: string;
  readonly simulated: boolean;
}
export interface WorkerDenied {
  readonly workerId?: string;
  readonly check: string;
  readonly policy: Bytes<32>;
}
export interface WorkerRejudged extends WorkerRef, Judged {
  readonly outcome: 'kept' | 'denied';
  /** The first that failed. */
  readonly check?: string;
}

/**
 * Promises resolve when the entry is on the disk, and reject with `chained_log.*`. The others never throw: whether
 * what they said was lost is in `failure`.
 */
export interface Audit {
  started(aud: string): Promise<void>;
  rootAccepted(root: RootAccepted): Promise<void>;
  releaseAccepted(release: ReleaseAccepted): Promise<void>;
  revocationsAccepted(revocations: RevocationsAccepted): Promise<void>;
  /** Once per document, code and digest. */
  publicationRefused(refusal: PublicationRefused): void;
  /** Once per pair of digests. */
  equivocation(found: Equivocation): Promise<void>;
  workerAdmitted(worker: WorkerAdmitted): void;
  /** Past a rate, only counted. */
  workerDenied(denial: WorkerDenied): void;
  workerRemoved(worker: WorkerRef, reason: RemovalReason): void;
  /** Only when it came out differently than the last time. */
  workerRejudged(judgement: WorkerRejudged): void;
  /** For others to remember: shows later whether the end was cut off. */
  head(): ChainHead;
  readonly failure: VeilError | undefined;
  close(): Promise<void>;
}

export interface AuditOptions {
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<boolean>;
  /** Told once, when nothing more is written. */
  readonly onFailure?: (error: VeilError) => void;
  readonly log?: Partial<Pick<ChainedLogOptions, 'disk' | 'fileMaxBytes'>>;
}

/** Throws `chained_log.broken`, `writer_lock.held`, `file.private`. */
export function openAudit(dataDir: string, clock: Clock, options: AuditOptions = {}): Audit {
  const { pause = pauseNow, onFailure, log } = options;
  const chain = openChainedLog({
    folder: join(dataDir, FOLDER),
    name: NAME,
    clock,
    ...log,
    ...(onFailure === undefined ? {} : { onFailure }),
  });
  return new ChainedAudit(chain, { clock, pause });
}

interface Time {
  readonly clock: Clock;
  readonly pause: (ms: number, signal: AbortSignal) => Promise<boolean>;
}

class ChainedAudit implements Audit {
  readonly #chain: ChainedLog;
  readonly #denials: Rate;
  readonly #refusals: Rate;
  readonly #refused = new Remembered();
  readonly #equivocations = new Remembered();
  /** By kid: how it came out the last time. */
  readonly #judged = new Remembered();

  constructor(chain: ChainedLog, time: Time) {
    this.#chain = chain;
    this.#denials = new Rate(AUDIT_DENIALS_PER_MINUTE_MAX, time, (count) =>
      this.#write({ kind: 'worker.denied_more', count }),
    );
    this.#refusals = new Rate(AUDIT_REFUSALS_PER_MINUTE_MAX, time, (count) =>
      this.#write({ kind: 'publication.refused_more', count }),
    );
  }

  async started(aud: string): Promise<void> {
    await this.#writeDurably({ kind: 'gateway.started', aud: idText(aud) });
  }

  async rootAccepted({ name, version, digest }: RootAccepted): Promise<void> {
    const kind = 'root.accepted';
    await this.#writeDurably({ kind, name: idText(name), version, digest: digestText(digest) });
  }

  async releaseAccepted(release: ReleaseAccepted): Promise<void> {
    const { name, number, digest, current, candidate } = release;
    await this.#writeDurably({
      kind: 'release.accepted',
      name: idText(name),
      number,
      digest: digestText(digest),
      serial: current.serial,
      policy: digestText(current.policy),
      ...(candidate === undefined
        ? {}
        : {
            candidateSerial: candidate.serial,
            candidatePolicy: digestText(candidate.policy),
            share: candidate.share,
          }),
    });
  }

  async revocationsAccepted(revocations: RevocationsAccepted): Promise<void> {
    const { name, number, digest, added } = revocations;
    await this.#writeDurably({
      kind: 'revocations.accepted',
      name: idText(name),
      number,
      digest: digestText(digest),
      added: added
        .slice(0, ADDED_MAX)
        .map(({ kind, value }) => ({ kind: wordText(kind), value: valueText(value) })),
      addedMore: Math.max(0, added.length - ADDED_MAX),
    });
  }

  publicationRefused({ document, code, digest }: PublicationRefused): void {
    const offered = digest === undefined ? {} : { digest: digestText(digest) };
    if (!this.#refused.isNew(`${document} ${code} ${offered.digest ?? ''}`, SEEN)) return;
    if (!this.#refusals.admits()) return;
    this.#write({ kind: 'publication.refused', document, code: idText(code), ...offered });
  }

  async equivocation(found: Equivocation): Promise<void> {
    const { name, document, number } = found;
    const [accepted, offered] = [digestText(found.accepted), digestText(found.offered)];
    const pair = [name, document, number, accepted, offered].join(' ');
    if (!this.#equivocations.isNew(pair, SEEN)) return;
    const kind = 'publication.equivocation';
    await this.#writeDurably({ kind, name: idText(name), document, number, accepted, offered });
  }

  workerAdmitted(worker: WorkerAdmitted): void {
    const { model, simulated } = worker;
    this.#judged.isNew(worker.kid, outcomeOf({ ...worker, outcome: 'kept' }));
    this.#write({
      kind: 'worker.admitted',
      ...refOf(worker),
      model: idText(model),
      ...judgedOf(worker),
      simulated,
    });
  }

  workerDenied({ workerId, check, policy }: WorkerDenied): void {
    if (!this.#denials.admits()) return;
    this.#write({
      kind: 'worker.denied',
      ...(workerId === undefined ? {} : { workerId: idText(workerId) }),
      check: idText(check),
      policy: digestText(policy),
    });
  }

  workerRemoved(worker: WorkerRef, reason: RemovalReason): void {
    this.#judged.forget(worker.kid);
    this.#write({ kind: 'worker.removed', ...refOf(worker), reason: wordText(reason) });
  }

  workerRejudged(judgement: WorkerRejudged): void {
    if (!this.#judged.isNew(judgement.kid, outcomeOf(judgement))) return;
    const { outcome, check } = judgement;
    this.#write({
      kind: 'worker.rejudged',
      ...refOf(judgement),
      outcome,
      ...(check === undefined ? {} : { check: idText(check) }),
      ...judgedOf(judgement),
    });
  }

  head(): ChainHead {
    return this.#chain.head();
  }

  get failure(): VeilError | undefined {
    return this.#chain.failure;
  }

  async close(): Promise<void> {
    await Promise.all([this.#denials.close(), this.#refusals.close()]);
    await this.#chain.close();
  }

  #write(entry: AuditEntry): void {
    this.#chain.append(entry);
  }

  async #writeDurably(entry: AuditEntry): Promise<void> {
    await this.#chain.appendDurably(entry);
  }
}

function digestText(digest: Bytes<32>): string {
  return `sha256:${toHex(digest)}`;
}

function refOf({ workerId, kid }: WorkerRef): WorkerRef {
  return { workerId: idText(workerId), kid: idText(kid) };
}

function judgedOf({ rule, image, policy }: Judged) {
  return {
    ...(rule === undefined ? {} : { rule: idText(rule) }),
    ...(image === undefined ? {} : { image: idText(image) }),
    policy: digestText(policy),
  };
}

function outcomeOf({
  outcome,
  check,
  rule,
  image,
  policy,
}: Omit<WorkerRejudged, 'workerId' | 'kid'>) {
  return [outcome, check, rule, image, toHex(policy)].join(' ');
}

const SEEN = 'seen';

/** The last value under each name. What was noted longest ago is forgotten first. */
class Remembered {
  readonly #values = new Map<string, string>();

  isNew(name: string, value: string): boolean {
    if (this.#values.get(name) === value) return false;
    this.#values.delete(name);
    this.#values.set(name, value);
    const [oldest] = this.#values.keys();
    if (oldest !== undefined && this.#values.size > AUDIT_REMEMBERED_MAX) {
      this.#values.delete(oldest);
    }
    return true;
  }

  forget(name: string): void {
    this.#values.delete(name);
  }
}

/** So many in a minute, which begins with the first one; the rest is counted and told when it is over. */
class Rate {
  readonly #max: number;
  readonly #time: Time;
  readonly #tell: (count: number) => void;
  readonly #closing = new AbortController();
  #untilMs = Number.NEGATIVE_INFINITY;
  #admitted = 0;
  #more = 0;
  #telling: Promise<void> | undefined;

  constructor(max: number, time: Time, tell: (count: number) => void) {
    this.#max = max;
    this.#time = time;
    this.#tell = tell;
  }

  admits(): boolean {
    const nowMs = this.#time.clock();
    // A clock that was set back must not make one minute last for hours.
    if (nowMs >= this.#untilMs || nowMs < this.#untilMs - MINUTE_MS) {
      this.#tellMore();
      this.#untilMs = nowMs + MINUTE_MS;
      this.#admitted = 0;
    }
    if (this.#admitted < this.#max) {
      this.#admitted++;
      return true;
    }
    this.#more++;
    this.#telling ??= this.#tellLater(this.#untilMs - nowMs);
    return false;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#telling;
    this.#tellMore();
  }

  async #tellLater(ms: number): Promise<void> {
    await this.#time.pause(ms, this.#closing.signal);
    this.#telling = undefined;
    this.#tellMore();
  }

  #tellMore(): void {
    const count = this.#more;
    this.#more = 0;
    if (count > 0) this.#tell(count);
  }
}
