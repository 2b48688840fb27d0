/**
 * What the settler has to remember to go on after a crash, as notes of the ledger: behind the same fence as the books, so
 * that two settlers cannot both believe they are the one. Amounts are decimal text. @module
 */

import { z } from 'zod';
import { fixed, fromHex, toHex, utf8, type Bytes } from '../../core/bytes.ts';
import { canonicalJson, parseJson, type JsonObject } from '../../core/json.ts';
import { hexField } from '../../attestation/byte-fields.ts';
import { sha256 } from '#primitives';
import { CHANNEL_TERMS, channelTermsJson, type ChannelTerms } from '../channel-terms.ts';
import { NOTE_MAX_BYTES, PAGE_MAX, PAYOUTS_MAX } from '../ledger/limits.ts';
import type { Ledger, Note } from '../ledger/ledger.ts';
import type { Transfer } from '../ton/wallet/transfer.ts';
import { settlerError } from './errors.ts';

const DIGITS = z
  .string()
  .regex(/^\d{1,20}$/)
  .transform((digits) => BigInt(digits));
const MS = z.int().min(0);
const CELL_TEXT_MAX = 8192;
const NAME_MAX_CHARS = 160;
const EPOCH_MAX = 0xffff;
const ADDRESS = z.string().regex(/^0:[0-9a-f]{64}$/);

/** A channel that is watched and claimed. Without its terms it could be neither after a restart. */
export interface ChannelNote {
  readonly terms: ChannelTerms;
  /** When it was opened, or a claim of it was last seen. */
  readonly sinceMs: number;
}

const CHANNEL_NOTE = z.strictObject({ terms: CHANNEL_TERMS, sinceMs: MS });

/** What our wallet was told to do. Written before it is told, kept until the chain says what became of it. */
export interface OrderNote {
  /** Seconds of the chain's clock when it was made. No two are of the same second, so this names it. */
  readonly createdAtS: number;
  readonly kind: OrderKind;
  /** `new`: the wallet deploys itself with it. */
  readonly wallet: 'new' | 'deployed';
  /** Empty of payouts: the ledger has the plan. */
  readonly transfers: readonly Transfer[];
  /** What the transfers were asked for as, in their order. */
  readonly names: readonly string[];
  /** By the wallet's own transactions. `accepted`: taken, and about to be carried out. */
  readonly fate: OrderFate;
}
export type OrderKind = 'payouts' | 'transfers';
export type OrderFate = 'none' | 'accepted' | 'paid' | 'failed';

const NAMES = z.array(z.string().max(NAME_MAX_CHARS)).max(PAYOUTS_MAX);
const CELL = z.string().max(CELL_TEXT_MAX);
const TRANSFER = z.strictObject({
  to: ADDRESS,
  nanoton: DIGITS,
  body: CELL.nullable(),
  init: z.strictObject({ code: CELL, data: CELL }).nullable(),
});
const ORDER_NOTE = z.strictObject({
  createdAtS: z.int().min(0),
  kind: z.enum(['payouts', 'transfers']),
  wallet: z.enum(['new', 'deployed']),
  transfers: z.array(TRANSFER).max(PAYOUTS_MAX),
  names: NAMES.default([]),
  fate: z.enum(['none', 'accepted', 'paid', 'failed']),
});

/** An order that is over: until the chain had time to show what it paid for, nobody asks for that again. */
export interface EndedNote {
  readonly names: readonly string[];
  readonly atMs: number;
}
const ENDED_NOTE = z.strictObject({ names: NAMES, atMs: MS });

/** How far the settler has come. */
export interface ProgressNote {
  /** Of the last transaction of the treasury that was looked at. */
  readonly lt: bigint;
  /** Of the newest order. */
  readonly orderS: number;
  /** When everybody who is owed a little was paid. */
  readonly sweptMs: number;
}
const PROGRESS_NOTE = z.strictObject({ lt: DIGITS, orderS: MS, sweptMs: MS });

