/**
 * The end-to-end session: the worker keys that this client verified under its own policy, each until the earliest end of
 * all it rests on, renewed before that, one look-up at a time per model. At every use the policy in force and the list of
 * revocations are asked again: what they do not support any more is not sealed to, however long it was to live.
 * Spec: overview "The sealed exchange"; docs/publication.md §4.
 * @module
 */

import { toHex, type Bytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { assert, VeilError } from '../core/errors.ts';
import { appraise } from '../attestation/appraise.ts';
import { parseCard, workerIdOf } from '../attestation/card.ts';
import type { EvidenceBundle } from '../attestation/evidence.ts';
import type { CompiledPolicy } from '../attestation/policy/compile.ts';
import { newCaches } from '../attestation/tees.ts';
import type { AttestedKey, Check, Verdict } from '../attestation/verdict.ts';
import type { Candidate, Directory, ShownGateway } from './directory.ts';
import { clientError } from './errors.ts';
import { DOCUMENT_TIMEOUT_MS, KEYS_MAX_AGE_MS, MODELS_MAX, RENEWAL_PAUSE_MS } from './limits.ts';
import type { Books, GatewayView, WorkerProof } from './pay/books.ts';
import { policyFor, stillTrusted, type Trust, type TrustSource } from './trust.ts';
import { unlessAborted, withinTime } from './within-time.ts';

/** What the client found about one candidate, admitted or not. */
export interface WorkerVerdict {
  readonly model: string;
  /** As the gateway names it; one that is admitted has proven it. */
  readonly claimedWorkerId: string;
  /** How the gateway's identity was accepted: pinned, or on first use. */
  readonly gateway: Check;
  readonly appraisal:
    | { readonly outcome: 'admitted' | 'denied'; readonly verdict: Verdict }
    | { readonly outcome: 'unreadable'; readonly code: string };
}

export interface SessionOptions {
  readonly directory: Directory;
  readonly trust: TrustSource;
  readonly clock: Clock;
  /** `aud` of the gateway to accept; without it the first one seen is kept. */
  readonly gateway?: string;
  readonly onVerdict?: (verdict: WorkerVerdict) => void;
}

/** By what one key was admitted, and when. */
export interface Admission {
  readonly evidence: EvidenceBundle;
  readonly trust: Trust;
  readonly atMs: number;
}

interface Admitted {
  readonly key: AttestedKey;
  /** What a revocation could name of it. */
  readonly revocable: Verdict['revocable'];
}

interface KeySet {
  readonly admitted: readonly Admitted[];
  readonly verdicts: readonly WorkerVerdict[];
  renewAtMs: number;
}

export class Session implements Books {
  readonly #options: SessionOptions;
  /** Saves time on workers that share collateral or come back; never changes an answer. */
  readonly #caches = newCaches();
  readonly #sets = new Map<string, KeySet>();
  readonly #lookups = new Map<string, Promise<KeySet>>();
  #aud: string | undefined;
  #books: ShownGateway['books'];
  /** For bills and proofs. */
  readonly #admissions = new WeakMap<AttestedKey, Admission>();

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#aud = options.gateway;
  }

  /**
   * Keys that may be used now, at least one. Throws `client.no_worker`, `client.none_admitted`, `client.gateway_*`,
   * `client.policy_*`.
   */
  async keys(model: string, signal: AbortSignal): Promise<readonly AttestedKey[]> {
    const set = this.#sets.get(model);
    const live = set === undefined ? [] : this.#live(set);
    if (set === undefined || live.length === 0) return this.renew(model, signal);
    const nowMs = this.#options.clock();
    if (nowMs < set.renewAtMs) return live;
    // A gateway that fails is not asked again with every request.
    set.renewAtMs = nowMs + RENEWAL_PAUSE_MS;
    // What is held still serves; a failed renewal shows when it no longer does.
    this.#lookup(model).catch(ignoreUntilNeeded);
    return live;
  }

  /** Looks the model's workers up anew. */
  async renew(model: string, signal: AbortSignal): Promise<readonly AttestedKey[]> {
    // Nobody would hear of a look-up that fails after its caller had left already.
    signal.throwIfAborted();
    const set = await unlessAborted(this.#lookup(model), signal);
    const live = this.#live(set);
    if (live.length > 0) return live;
    if (set.verdicts.length === 0) throw await this.#absence(model, signal);
    throw clientError('client.none_admitted', firstReason(set.verdicts), {
      facts: { candidates: set.verdicts.length },
    });
  }

  /** A name that nobody serves is the app's mistake; with no worker at all it is a matter of time. */
  async #absence(model: string, signal: AbortSignal): Promise<VeilError> {
    const names = await this.#options.directory.modelNames(signal);
    const served = names.length === 0 || names.includes(model);
    return clientError(served ? 'client.no_worker' : 'client.model');
  }

  /** The latest verdict on every candidate of every model asked for. */
  verdicts(): readonly WorkerVerdict[] {
    return [...this.#sets.values()].flatMap((set) => set.verdicts);
  }

  #live({ admitted }: KeySet): readonly AttestedKey[] {
    const nowMs = this.#options.clock();
    const trust = this.#trustNow(nowMs);
    if (trust === undefined) return [];
    return admitted
      .filter(
        ({ key, revocable }) => nowMs < key.expiresAtMs && stillTrusted(trust, key, revocable),
      )
      .map(({ key }) => key);
  }

  #trustNow(nowMs: number): Trust | undefined {
    try {
      return this.#options.trust.current(nowMs);
    } catch (error) {
      if (!(error instanceof VeilError)) throw error;
      return undefined; // nothing is live then; the look-up that follows says why, or finds what was missing
    }
  }

  #lookup(model: string): Promise<KeySet> {
    const running = this.#lookups.get(model);
    if (running !== undefined) return running;
    // Its own time limit: the caller that came first must not take the others down when it leaves.
    const lookup = withinTime(DOCUMENT_TIMEOUT_MS, new AbortController().signal, (signal) =>
      this.#fetchKeys(model, signal),
    ).finally(() => this.#lookups.delete(model));
    this.#lookups.set(model, lookup);
    return lookup;
  }

  async #fetchKeys(model: string, signal: AbortSignal): Promise<KeySet> {
    const { aud, check } = await this.#gateway(signal);
    const { directory, trust: source, clock } = this.#options;
    const { candidates, published } = await directory.evidence(model, signal);
    if (published !== undefined) await source.update(published, signal);
    const nowMs = clock();
    const trust = source.current(nowMs);
    const keys = new Map<string, Admitted>();
    const verdicts: WorkerVerdict[] = [];
    for (const candidate of candidates) {
      const { admitted, ...found } = this.#appraise(candidate, { aud, trust, nowMs });
      verdicts.push({ model, gateway: check, ...found });
      if (admitted?.key.model.id === model) keys.set(toHex(admitted.key.kid), admitted);
    }
    const admitted = [...keys.values()];
    const set: KeySet = { admitted, verdicts, renewAtMs: renewAt(admitted, nowMs) };
    this.#keep(model, set);
    for (const verdict of verdicts) this.#options.onVerdict?.(verdict);
    return set;
  }

  #keep(model: string, set: KeySet): void {
    this.#sets.delete(model);
    this.#sets.set(model, set);
    if (this.#sets.size <= MODELS_MAX) return;
    for (const oldest of this.#sets.keys()) {
      this.#sets.delete(oldest);
      return;
    }
  }

  /** How the gateway settles, by its own document. Throws as `keys` does. */
  async gatewayView(signal: AbortSignal): Promise<GatewayView> {
    const held = this.#books;
    if (held !== undefined && this.#options.clock() < held.expiresMs) return held;
    return this.renewGatewayView(signal);
  }

  async renewGatewayView(signal: AbortSignal): Promise<GatewayView> {
    await this.#gateway(signal);
    if (this.#books === undefined) throw clientError('client.gateway_document');
    return this.#books;
  }

  proofOf(key: AttestedKey): WorkerProof {
    const { statement, card } = this.admissionOf(key).evidence;
    return { statement, card };
  }

  admissionOf(key: AttestedKey): Admission {
    const admission = this.#admissions.get(key);
    assert(admission !== undefined, 'keys of a session come with their proof');
    return admission;
  }

  async #gateway(signal: AbortSignal): Promise<{ readonly aud: string; readonly check: Check }> {
    const { aud, books } = await this.#options.directory.gateway(signal);
    if (this.#aud !== undefined && this.#aud !== aud) throw clientError('client.gateway_changed');
    this.#aud = aud;
    this.#books = books;
    if (this.#options.gateway !== undefined) {
      return { aud, check: { id: 'gateway.identity', outcome: 'pass' } };
    }
    return { aud, check: FIRST_USE };
  }

  #appraise(
    candidate: Candidate,
    { aud, trust, nowMs }: { readonly aud: string; readonly trust: Trust; readonly nowMs: number },
  ): Pick<WorkerVerdict, 'claimedWorkerId' | 'appraisal'> & {
    readonly admitted?: Admitted;
  } {
    const { claimedWorkerId } = candidate;
    try {
      const evidence = candidate.evidence();
      const result = appraise({
        evidence,
        policy: policyForEvidence(trust, evidence),
        nowMs,
        aud,
        challenge:
          candidate.challenge === undefined
            ? { waived: CHALLENGE_WAIVED_BY }
            : { equals: candidate.challenge },
        revocations: trust.revocations,
        caches: this.#caches,
      });
      const { outcome, verdict } = result;
      if (result.outcome === 'denied') {
        return { claimedWorkerId, appraisal: { outcome, verdict } };
      }
      const { key } = result;
      // Whoever counts requests by worker, or picks among them, goes by this name.
      if (toHex(key.workerId) !== claimedWorkerId) throw clientError('client.evidence', 'workerId');
      this.#admissions.set(key, { evidence, trust, atMs: nowMs });
      const admitted = { key, revocable: verdict.revocable };
      return { claimedWorkerId, appraisal: { outcome, verdict }, admitted };
    } catch (error) {
      // One candidate's unreadable bundle is no reason to drop the others; anything not ours is a bug and surfaces.
      if (!(error instanceof VeilError) || error.spec.status === 500) throw error;
      return { claimedWorkerId, appraisal: { outcome: 'unreadable', code: error.code } };
    }
  }
}

