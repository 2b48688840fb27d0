/**
 * Trust by signed documents under a root that the app pins: what is shown is offered to the reader of
 * attestation/publication, and what the reader holds is what counts. With a memory, nothing is in force before it is saved.
 * Everything that comes in here is an attacker's until the reader has taken it. Spec: docs/publication.md §3, §4.
 * @module
 */

import type { Clock } from '../core/clock.ts';
import { VeilError } from '../core/errors.ts';
import type { CompiledPolicy } from '../attestation/policy/compile.ts';
import type { RevocationKnowledge } from '../attestation/policy/revocations.ts';
import {
  advance,
  nextRootVersion,
  type Advance,
  type Offered,
} from '../attestation/publication/advance.ts';
import { freshness } from '../attestation/publication/freshness.ts';
import { ENVELOPE_MAX_BYTES, type DocumentKind } from '../attestation/publication/kinds.ts';
import type { Bundle } from '../attestation/publication/bundle.ts';
import {
  revocationSetOf,
  type Held,
  type PublicationState,
} from '../attestation/publication/memory.ts';
import type { PublicationEvent, Refusal } from '../attestation/publication/step.ts';
import type { DocumentSource } from './documents.ts';
import { clientError } from './errors.ts';
import {
  DOCUMENT_TIMEOUT_MS,
  PUBLICATION_INTERVAL_MS,
  PUBLICATION_TIMEOUT_MS,
  SECOND_LOOK_TIMEOUT_MS,
} from './limits.ts';
import type { ClientMemory } from './policy-memory.ts';
import { joined } from './offered-state.ts';
import { decodeStaple } from './staple.ts';
import type { Published, Trust, TrustMode, TrustSource } from './trust.ts';
import { nothingToJudgeBy, notFresh, type Trouble } from './untrusted.ts';

/** What became of a document that was shown. A refusal may mean an attack; equivocation always means that people must look. */
export type PolicyNews =
  | { readonly outcome: 'accepted'; readonly event: PublicationEvent }
  | ({ readonly outcome: 'refused' } & Refusal);

export interface SignedTrustOptions {
  readonly clock: Clock;
  readonly state: PublicationState;
  /** A place of the app's own beside what gateways show. */
  readonly place?: DocumentSource;
  readonly memory?: ClientMemory;
  readonly onPolicy?: (news: PolicyNews) => void;
  readonly mode: TrustMode;
  /** Offline: signed, and never released, so that nothing but the option says it is in force. */
  readonly unreleased?: Held<Bundle>;
}

const AGE_WAIVED = {
  waived: 'what was revoked since cannot be known offline',
  by: 'client option offline',
};

export class SignedTrust implements TrustSource {
  readonly #options: SignedTrustOptions;
  /** All that was accepted. */
  #state: PublicationState;
  /** As far as it is saved. */
  #saved: PublicationState;
  /** For messages only: what was wrong with what was shown last. */
  #troubles: readonly Trouble[] = [];
  #lookedMs = Number.NEGATIVE_INFINITY;
  #saving: Promise<void> = Promise.resolve();

  constructor(options: SignedTrustOptions) {
    this.#options = options;
    this.#state = options.state;
    this.#saved = options.state;
  }