/** A channel of ours to a worker. */
export interface WorkerChannelNote {
  readonly workerId: Bytes<32>;
  readonly terms: ChannelTerms;
  /** What was put in, and is to be put in, in all. */
  readonly funded: bigint;
  /** The highest voucher of `epoch`: written before it is signed. Of a new epoch, at first what was claimed before it. */
  readonly promised: bigint;
  readonly epoch: number;
  /** As the chain showed it: never less, whatever is said after a restart. */
  readonly deposited: bigint;
}
const WORKER_CHANNEL_NOTE = z.strictObject({
  workerId: hexField(32),
  terms: CHANNEL_TERMS,
  funded: DIGITS,
  promised: DIGITS,
  deposited: DIGITS,
  epoch: z.int().min(0).max(EPOCH_MAX),
});

export interface Shelf<Value> {
  save(key: Bytes<32>, value: Value): Promise<void>;
  drop(key: Bytes<32>): Promise<void>;
  find(key: Bytes<32>): Promise<Value | undefined>;
  list(): AsyncIterable<readonly [Bytes<32>, Value]>;
}

export interface SettlerNotes {
  readonly channels: Shelf<ChannelNote>;
  readonly orders: Shelf<OrderNote>;
  readonly ended: Shelf<EndedNote>;
  readonly progress: Shelf<ProgressNote>;
  readonly workerChannels: Shelf<WorkerChannelNote>;
}

/** Of the one note of its kind, or of one that has a name. */
export function keyOf(name: string): Bytes<32> {
  return sha256(utf8(`veilgate.settler/1 ${name}`));
}

export function orderKey(createdAtS: number): Bytes<32> {
  return fixed(fromHex(createdAtS.toString(16).padStart(64, '0')), 32);
}

export function workerChannelKey(workerId: Bytes<32>): Bytes<32> {
  return workerId;
}

export function openNotes(ledger: Ledger): SettlerNotes {
  return {
    channels: shelf<ChannelNote>(ledger, 'channel', {
      decode: (json) => CHANNEL_NOTE.parse(json),
      encode: ({ terms, sinceMs }) => ({ terms: channelTermsJson(terms), sinceMs }),
    }),
    orders: shelf<OrderNote>(ledger, 'order', {
      decode: (json) => ORDER_NOTE.parse(json),
      encode: ({ transfers, names, ...rest }) => ({
        ...rest,
        names: [...names],
        transfers: transfers.map(transferJson),
      }),
    }),
    ended: shelf<EndedNote>(ledger, 'ended', {
      decode: (json) => ENDED_NOTE.parse(json),
      encode: ({ names, atMs }) => ({ names: [...names], atMs }),
    }),
    progress: shelf<ProgressNote>(ledger, 'progress', {
      decode: (json) => PROGRESS_NOTE.parse(json),
      encode: ({ lt, ...rest }) => ({ lt: lt.toString(), ...rest }),
    }),
    workerChannels: shelf<WorkerChannelNote>(ledger, 'worker-channel', {
      decode: (json) => WORKER_CHANNEL_NOTE.parse(json),
      encode: ({ workerId, terms, funded, promised, epoch, deposited }) => ({
        workerId: toHex(workerId),
        terms: channelTermsJson(terms),
        funded: funded.toString(),
        promised: promised.toString(),
        deposited: deposited.toString(),
        epoch,
      }),
    }),
  };
}

function transferJson({ nanoton, ...rest }: Transfer): JsonObject {
  return { ...rest, nanoton: nanoton.toString() };
}

interface Form<Value> {
  decode(json: unknown): Value;
  encode(value: Value): JsonObject;
}

function shelf<Value>(ledger: Ledger, kind: string, form: Form<Value>): Shelf<Value> {
  const read = ({ value }: Note): Value => {
    try {
      return form.decode(parseJson(value, NOTE_MAX_BYTES));
    } catch (cause) {
      throw settlerError('settler.note', kind, { cause });
    }
  };
  return {
    save: (key, value) =>
      ledger.saveNote({ kind, key, value: utf8(canonicalJson(form.encode(value))) }),
    drop: async (key) => {
      await ledger.dropNote(kind, key);
    },
    find: async (key) => {
      const note = await ledger.findNote(kind, key);
      return note === undefined ? undefined : read(note);
    },
    list: async function* () {
      let after: Bytes<32> | undefined;
      for (;;) {
        const page = await ledger.listNotes({ kind, after, limit: PAGE_MAX });
        for (const note of page) yield [note.key, read(note)] as const;
        after = page.at(-1)?.key;
        if (page.length < PAGE_MAX) return;
      }
    },
  };
}