/** The challenge in a statement is the gateway's: a client dates the statement by its `iat`. */
export const CHALLENGE_WAIVED_BY = 'limits.challenge: gateway';

/**
 * A worker is who its card's owner is: the appraisal ties the card to the quote, and an admitted key to this same owner. One
 * whose card cannot be read is not admitted by any policy.
 */
export function policyForEvidence(trust: Trust, { card }: EvidenceBundle): CompiledPolicy {
  if (trust.candidate === undefined) return trust.policy;
  let workerId: Bytes<32>;
  try {
    workerId = workerIdOf(parseCard(card).owner);
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    return trust.policy;
  }
  return policyFor(trust, workerId);
}

/** At half of the longest life, so that whoever asks steadily never waits for it, and soon where life is short. */
function renewAt(admitted: readonly Admitted[], nowMs: number): number {
  const lastMs = Math.max(nowMs, ...admitted.map(({ key }) => key.expiresAtMs));
  return nowMs + Math.max(RENEWAL_PAUSE_MS, Math.min(KEYS_MAX_AGE_MS, (lastMs - nowMs) / 2));
}

const FIRST_USE: Check = {
  id: 'gateway.identity',
  outcome: 'waived',
  by: 'client option gateway (not given)',
  note: 'The identity of the gateway was taken on first use; pin it to have it checked.',
};

function ignoreUntilNeeded(): void {
  // The keys held are still valid, and whoever needs new ones asks again and gets the error.
}

function firstReason(verdicts: readonly WorkerVerdict[]): string {
  for (const { appraisal } of verdicts) {
    if (appraisal.outcome === 'unreadable') return appraisal.code;
    const failed = appraisal.verdict.checks.find((check) => check.outcome === 'fail');
    if (failed !== undefined) return `first failed check: ${failed.id}`;
  }
  return '';
}
