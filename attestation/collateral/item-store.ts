/**
 * Holds verified items and knows where more come from: what came with the evidence, memory, disk, network. Nothing
 * enters unjudged, nothing is used past its end, nothing goes back to an older state. There are no timers in here:
 * whoever composes it calls `refreshDue` or runs `run`.
 * Spec: tdx §10 "Cache rules"; sev-snp §8.
 * @module
 */

import { equalPublic } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { decodeBlob, encodeBlob } from './entries.ts';
import { collateralError, invalid } from './errors.ts';
import type { OnCollateralEvent } from './events.ts';
import { Flights } from './flights.ts';
import { Floors, type ListFloor } from './floors.ts';
import { HeldItems } from './held-items.ts';
import { ItemFetcher, OLDER } from './item-fetcher.ts';
import { isCertificate, isLeaf, itemKey, itemOfKey, supportsOf, type Item } from './items.ts';
import { compareRank, holds, type Judge, type RawItem, type Verified } from './judge.ts';
import {
  FLIGHTS_MAX,
  LEAVES_MAX,
  LEAVES_MAX_BYTES,
  REFRESH_MAX_MS,
  SHARED_MAX,
  SHARED_MAX_BYTES,
  UNSEEN_MAX,
} from './limits.ts';
import type { BlobStore, Ports } from './ports.ts';
import type { Source } from './source.ts';
import { backoffMs } from './source-gate.ts';

export interface ItemStoreOptions {
  readonly ports: Ports;
  readonly judge: Judge<Item>;
  readonly sources: readonly Source[];
  readonly onEvent: OnCollateralEvent;
  /** What the program itself brings: judged like anything else, and preferred. */
  readonly builtIn: (item: Item) => RawItem | undefined;
}

/** By key: what somebody shows us, untrusted. */
export type Offers = ReadonlyMap<string, RawItem>;

export interface RefreshReport {
  readonly refreshed: number;
  readonly failed: number;
  /** Infinity when nothing is held. */
  readonly nextDueMs: number;
}

/** Where the floors stand among the blobs; no item has this key. */
export const FLOORS_KEY = 'floors';

export class ItemStore {
  readonly #options: ItemStoreOptions;
  readonly #floors = new Floors();
  readonly #fetcher: ItemFetcher | undefined;
  readonly #shared = new HeldItems({ itemsMax: SHARED_MAX, bytesMax: SHARED_MAX_BYTES });
  readonly #leaves = new HeldItems({ itemsMax: LEAVES_MAX, bytesMax: LEAVES_MAX_BYTES });
  readonly #flights = new Flights<Verified>(FLIGHTS_MAX);
  /** What was only ever shown to us: to be looked for when there is time, so that a newer one is found. */
  readonly #unseen = new Map<string, Item>();
  /** Floors rose and the disk does not have them yet. */
  #areFloorsUnsaved = false;
  #areFloorsRead = false;

  private constructor(options: ItemStoreOptions) {
    const { ports, sources, onEvent } = options;
    this.#options = options;
    this.#fetcher =
      ports.fetch === undefined
        ? undefined
        : new ItemFetcher({ ports, fetch: ports.fetch, sources, onEvent });
  }

  static async open(options: ItemStoreOptions): Promise<ItemStore> {
    const store = new ItemStore(options);
    await store.#readFloors();
    return store;
  }

