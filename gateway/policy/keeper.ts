/**
 * Keeps the gateway's policies current: asks the source, lets `advance` judge what came, saves before it uses, and puts it
 * on the desk. Whatever fails keeps what was there and raises an alarm. Spec: gpu-and-policy §5.3 (1), §5.4;
 * docs/publication.md §3.
 * @module
 */

import {
  advance,
  nextRootVersion,
  type Advance,
  type Offered,
} from '../../attestation/publication/advance.ts';
import { freshness } from '../../attestation/publication/freshness.ts';
import { ENVELOPE_MAX_BYTES, type DocumentKind } from '../../attestation/publication/kinds.ts';
import { revocationSetOf, type PublicationState } from '../../attestation/publication/memory.ts';
import { encodeState } from '../../attestation/publication/saved-state.ts';
import type { Refusal } from '../../attestation/publication/step.ts';
import type { Clock } from '../../core/clock.ts';
import { codeOf } from '../../core/node/log.ts';
import { saveOver } from '../../core/node/private-files.ts';
import type { Enforced, RevocationState } from './desk.ts';
import type { PublicationSource } from './source.ts';

/** Roots and bundles that one look may bring, so that a source cannot keep it busy for ever. */
const STEPS_MAX = 16;
/** The documents that have one name for ever. */
const STANDING_NAMES = ['release.json', 'revocations.json', 'timestamp.json'] as const;

export interface KeeperDeps {
  readonly source: PublicationSource;
  /** Where the state is kept. */
  readonly statePath: string;
  readonly clock: Clock;
  readonly allowDevelopment: boolean;
  readonly on: KeeperEvents;
}

/** Called in this order, each before the state behind it is used. */
export interface KeeperEvents {
  readonly accepted: (change: Advance['accepted'][number], state: PublicationState) => void;
  /** `state`: what is held. */
  readonly refused: (refusal: Refusal, state: PublicationState) => void;
  /** Nobody could tell; what is there stays. */
  readonly unreachable: (name: string, code: string) => void;
  /** The state could not be saved: nothing that grants was taken over. */
  readonly unsaved: (code: string) => void;
}

export class Keeper {
  readonly #deps: KeeperDeps;
  #state: PublicationState;

  constructor(deps: KeeperDeps, state: PublicationState) {
    this.#deps = deps;
    this.#state = state;
  }

  state(): PublicationState {
    return this.#state;
  }

  /** Undefined before the first release. */
  enforced(): Enforced | undefined {
    const { release } = this.#state;
    if (release === undefined) return undefined;
    const current = release.current.document.payload.policy;
    const share = release.document.payload.candidate?.share;
    if (release.candidate === undefined || share === undefined) return { current };
    return { current, candidate: { policy: release.candidate.document.payload.policy, share } };
  }

  /** The list as it is now; freshness as it is whenever it is asked. */
  revocations(): RevocationState {
    return {
      list: revocationSetOf(this.#state),
      isRetired: () => this.#state.release === undefined,
      staleBecause: (maxAgeMs, nowMs) => {
        const found = freshness(this.#state, maxAgeMs, nowMs);
        return found.fresh ? undefined : found.why;
      },
    };
  }

  /** Asks for everything once. Never rejects for what others do. */
  async look(signal: AbortSignal): Promise<void> {
    await this.#climb(signal);
    const [revocations, timestamp] = [
      await this.#fetch('revocations.json', 'revocations', signal),
      await this.#fetch('timestamp.json', 'timestamp', signal),
    ];
    this.#take({
      ...(revocations === undefined ? {} : { revocations }),
      ...(timestamp === undefined ? {} : { timestamp }),
    });
    await this.#takeRelease(signal);
  }

  /** One root after the other; under a new one everything else is looked at again. */
  async #climb(signal: AbortSignal): Promise<void> {
    for (let step = 0; step < STEPS_MAX; step++) {
      const before = this.#state;
      const root = await this.#fetch(this.#nextRootName(), 'root', signal);
      if (root === undefined) return;
      this.#take({ roots: [root] });
      if (this.#state.root === before.root) return;
      for (const other of STANDING_NAMES) this.#deps.source.forget(other);
    }
  }

  /** Whole with its bundles, or not at all. */
  async #takeRelease(signal: AbortSignal): Promise<void> {
    const { clock, source } = this.#deps;
    const release = await this.#fetch('release.json', 'release', signal);
    if (release === undefined) return;
    const { missingBundles } = advance(this.#state, { release }, clock());
    const bundles = new Map<number, Uint8Array>();
    for (const serial of missingBundles.slice(0, STEPS_MAX)) {
      const name = `bundles/${serial}.json`;
      // A bundle never changes; that it was answered before does not mean that it was taken.
      source.forget(name);
      const bytes = await this.#fetch(name, 'bundle', signal);
      if (bytes !== undefined) bundles.set(serial, bytes);
    }
    this.#take({ release, bundles });
  }

  #take(offered: Offered): void {
    const { clock, allowDevelopment, on } = this.#deps;
    const { state, accepted, refused } = advance(this.#state, offered, clock());
    for (const refusal of refused) this.#refuse(refusal);
    if (state === this.#state) return;
    if (!allowDevelopment && hasDevelopment(state)) {
      this.#refuse({
        document: 'release',
        code: 'publication.development',
        detail: 'a policy for simulated machines',
      });
      return;
    }
    if (accepted.some(({ kind }) => kind !== 'timestamp') && !this.#save(state)) {
      // What takes away may be used unsaved; what grants may not.
      if (state.release !== this.#state.release || state.root !== this.#state.root) return;
    }
    this.#state = state;
    for (const change of accepted) on.accepted(change, state);
  }

  #save(state: PublicationState): boolean {
    try {
      saveOver(this.#deps.statePath, encodeState(state));
      return true;
    } catch (error) {
      for (const name of STANDING_NAMES) this.#deps.source.forget(name);
      // A root may take stolen keys away: it is asked for until it is taken.
      this.#deps.source.forget(this.#nextRootName());
      this.#deps.on.unsaved(codeOf(error) ?? 'unknown');
      return false;
    }
  }

  /** It may hold later, when a clock, a root or a bundle has come along: it is read again. */
  #refuse(refusal: Refusal): void {
    const { source, on } = this.#deps;
    const { document } = refusal;
    if (document === 'bundle' || document === 'release') source.forget('release.json');
    else if (document !== 'root') source.forget(`${document}.json`);
    else source.forget(this.#nextRootName());
    on.refused(refusal, this.#state);
  }

  #nextRootName(): string {
    return `root/${nextRootVersion(this.#state)}.json`;
  }

  async #fetch(
    name: string,
    kind: DocumentKind,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const { source, on } = this.#deps;
    try {
      return await source.fetch(name, ENVELOPE_MAX_BYTES[kind], signal);
    } catch (error) {
      if (signal.aborted) return undefined;
      on.unreachable(name, codeOf(error) ?? 'unknown');
      return undefined;
    }
  }
}

/** In force, for a share, or in the shadow. */
export function hasDevelopment({ release }: PublicationState): boolean {
  return [release?.current, release?.candidate].some(
    (bundle) => bundle?.document.payload.policy.document.development === true,
  );
}
