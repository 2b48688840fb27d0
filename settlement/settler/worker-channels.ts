/**
 * Channels of ours to workers that do not wait for payouts: funded by the treasury, paid by a voucher for all they have
 * earned. The voucher alone is enough to claim, so its sum is what was settled and never more than the channel holds. Who has
 * a channel gets no payouts: the same earnings must not be paid twice. Spec: ton-settlement §4.3, §4.7.
 * @module
 */

import { byteKey } from '../../core/node/byte-key.ts';
import { concat, utf8, type Bytes } from '../../core/bytes.ts';
import { sha256 } from '#primitives';
import type { ChannelTerms } from '../channel-terms.ts';
import { amount, type Amount } from '../money.ts';
import { placeChannel, NO_KEY } from '../ton/channels/place.ts';
import { channelDeposit } from '../ton/channels/deposit.ts';
import { readChannel, type ReadChannel } from '../ton/channels/read.ts';
import { rawAddress } from '../ton/wallet/transfer.ts';
import type { Voucher } from '../voucher.ts';
import type { ClaimParts } from './claims.ts';
import { workerChannelKey, type WorkerChannelNote } from './notes.ts';
import { WORKER_CHANNELS_MAX } from './policy.ts';

export interface FundWorkerChannel {
  readonly workerId: Bytes<32>;
  /** The owner's wallet, which claims pay out to. */
  readonly destination: string;
  /** To be put in, in all and for good: asked again with the same sum, nothing is added. */
  readonly funded: Amount;
}

export type FundOutcome =
  | { readonly outcome: 'funding'; readonly channel: Bytes<32>; readonly terms: ChannelTerms }
  | {
      readonly outcome: 'refused';
      readonly code:
        | 'address_unusable'
        /** Another address than the first time: what is in the old channel would be paid twice. */
        | 'address_differs'
        /** Less than was put in already. */
        | 'funded_less'
        | 'channels_full';
    };

interface WorkerChannel extends WorkerChannelNote {
  readonly channel: Bytes<32>;
  readonly reading: ReadChannel | undefined;
  readonly readMs: number;
}

export class WorkerChannels {
  readonly #parts: ClaimParts;
  readonly #delayS: number;
  readonly #channels = new Map<string, WorkerChannel>();

  constructor(parts: ClaimParts, withdrawDelayS: number) {
    this.#parts = parts;
    this.#delayS = withdrawDelayS;
  }

  get size(): number {
    return this.#channels.size;
  }

  async load(): Promise<void> {
    for await (const [, note] of this.#parts.notes.workerChannels.list()) this.#put(note);
  }

  #put(note: WorkerChannelNote): void {
    const { id: channel } = placeChannel(note.terms, 'single');
    const key = byteKey(note.workerId);
    const { reading, readMs = 0 } = this.#channels.get(key) ?? {};
    this.#channels.set(key, { ...note, channel, reading, readMs });
  }

  /** Durable before it is paid; from here on this worker gets vouchers and no payouts. */
  async fund({ workerId, destination, funded }: FundWorkerChannel): Promise<FundOutcome> {
    const payee = rawAddress(destination);
    // The contract lives in workchain 0 and so do its parties.
    if (payee === undefined || !payee.startsWith('0:')) {
      return { outcome: 'refused', code: 'address_unusable' };
    }
    const known = this.#channels.get(byteKey(workerId));
    if (known === undefined && this.#channels.size >= WORKER_CHANNELS_MAX) {
      return { outcome: 'refused', code: 'channels_full' };
    }
    const terms = known?.terms ?? this.#termsFor(workerId, payee);
    if (terms.payee !== payee) return { outcome: 'refused', code: 'address_differs' };
    if (known !== undefined && funded < known.funded) {
      return { outcome: 'refused', code: 'funded_less' };
    }
    const note = { workerId, terms, funded };
    await this.#parts.notes.workerChannels.save(workerChannelKey(workerId), note);
    this.#put(note);
    return { outcome: 'funding', channel: placeChannel(terms, 'single').id, terms };
  }

  /** From the worker and its address alone, so that no crash makes a second channel. */
  #termsFor(workerId: Bytes<32>, payee: string): ChannelTerms {
    const { payee: own, treasury } = this.#parts;
    const digest = sha256(concat(utf8('veilgate worker channel\0'), workerId, utf8(payee)));
    return {
      network: own.network,
      payer: treasury.address,
      payee,
      payerKey: treasury.publicKey,
      payeeKey: NO_KEY,
      withdrawDelayS: this.#delayS,
      salt: new DataView(digest.buffer, digest.byteOffset).getBigUint64(0),
    };
  }

  /** Reads those whose turn it is and asks for what is missing in them. Throws as the chain does. */
  async round(): Promise<void> {
    const { chain, signal, now, policy } = this.#parts;
    for (const [key, channel] of this.#channels) {
      if (signal.aborted) return;
      if (channel.reading !== undefined && now() - channel.readMs < policy.readEveryMs) {
        if (!isShort(channel)) continue;
      }
      const reading = await readChannel(chain, channel.channel, { signal });
      const read = reading.outcome === 'read' ? reading : undefined;
      // A channel that was there does not go away; whoever says so is not believed.
      const isOdd = read === undefined && channel.reading !== undefined;
      const known = this.#channels.get(key) ?? channel;
      if (!isOdd) this.#channels.set(key, { ...known, reading: read, readMs: now() });
      if (!isOdd && reading.outcome !== 'frozen') this.#ask({ ...known, reading: read });
    }
  }

  #ask({ channel, terms, funded, reading }: WorkerChannel): void {
    const missing = funded - (reading?.deposited ?? 0n);
    if (missing <= 0n) return;
    const { init } = placeChannel(terms, 'single');
    const first = reading === undefined;
    const transfer = channelDeposit({ channel, init, amount: missing, first });
    this.#parts.outbox.want(`worker channel ${channel.join(',')}`, transfer);
  }

  /** For all it has earned, as far as its channel goes. Undefined before the channel is there. */
  async voucherFor(workerId: Bytes<32>): Promise<Voucher | undefined> {
    const known = this.#channels.get(byteKey(workerId));
    if (known?.reading === undefined || known.reading.status === 'idle') return undefined;
    const { earned, paid, planned } = await this.#parts.ledger.findWorker(workerId, 'TON');
    const owed = earned - paid - planned;
    const held = known.reading.deposited - known.reading.refunded;
    const ceiling = owed < held ? owed : held;
    if (ceiling <= 0n) return undefined;
    const { epoch } = known.reading;
    return this.#parts.treasury.signVoucher({
      channel: known.channel,
      epoch,
      ceiling: amount(ceiling),
    });
  }
}

function isShort({ funded, reading }: WorkerChannel): boolean {
  return reading === undefined || reading.deposited < funded;
}