  /** Those of earlier runs. A disk that fails is asked again before they matter; a damaged file is given up. */
  async #readFloors(): Promise<void> {
    if (this.#areFloorsRead) return;
    const { ports, onEvent } = this.#options;
    let saved: Uint8Array | undefined;
    try {
      saved = await ports.blobs?.get(FLOORS_KEY);
    } catch (error) {
      if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
      onEvent({ kind: 'floors_lost' });
      return;
    }
    this.#areFloorsRead = true;
    try {
      if (saved !== undefined && !this.#floors.restore(saved)) onEvent({ kind: 'floors_lost' });
    } catch (error) {
      if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
      onEvent({ kind: 'floors_lost' });
    }
  }

  listFloor(issuerId: string): ListFloor | undefined {
    return this.#floors.listFloor(issuerId);
  }

  /** Throws `collateral.*`. */
  async obtain(item: Item, offers: Offers, signal: AbortSignal): Promise<Verified> {
    await this.#readFloors();
    const supports = await this.#supports(item, (support) => this.obtain(support, offers, signal));
    const own = this.#brought(item, supports) ?? (await this.#local(item, supports));
    const offered = this.#offered(item, offers, { own, supports });
    if (offered !== undefined && isOfferKept(item)) return await this.#adopt(offered);
    if (own !== undefined) return own;
    if (offered !== undefined && isOfferEnough(item)) {
      this.#lookForLater(item);
      return offered;
    }
    try {
      return await this.#fromNetwork(item, supports, signal);
    } catch (error) {
      if (offered !== undefined) return offered;
      throw error;
    }
  }

  /** As `obtain`, from what the program brings, memory and disk alone. */
  async recall(item: Item): Promise<Verified | undefined> {
    const supports: Verified[] = [];
    for (const support of supportsOf(item)) {
      const found = await this.recall(support);
      if (found === undefined) return undefined;
      supports.push(found);
    }
    return this.#brought(item, supports) ?? (await this.#local(item, supports));
  }

  /** Takes an item of a bundle. Throws `collateral.*` unless it holds and is at least as new as what is known. */
  async take(item: Item, raw: RawItem): Promise<Verified> {
    await this.#readFloors();
    const supports = await this.#supports(item, async (support) => {
      const found = await this.recall(support);
      if (found === undefined) throw invalid(item.kind, `no ${support.kind} to judge it with`);
      return found;
    });
    await this.#local(item, supports);
    return await this.#adopt(this.#judged(item, raw, supports));
  }

  /** Everything in memory and on disk that may be used now, supports first. */
  async all(): Promise<readonly Verified[]> {
    const stored = (await this.#stored()).flatMap((key) => itemOfKey(key) ?? []);
    const held = [...this.#shared.values(), ...this.#leaves.values()].map(({ item }) => item);
    const items = new Map([...stored, ...held].map((item) => [itemKey(item), item]));
    const found: Verified[] = [];
    for (const [, item] of [...items].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const verified = await this.recall(item);
      if (verified !== undefined) found.push(verified);
    }
    return found.toSorted((a, b) => supportsOf(a.item).length - supportsOf(b.item).length);
  }

  /** Asks for a newer one of everything that is due, and keeps what there is where none comes. */
  async refreshDue(nowMs: number, signal: AbortSignal): Promise<RefreshReport> {
    const due = [...this.#shared.due(nowMs), ...this.#leaves.due(nowMs)].map(({ item }) => item);
    const unseen = [...this.#unseen.values()];
    this.#unseen.clear();
    const outcomes = await Promise.all(
      [...due, ...unseen].map((item) => this.#refresh(item, signal)),
    );
    return {
      refreshed: outcomes.filter((isRefreshed) => isRefreshed).length,
      failed: outcomes.filter((isRefreshed) => !isRefreshed).length,
      nextDueMs: Math.min(this.#shared.nextDueMs(), this.#leaves.nextDueMs()),
    };
  }

  #lookForLater(item: Item): void {
    if (this.#fetcher !== undefined && this.#unseen.size < UNSEEN_MAX)
      this.#unseen.set(itemKey(item), item);
  }

  async #refresh(item: Item, signal: AbortSignal): Promise<boolean> {
    const { now, random } = this.#options.ports;
    try {
      const supports = await this.#supports(item, (support) =>
        this.obtain(support, new Map(), signal),
      );
      await this.#fromNetwork(item, supports, signal);
      // A source that lags behind serves what holds and is older than what is held: that is still due.
      if (!this.#heldOf(item).isDue(itemKey(item), now())) return true;
    } catch (error) {
      if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
    }
    const isOffline = this.#fetcher === undefined;
    this.#heldOf(item).postpone(itemKey(item), now(), (failures) =>
      isOffline ? REFRESH_MAX_MS : backoffMs(failures, random),
    );
    return false;
  }

  #heldOf(item: Item): HeldItems {
    return isLeaf(item) ? this.#leaves : this.#shared;
  }

  async #supports(
    item: Item,
    get: (support: Item) => Promise<Verified>,
  ): Promise<readonly Verified[]> {
    return await Promise.all(supportsOf(item).map(get));
  }

  /** Throws `collateral.*`; refuses what is below its floor. */
  #judged(item: Item, raw: RawItem, supports: readonly Verified[]): Verified {
    const nowMs = this.#options.ports.now();
    const verified = this.#options.judge(item, raw, { nowMs, supports });
    if (!this.#floors.admits(verified, nowMs)) throw invalid(item.kind, OLDER);
    return verified;
  }

  /** From memory, else from disk; only what may be used now. */
  async #local(item: Item, supports: readonly Verified[]): Promise<Verified | undefined> {
    const key = itemKey(item);
    const held = this.#heldOf(item);
    const nowMs = this.#options.ports.now();
    const known = held.get(key);
    if (known !== undefined) {
      if (holds(known, { nowMs, supports }) && this.#floors.admits(known, nowMs)) {
        held.used(key, nowMs);
        return known;
      }
      held.delete(key);
    }
    const stored = await this.#load(item, key, supports);
    if (stored === undefined) return undefined;
    // Somebody may have put a newer one there meanwhile.
    const meanwhile = held.get(key);
    if (meanwhile !== undefined && compareRank(meanwhile.rank, stored.rank) >= 0) return meanwhile;
    this.#raiseFloor(stored, nowMs);
    held.set(stored, nowMs);
    return stored;
  }

  async #load(
    item: Item,
    key: string,
    supports: readonly Verified[],
  ): Promise<Verified | undefined> {
    try {
      const bytes = await this.#options.ports.blobs?.get(key);
      const raw = bytes === undefined ? undefined : decodeBlob(bytes, key);
      return raw === undefined ? undefined : this.#judged(item, raw, supports);
    } catch (error) {
      return this.#absentBecause(error);
    }
  }

  /** What a disk gives is as good as absent when it does not hold. */
  #absentBecause(error: unknown): undefined {
    if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
    if (error.code.startsWith('blob.')) {
      this.#options.onEvent({ kind: 'storage_failed', code: error.code });
    }
    return undefined;
  }

  #brought(item: Item, supports: readonly Verified[]): Verified | undefined {
    const raw = this.#options.builtIn(item);
    return raw === undefined ? undefined : this.#judgedOffer(item, raw, supports);
  }

  /** What was offered, when it holds and is newer than what is at hand. */
  #offered(
    item: Item,
    offers: Offers,
    at: { readonly own: Verified | undefined; readonly supports: readonly Verified[] },
  ): Verified | undefined {
    const raw = offers.get(itemKey(item));
    const verified = raw === undefined ? undefined : this.#judgedOffer(item, raw, at.supports);
    if (verified === undefined || at.own === undefined) return verified;
    return compareRank(verified.rank, at.own.rank) > 0 ? verified : undefined;
  }

  #judgedOffer(item: Item, raw: RawItem, supports: readonly Verified[]): Verified | undefined {
    try {
      return this.#judged(item, raw, supports);
    } catch (error) {
      if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
      // Never trusted, so nothing is lost: the store's own is used instead.
      return undefined;
    }
  }

  async #fromNetwork(
    item: Item,
    supports: readonly Verified[],
    signal: AbortSignal,
  ): Promise<Verified> {
    const fetcher = this.#fetcher;
    if (fetcher === undefined) {
      throw collateralError('collateral.offline', item.kind, { facts: { kind: item.kind } });
    }
    const verified = await this.#flights.join(itemKey(item), signal, async (flying) => {
      const judge = (raw: RawItem): Verified => this.#judged(item, raw, supports);
      return await this.#adopt(await fetcher.fetch(item, flying, judge));
    });
    // The flight may be another caller's, who judged with an older list.
    const context = { nowMs: this.#options.ports.now(), supports };
    if (!holds(verified, context)) throw invalid(item.kind, 'signer revoked');
    return verified;
  }

  /** The one way in. Answers with what is in use afterwards, which is newer when somebody was quicker. */
  async #adopt(verified: Verified): Promise<Verified> {
    const { item, key, rank } = verified;
    const held = this.#heldOf(item);
    const nowMs = this.#options.ports.now();
    const known = held.get(key);
    const isKnownNewer = known !== undefined && compareRank(known.rank, rank) > 0;
    if (isKnownNewer && nowMs <= known.expiresAtMs) return known;
    this.#raiseFloor(verified, nowMs);
    held.set(verified, nowMs);
    this.#unseen.delete(key);
    if (!isCertificate(item)) this.#announce(known, verified);
    await this.#save(verified);
    return verified;
  }

  /** Also the first of its kind: whoever had none may have judged with what was shown. */
  #announce(old: Verified | undefined, next: Verified): void {
    if (old !== undefined && equalPublic(old.raw.body, next.raw.body)) return;
    const before = old?.list?.revoked;
    const newlyRevoked = [...(next.list?.revoked ?? [])].filter(
      (serial) => before?.has(serial) !== true,
    ).length;
    const isNewEvaluation =
      old !== undefined && next.list === undefined && next.rank.number > old.rank.number;
    this.#options.onEvent({ kind: 'replaced', key: next.key, newlyRevoked, isNewEvaluation });
  }

  #raiseFloor(verified: Verified, nowMs: number): void {
    if (this.#floors.raise(verified, nowMs)) this.#areFloorsUnsaved = true;
  }

  /** Floors first: a crash in between leaves an older item that its floor refuses. */
  async #save(verified: Verified): Promise<void> {
    const { blobs } = this.#options.ports;
    if (blobs === undefined) return;
    try {
      await this.#saveFloors(blobs);
      await blobs.put(verified.key, encodeBlob(verified));
    } catch (error) {
      if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
      this.#options.onEvent({ kind: 'storage_failed', code: error.code });
    }
  }

  /** What the disk did not take is tried again with the next item: a floor must not end with the process. */
  async #saveFloors(blobs: BlobStore): Promise<void> {
    // What could not be read must not be written over.
    if (!this.#areFloorsUnsaved || !this.#areFloorsRead) return;
    // Before the write: what rises meanwhile is not in it.
    this.#areFloorsUnsaved = false;
    try {
      await blobs.put(FLOORS_KEY, this.#floors.encode());
    } catch (error) {
      this.#areFloorsUnsaved = true;
      throw error;
    }
  }

  async #stored(): Promise<readonly string[]> {
    try {
      return (await this.#options.ports.blobs?.list()) ?? [];
    } catch (error) {
      this.#absentBecause(error);
      return [];
    }
  }
}

/**
 * Whether what somebody shows us may become what the store has. Not where it could stand in for something else: which
 * edition a document belongs to is not written in it, so that the newest, shown as the mandatory one, would judge
 * everybody's machines; and a product's intermediate CA may be one that was taken back.
 */
function isOfferKept(item: Item): boolean {
  if ('edition' in item) return typeof item.edition === 'number';
  return item.kind !== 'amd-chain';
}

/** Whether it will do for the one who brought it, so that nobody needs to be asked right now. */
function isOfferEnough(item: Item): boolean {
  return 'edition' in item && item.edition === 'standard';
}
