/**
 * What a client remembers of a published policy from one start to the next: what the reader accepted, whole, and the list of
 * it that people and `veilgate audit compare` read. Where it lies is the app's choice: a file, or a store of its own.
 * Spec: docs/publication.md §3.
 * @module
 */

import { equalPublic, utf8 } from '../core/bytes.ts';
import { formatInstant } from '../core/clock.ts';
import { VeilError } from '../core/errors.ts';
import type { PublicationState } from '../attestation/publication/memory.ts';
import { openPublication } from '../attestation/publication/open.ts';
import { digestText } from '../attestation/publication/payload.ts';
import {
  encodePolicyMemory,
  parsePolicyMemory,
  POLICY_MEMORY_FORMAT,
  type PolicyMemory,
} from '../attestation/publication/policy-memory.ts';
import { encodeState } from '../attestation/publication/saved-state.ts';
import { clientError } from './errors.ts';
import { ACCEPTED_MAX } from './limits.ts';

/** Both as they were saved. Neither is trusted: the state is verified again, the list is for people. */
export interface StoredPolicy {
  readonly state: Uint8Array;
  /** `veilgate.policy-memory/1`. */
  readonly accepted: Uint8Array;
}

/** One policy's memory. `save` puts the new in place of the old at once, or rejects. */
export interface PolicyStore {
  load(): Promise<Partial<StoredPolicy> | undefined>;
  save(stored: StoredPolicy): Promise<void>;
}

export interface PinnedRoot {
  readonly pinnedRoot: Uint8Array;
  /** Its name of the policy. */
  readonly policy: string;
}

type Accepted = PolicyMemory['accepted'][number];

export class ClientMemory {
  readonly #store: PolicyStore;
  readonly #pinnedRoot: Uint8Array;
  /** Name of the policy. */
  readonly #policy: string;
  /** Oldest first, by what it names. */
  readonly #accepted = new Map<string, Accepted>();
  /** As this process saw it last. */
  #seen: Uint8Array | undefined;

  constructor(store: PolicyStore, { pinnedRoot, policy }: PinnedRoot) {
    this.#store = store;
    this.#pinnedRoot = pinnedRoot;
    this.#policy = policy;
  }

  /** The state to begin with. Throws `client.policy_root`, `client.policy_memory`, `client.clock`. */
  async open(nowMs: number): Promise<PublicationState> {
    const stored = await this.#load();
    this.#seen = stored?.state;
    return this.#opened(stored?.state, nowMs);
  }

  /** What another process has saved since. Throws `client.policy_memory`. */
  async changed(nowMs: number): Promise<PublicationState | undefined> {
    const stored = await this.#load();
    const state = stored?.state;
    if (state === undefined || (this.#seen && equalPublic(state, this.#seen))) return undefined;
    // What cannot be opened stays unseen: it is not written over until somebody has looked at it.
    const opened = this.#opened(state, nowMs);
    this.#seen = state;
    return opened;
  }

  /** Each numbered document that was accepted, once, with the instant at which it was first seen. */
  note({ roots, release, revocations }: PublicationState, nowMs: number): void {
    const at = formatInstant(Math.floor(nowMs / 1000) * 1000);
    const note = (document: Accepted['document'], number: number, digest: string): void => {
      const name = `${document} ${number} ${digest}`;
      if (!this.#accepted.has(name)) this.#accepted.set(name, { document, number, digest, at });
    };
    for (const { document } of roots) {
      note('root', document.payload.version, digestText(document.digest));
    }
    for (const [kind, held] of [
      ['release', release],
      ['revocations', revocations],
    ] as const) {
      if (held === undefined) continue;
      note(kind, held.document.payload.number, digestText(held.document.digest));
    }
  }

  /** Throws `client.policy_memory`. */
  async save(state: PublicationState): Promise<void> {
    const accepted = utf8(
      `${encodePolicyMemory({
        format: POLICY_MEMORY_FORMAT,
        policy: this.#policy,
        accepted: [...this.#accepted.values()].slice(-ACCEPTED_MAX),
      })}\n`,
    );
    const bytes = encodeState(state);
    try {
      await this.#store.save({ state: bytes, accepted });
    } catch (cause) {
      if (cause instanceof VeilError && cause.code === 'client.policy_memory') throw cause;
      throw clientError('client.policy_memory', 'it cannot be written', { cause });
    }
    this.#seen = bytes;
  }

  async #load(): Promise<Partial<StoredPolicy> | undefined> {
    let stored: Partial<StoredPolicy> | undefined;
    try {
      stored = await this.#store.load();
    } catch (cause) {
      const why = cause instanceof VeilError ? cause.message : 'it cannot be read';
      throw clientError('client.policy_memory', why, { cause });
    }
    if (stored?.accepted !== undefined) this.#recall(stored.accepted);
    return stored;
  }

  /** A list that cannot be read stays where it is until somebody has looked at it. */
  #recall(bytes: Uint8Array): void {
    try {
      const { policy, accepted } = parsePolicyMemory(bytes);
      if (policy !== this.#policy) {
        throw clientError('client.policy_memory', 'the list of another policy');
      }
      for (const one of accepted) {
        const name = `${one.document} ${one.number} ${one.digest}`;
        if (!this.#accepted.has(name)) this.#accepted.set(name, one);
      }
    } catch (cause) {
      if (!(cause instanceof VeilError) || cause.code === 'client.policy_memory') throw cause;
      throw clientError('client.policy_memory', `the list of what was accepted: ${cause.code}`, {
        cause,
      });
    }
  }

  #opened(saved: Uint8Array | undefined, nowMs: number): PublicationState {
    const state = openPinned(this.#pinnedRoot, nowMs, saved);
    this.note(state, nowMs);
    return state;
  }
}

/** Throws `client.policy_root`, `client.policy_memory`, `client.clock`. */
export function openPinned(
  pinnedRoot: Uint8Array,
  nowMs: number,
  saved?: Uint8Array,
): PublicationState {
  try {
    return openPublication({ pinnedRoot, nowMs, ...(saved && { saved }) });
  } catch (cause) {
    if (!(cause instanceof VeilError) || cause.code === 'internal.invariant') throw cause;
    const { code, message } = cause;
    if (code === 'publication.clock') throw clientError('client.clock', message, { cause });
    if (code !== 'publication.saved_state') {
      throw clientError('client.policy_root', `not a root: ${message}`, { cause });
    }
    throw clientError('client.policy_memory', message, { cause });
  }
}