  current(nowMs: number): Trust {
    const { release } = this.#saved;
    const released = release?.current.document.payload.policy;
    const { unreleased, mode } = this.#options;
    const policy = unreleased?.document.payload.policy ?? released;
    if (policy === undefined) throw nothingToJudgeBy(this.#saved, this.#troubles, nowMs);
    const candidate = release?.candidate?.document.payload.policy;
    const share = release?.document.payload.candidate?.share;
    const isBeside = policy === released && candidate !== undefined && share !== undefined;
    return {
      policy,
      candidate: isBeside ? { policy: candidate, share } : undefined,
      revocations: this.#revocations(policy, nowMs),
      basis: { kind: 'signed', mode, state: this.#inForce(), unreleased },
    };
  }

  /** What `current` rests on: all that is saved, and the list that takes away before it is. */
  #inForce(): PublicationState {
    const { revocations } = this.#state;
    return { ...this.#saved, revocations };
  }

  /** What takes away is heeded before it is saved. */
  #revocations(policy: CompiledPolicy, nowMs: number): RevocationKnowledge {
    const list = revocationSetOf(this.#state);
    if (this.#options.mode === 'offline') return { list, freshness: AGE_WAIVED };
    const age = policy.document.limits.revocation_age;
    if ('any' in age) {
      const by = policy.at('limits', 'revocation_age');
      return { list, freshness: { waived: age.note, by } };
    }
    const found = freshness(this.#saved, age.client, nowMs);
    if (!found.fresh) throw notFresh(found.why, this.#troubles);
    return { list, freshness: { untilMs: found.untilMs } };
  }

  async update({ staple, documents }: Published, signal: AbortSignal): Promise<void> {
    this.#troubles = [];
    const shown = decodeStaple(staple);
    if (this.#options.mode === 'offline') {
      if (shown?.revocations !== undefined) this.#take({ revocations: shown.revocations });
    } else {
      if (shown !== undefined) {
        if (shown.root > this.#state.root.payload.version) await this.#climb(documents, signal);
        const { root: _claimed, ...offered } = shown;
        await this.#offer(offered, documents, signal);
      }
      await this.#lookFurther(documents, shown !== undefined && isWhole(shown), signal);
    }
    await this.save();
  }

  /** Where the gateway did not show everything, and where the app says; that one now and then even if all is well. */
  async #lookFurther(
    documents: DocumentSource,
    shownWhole: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    if (!shownWhole && !this.#isFresh()) await this.look(documents, signal);
    const { place, clock } = this.#options;
    if (place === undefined) return;
    const isFresh = this.#isFresh();
    if (isFresh && clock() - this.#lookedMs < PUBLICATION_INTERVAL_MS) return;
    this.#lookedMs = clock();
    // A time of its own, so that a gateway that uses up the look-up's cannot keep anybody from the place that would tell on
    // it; and a short one where a place that hangs would hold up what can be judged already.
    const limitMs = isFresh ? SECOND_LOOK_TIMEOUT_MS : DOCUMENT_TIMEOUT_MS;
    await this.look(place, AbortSignal.timeout(limitMs));
  }

  /** Everything that a place has. The timestamp comes first: what is read after it is not older than it says. */
  async look(source: DocumentSource, signal: AbortSignal): Promise<readonly Refusal[]> {
    const refused = [...(await this.#climb(source, signal))];
    const timestamp = await this.#fetch(source, 'timestamp.json', 'timestamp', signal);
    const revocations = await this.#fetch(source, 'revocations.json', 'revocations', signal);
    const release = await this.#fetch(source, 'release.json', 'release', signal);
    const offered = {
      ...(timestamp && { timestamp }),
      ...(revocations && { revocations }),
      ...(release && { release }),
    };
    refused.push(...(await this.#offer(offered, source, signal)));
    return refused;
  }

  /** Each step needs the one before to have been accepted, so that nobody can lengthen it. */
  async #climb(source: DocumentSource, signal: AbortSignal): Promise<readonly Refusal[]> {
    const refused: Refusal[] = [];
    for (;;) {
      const before = this.#state.root;
      const name = `root/${nextRootVersion(this.#state)}.json`;
      const root = await this.#fetch(source, name, 'root', signal);
      if (root === undefined) return refused;
      refused.push(...this.#take({ roots: [root] }).refused);
      if (this.#state.root === before) return refused;
    }
  }

  /** With the bundles that it is found to lack. */
  async #offer(
    offered: Offered,
    source: DocumentSource,
    signal: AbortSignal,
  ): Promise<readonly Refusal[]> {
    const first = this.#take(offered);
    const { release } = offered;
    if (release === undefined || first.missingBundles.length === 0) return first.refused;
    const bundles = new Map<number, Uint8Array>();
    const { place } = this.#options;
    for (const from of place === undefined ? [source] : [place, source]) {
      for (const serial of first.missingBundles) {
        const name = `bundles/${serial}.json`;
        const bytes = await this.#fetch(from, name, 'bundle', signal);
        if (bytes !== undefined) bundles.set(serial, bytes);
      }
      const { missingBundles, refused } = this.#take({ release, bundles });
      if (missingBundles.length === 0) return [...first.refused, ...refused];
    }
    const missing = `bundles ${first.missingBundles.join(', ')}`;
    const refusal: Refusal = {
      document: 'release',
      code: 'publication.missing_bundle',
      detail: missing,
    };
    this.#refused(refusal);
    return [...first.refused, refusal];
  }

  /** Without a look around: what is missing stays missing. */
  give(offered: Offered): readonly Refusal[] {
    return this.#take(offered).refused;
  }

  #take(offered: Offered): Advance {
    const { clock, memory, onPolicy } = this.#options;
    const nowMs = clock();
    const step = advance(this.#state, offered, nowMs);
    this.#state = step.state;
    if (step.accepted.length > 0) memory?.note(step.state, nowMs);
    for (const event of step.accepted) onPolicy?.({ outcome: 'accepted', event });
    // What is missing is looked for; whoever does says so if it stays missing.
    const refused = step.refused.filter(({ code }) => code !== 'publication.missing_bundle');
    for (const refusal of refused) this.#refused(refusal);
    return { ...step, refused };
  }

  #refused(refusal: Refusal): void {
    this.#troubles = [...this.#troubles, refusal];
    this.#options.onPolicy?.({ outcome: 'refused', ...refusal });
  }

  /**
   * A place that cannot be reached, or not in time, has nothing. Offline nobody else could show what is missing then, least of
   * all a list of revocations: what was given has to be readable.
   */
  async #fetch(
    source: DocumentSource,
    name: string,
    document: DocumentKind,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(PUBLICATION_TIMEOUT_MS)]);
    try {
      return await source(name, ENVELOPE_MAX_BYTES[document], limited);
    } catch (error) {
      if (!limited.aborted && !(error instanceof VeilError)) throw error;
      if (this.#options.mode === 'offline') throw unreadable(name, error);
      const code = error instanceof VeilError ? error.code : 'client.unreachable';
      this.#troubles = [...this.#troubles, { document, code, detail: name }];
      return undefined;
    }
  }

  #isFresh(): boolean {
    const policy = this.#state.release?.current.document.payload.policy;
    if (policy === undefined) return false;
    const age = policy.document.limits.revocation_age;
    return 'any' in age || freshness(this.#state, age.client, this.#options.clock()).fresh;
  }

  /** One after the other. Throws `client.policy_memory`. */
  async save(): Promise<void> {
    const next = this.#saving.then(() => this.#saveNow());
    // Whoever waits gets the error; it must not keep those behind from trying.
    this.#saving = next.catch(() => undefined);
    await next;
  }

  async #saveNow(): Promise<void> {
    const { memory, clock } = this.#options;
    if (memory === undefined || !isWorthSaving(this.#saved, this.#state)) {
      this.#saved = this.#state;
      return;
    }
    // Another process of the same app may have been told more.
    const other = await memory.changed(clock());
    if (other !== undefined) {
      const both = joined(this.#state, other, clock());
      this.#state = both.state;
      for (const refusal of both.contradictions) this.#refused(refusal);
    }
    const state = this.#state;
    memory.note(state, clock());
    await memory.save(state);
    this.#saved = state;
  }
}

/** A timestamp alone is not: it ages within minutes, and what it could roll back within them it could without a restart. */
function isWorthSaving(saved: PublicationState, now: PublicationState): boolean {
  return (
    saved.roots !== now.roots ||
    saved.release !== now.release ||
    saved.revocations !== now.revocations ||
    saved.highestSerial !== now.highestSerial ||
    saved.newestIssuedMs !== now.newestIssuedMs
  );
}

function unreadable(name: string, cause: unknown): Error {
  const why = cause instanceof VeilError ? cause.message : 'not in time';
  return clientError('client.policy_bundle', `${name}: ${why}`, { cause });
}

function isWhole({ release, revocations, timestamp }: Offered): boolean {
  return release !== undefined && revocations !== undefined && timestamp !== undefined;
}
