/**
 * The channels this gateway is paid through, in memory; their terms are notes of the ledger. What changes with the chain is
 * the ledger's, here is only when it was last asked. @module
 */

import { byteKey } from '../../core/node/byte-key.ts';
import type { Bytes } from '../../core/bytes.ts';
import type { ChannelTerms } from '../channel-terms.ts';
import type { ChannelStatus } from '../ton/contracts/pay-channel.ts';
import type { SettlerNotes } from './notes.ts';

export interface KnownChannel {
  readonly id: Bytes<32>;
  readonly terms: ChannelTerms;
  /** When it was opened, or a claim of it was last seen. */
  readonly sinceMs: number;
  /** Undefined: not since the start. */
  readonly readMs: number | undefined;
  readonly status: ChannelStatus;
  /** Unix seconds; while closing. */
  readonly unlockAtS: number;
  /** How many providers told its state. */
  readonly witnesses: number;
  /** When a claim was last sent. */
  readonly sentMs: number | undefined;
  /** Charged and not to be had any more, as it was last said. */
  readonly lost: bigint;
  /** When it could not be read, since it last could. */
  readonly unreadMs: number | undefined;
  /** What was read last is too old to serve on. */
  readonly isDoubted: boolean;
  /** When a claim could not be sent, since one last could. */
  readonly unsentMs: number | undefined;
}

/**
 * Those with which something went wrong come last, the latest of them at the end: one that fails each time, which its payer
 * may even bring about, holds up no other.
 */
export function troubledLast(
  channels: readonly KnownChannel[],
  trouble: 'unreadMs' | 'unsentMs',
): readonly KnownChannel[] {
  const rank = (channel: KnownChannel): number => channel[trouble] ?? -Infinity;
  const troubled = channels.filter((channel) => channel[trouble] !== undefined);
  if (troubled.length === 0) return channels;
  return [
    ...channels.filter((channel) => channel[trouble] === undefined),
    ...troubled.toSorted((one, other) => rank(one) - rank(other)),
  ];
}

export class ChannelBook {
  readonly #channels = new Map<string, KnownChannel>();
  readonly #notes: SettlerNotes;

  constructor(notes: SettlerNotes) {
    this.#notes = notes;
  }

  get size(): number {
    return this.#channels.size;
  }

  find(id: Bytes<32>): KnownChannel | undefined {
    return this.#channels.get(byteKey(id));
  }

  /** A copy: channels may be added while somebody walks. */
  all(): readonly KnownChannel[] {
    return [...this.#channels.values()];
  }

  /** From the notes, at the start. */
  async load(): Promise<void> {
    for await (const [id, note] of this.#notes.channels.list()) this.#put(fresh(id, note));
  }

  /** Durable before it is known. One that is known stays as it is. */
  async add(id: Bytes<32>, terms: ChannelTerms, nowMs: number): Promise<void> {
    if (this.find(id) !== undefined) return;
    await this.#notes.channels.save(id, { terms, sinceMs: nowMs });
    if (this.find(id) === undefined) this.#put(fresh(id, { terms, sinceMs: nowMs }));
  }

  change(id: Bytes<32>, change: Partial<Omit<KnownChannel, 'id' | 'terms' | 'sinceMs'>>): void {
    const known = this.find(id);
    if (known !== undefined) this.#put({ ...known, ...change });
  }

  async claimSeen(id: Bytes<32>, nowMs: number): Promise<void> {
    const known = this.find(id);
    if (known === undefined) return;
    await this.#notes.channels.save(id, { terms: known.terms, sinceMs: nowMs });
    // What changed while that was written stays.
    this.#put({ ...(this.find(id) ?? known), sinceMs: nowMs });
  }

  #put(channel: KnownChannel): void {
    this.#channels.set(byteKey(channel.id), channel);
  }
}

function fresh(
  id: Bytes<32>,
  note: { readonly terms: ChannelTerms; readonly sinceMs: number },
): KnownChannel {
  const unread = { readMs: undefined, status: 'open', unlockAtS: 0, witnesses: 0 } as const;
  const fine = { unreadMs: undefined, isDoubted: false, unsentMs: undefined } as const;
  return { id, ...note, ...unread, ...fine, sentMs: undefined, lost: 0n };
}
