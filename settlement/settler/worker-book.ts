/**
 * Channels of ours to workers: terms and promises are notes of the ledger, what the chain shows is in memory. The one place
 * that says what of a worker's money a channel pays, so that vouchers and transfers never pay the same twice: whoever signs
 * a voucher or plans a transfer holds the worker meanwhile. Spec: ton-settlement §4.3, §4.7.
 * @module
 */

import { equalPublic, type Bytes } from '../../core/bytes.ts';
import { byteKey } from '../../core/node/byte-key.ts';
import { amount, type Amount } from '../money.ts';
import type { ReadChannel } from '../ton/channels/read.ts';
import { placeChannel } from '../ton/channels/place.ts';
import type { Treasury } from '../ton/treasury.ts';
import { workerChannelKey, type SettlerNotes, type WorkerChannelNote } from './notes.ts';
import { Turns } from './turns.ts';

export interface WorkerChannel extends WorkerChannelNote {
  readonly channel: Bytes<32>;
  /** Undefined: not since the start, or nothing is there yet. */
  readonly reading: ReadChannel | undefined;
  readonly readMs: number;
}

/** What a worker says to a notice with its channel. */
export type ChannelAnswer = 'taken' | 'refused';

export class WorkerBook {
  readonly #notes: SettlerNotes;
  readonly #treasury: Treasury;
  readonly #channels = new Map<string, WorkerChannel>();
  readonly #turns = new Turns();
  readonly #refused = new Set<string>();

  constructor(notes: SettlerNotes, treasury: Treasury) {
    this.#notes = notes;
    this.#treasury = treasury;
  }

  find(workerId: Bytes<32>): WorkerChannel | undefined {
    return this.#channels.get(byteKey(workerId));
  }

  /** A copy: channels may be added while somebody walks. */
  all(): readonly WorkerChannel[] {
    return [...this.#channels.values()];
  }

  async load(): Promise<void> {
    for await (const [, note] of this.#notes.workerChannels.list()) this.#put(note);
  }

  /** Nobody else promises to this worker or pays it until the returned function is called. */
  hold(workerId: Bytes<32>): Promise<() => void> {
    return this.#turns.take(byteKey(workerId));
  }

  /** Durable before it is known. By whoever holds the worker. */
  async save(note: WorkerChannelNote): Promise<void> {
    const { workerId, terms, funded, promised, epoch, deposited } = note;
    const kept = { workerId, terms, funded, promised, epoch, deposited };
    await this.#notes.workerChannels.save(workerChannelKey(workerId), kept);
    this.#put(kept);
  }

  seen(workerId: Bytes<32>, reading: ReadChannel | undefined, readMs: number): void {
    const known = this.find(workerId);
    if (known !== undefined) this.#channels.set(byteKey(workerId), { ...known, reading, readMs });
  }

  /** A worker that takes no voucher on its channel is paid by transfers, less what was promised before it said so. */
  answered(workerId: Bytes<32>, answer: ChannelAnswer): void {
    if (answer === 'refused') this.#refused.add(byteKey(workerId));
    else this.#refused.delete(byteKey(workerId));
  }

  isRefused(workerId: Bytes<32>): boolean {
    return this.#refused.has(byteKey(workerId));
  }

  #put(note: WorkerChannelNote): void {
    const { id: channel } = placeChannel(note.terms, 'single');
    const { reading, readMs = 0 } = this.find(note.workerId) ?? {};
    this.#channels.set(byteKey(note.workerId), { ...note, channel, reading, readMs });
  }

  /** Whether this wallet pays into it and can sign for it: a treasury of another key cannot. */
  isOurs({ terms }: WorkerChannel): boolean {
    const { address, publicKey } = this.#treasury;
    return terms.payer === address && equalPublic(terms.payerKey, publicKey);
  }

  /** Whether more may be promised on it, to this address: open, ours, wanted, and never withdrawn from. */
  isGrowing(channel: WorkerChannel, destination: string | undefined): boolean {
    const { reading, terms, workerId } = channel;
    if (terms.payee !== destination || !this.isOurs(channel)) return false;
    if (this.isRefused(workerId)) return false;
    return reading?.status === 'open' && !isWithdrawn(channel);
  }

  /** Of what is owed, the highest voucher there may be: what was promised stays so. */
  ceilingOf(channel: WorkerChannel, owed: Amount, destination: string | undefined): Amount {
    const { promised } = channel;
    if (!this.isGrowing(channel, destination)) return amount(promised);
    const held = heldOf(channel);
    const good = owed < held ? owed : held;
    return amount(good > promised ? good : promised);
  }

  /** Of what is owed, what the channel pays or may still be made to pay: nothing else may. */
  coveredOf(workerId: Bytes<32>, owed: Amount, destination: string | undefined): Amount {
    const channel = this.find(workerId);
    if (channel === undefined) return amount(0n);
    const ceiling = this.ceilingOf(channel, owed, destination);
    // What was withdrawn is not to be claimed any more, and we never pay in again.
    const held = heldOf(channel);
    return isWithdrawn(channel) && held < ceiling ? amount(held) : ceiling;
  }
}

/** In all, with what was claimed: what vouchers on it are good for. */
export function heldOf({ reading }: WorkerChannel): bigint {
  return reading === undefined ? 0n : reading.deposited - reading.refunded;
}

export function isWithdrawn({ reading }: WorkerChannel): boolean {
  return reading !== undefined && reading.refunded > 0n;
}
