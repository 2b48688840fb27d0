/**
 * The devnet's chain: messages wait, blocks execute them, the last blocks can be undone and every state since then read.
 * Instant mode makes a block of every message; timed mode makes one every `blockTimeMs`, so that `sendBoc` returns before
 * anything has happened, as on the real network. Spec: ton-settlement §6.
 * @module
 */

import {
  Address,
  internal,
  loadMessage,
  type Cell,
  type Message,
  type ShardAccount,
  type TupleItem,
} from '@ton/core';
import type { Clock } from '../../../core/clock.ts';
import { hasCode } from '../../../core/errors.ts';
import type { TonNetwork } from '../network.ts';
import { devnetError } from './errors.ts';
import { blockHash, History, storedTransaction, type StoredTransaction } from './history.ts';
import {
  BLOCK_TRANSACTIONS_MAX,
  DEPTH_MAX,
  PENDING_MAX,
  SNAPSHOTS_MAX,
  TIME_STEP_MAX_S,
} from './limits.ts';
import { destinationOf, type GetMethodAnswer, Machine } from './machine.ts';
import type { BlockId } from './shapes.ts';

export const FAUCET_ADDRESS = new Address(-1, Buffer.alloc(32));

export interface ChainOptions {
  readonly network: TonNetwork;
  readonly now: Clock;
  /** Instant: a message from outside makes its block at once. */
  readonly mode: 'instant' | 'timed';
}

/** `height`: an empty block, and nothing else is different. */
export type Change = 'state' | 'height';

/** What a crash may have taken: whoever saw it must not see its places again with something else in them. */
const LT_SKIPPED = 1_000_000_000_000n;
const SEQNOS_SKIPPED = 100_000;

interface Pending {
  readonly message: Message;
  /** The first block that may execute it. */
  readonly fromSeqno: number;
}

/** What is kept of a chain between two runs of it. */
export interface ChainState {
  readonly lt: bigint;
  readonly seqno: number;
  readonly timeS: number;
  readonly accounts: readonly (readonly [string, ShardAccount])[];
  readonly transactions: readonly StoredTransaction[];
}

interface Snapshot {
  readonly accounts: readonly (readonly [string, ShardAccount])[];
  readonly history: History;
  readonly waiting: readonly Message[];
}

const MS_PER_S = 1000;

export class DevnetChain {
  readonly #machine: Machine;
  readonly #options: ChainOptions;
  #history = new History();
  #pending: Pending[] = [];
  /** Between contracts: what a full block left to the next. */
  #waiting: Message[] = [];
  #aheadS = 0;
  #forks = 0n;
  #minted = 0n;
  #busy: Promise<unknown> = Promise.resolve();
  readonly #snapshots = new Map<string, Snapshot>();
  #onChange: (what: Change) => void = () => undefined;

  private constructor(machine: Machine, options: ChainOptions) {
    this.#machine = machine;
    this.#options = options;
  }

  static async open(options: ChainOptions, state?: ChainState): Promise<DevnetChain> {
    const chain = new DevnetChain(await Machine.open(options.network.globalId), options);
    chain.#begin(state);
    return chain;
  }

  #begin(state: ChainState | undefined): void {
    if (state !== undefined) {
      this.#machine.moveLt(state.lt + LT_SKIPPED);
      for (const [address, account] of state.accounts) this.#machine.setAccount(address, account);
      this.#history = History.of([], state.transactions);
      this.#aheadS = Math.max(0, state.timeS - this.#clockS());
    }
    this.#pushBlock(state === undefined ? 1 : state.seqno + SEQNOS_SKIPPED, {
      transactions: [],
      externals: [],
      before: new Map(),
    });
  }

  get network(): TonNetwork {
    return this.#options.network;
  }

  /** Called after every block. */
  onChange(listener: (what: Change) => void): void {
    this.#onChange = listener;
  }

  #clockS(): number {
    return Math.floor(this.#options.now() / MS_PER_S);
  }

  /** Never runs backwards, whatever the clock of the machine does. */
  timeS(): number {
    return Math.max(this.#clockS() + this.#aheadS, this.#history.head()?.timeS ?? 0);
  }

  /** Throws `devnet.request` for a step back. */
  async forward(seconds: number): Promise<number> {
    if (!Number.isSafeInteger(seconds) || seconds < 0 || seconds > TIME_STEP_MAX_S) {
      throw devnetError(
        'devnet.request',
        'time goes forwards only, and not more than ten years at once',
      );
    }
    return await this.#alone(async () => {
      this.#aheadS = this.timeS() - this.#clockS() + seconds;
      await this.#makeBlock();
      this.#onChange('state');
      return this.timeS();
    });
  }

  headSeqno(): number {
    return this.#history.head()?.seqno ?? 0;
  }

  /** Of the block at `seqno`, in the masterchain or a workchain: here they go in step. Throws `devnet.unknown`. */
  blockId(seqno: number, workchain: number): BlockId {
    const block = this.#history.block(seqno);
    if (block === undefined) throw devnetError('devnet.unknown', `no block ${seqno}`);
    return { workchain, seqno, rootHash: block.hash, fileHash: block.hash };
  }

  /** When the block at `seqno` was made. In instant mode the head is always of now, as if empty blocks followed it. */
  blockTimeS(seqno: number): number {
    if (this.#options.mode === 'instant' && seqno === this.headSeqno()) return this.timeS();
    return this.#history.block(seqno)?.timeS ?? this.timeS();
  }

  blockTransactions(seqno: number, workchain: number): readonly StoredTransaction[] {
    this.blockId(seqno, workchain);
    const prefix = `${workchain}:`;
    const all = this.#history.block(seqno)?.transactions ?? [];
    return all.filter(({ account }) => account.startsWith(prefix));
  }

  get history(): History {
    return this.#history;
  }

  /** The account as it was `depth` blocks ago. */
  account(address: Address, depth = 0): ShardAccount | undefined {
    const key = address.toRawString();
    let found = this.#machine.account(address);
    for (const { before } of this.#history.newest(Math.min(depth, DEPTH_MAX))) {
      if (before.has(key)) found = before.get(key);
    }
    return found;
  }

  async runGetMethod(
    address: Address,
    call: { readonly method: string | number; readonly stack: TupleItem[]; readonly depth: number },
  ): Promise<GetMethodAnswer> {
    return await this.#alone(
      async () =>
        await this.#machine.runGetMethod(address, this.account(address, call.depth), {
          ...call,
          nowS: this.blockTimeS(this.headSeqno() - call.depth),
        }),
    );
  }

  /** What a message would cost now. Throws `devnet.not_accepted`. */
  async trial(message: Message, ignoreSignature: boolean) {
    return await this.#alone(
      async () =>
        await this.#machine.trial(message, {
          nowS: this.timeS(),
          ...(ignoreSignature ? { ignoreSignature: true } : {}),
        }),
    );
  }

  /** From outside. Throws `devnet.message`, `devnet.not_accepted`, `devnet.busy`. */
  async submit(boc: Cell, { holdBlocks = 0 } = {}): Promise<void> {
    const message = externalOf(boc);
    await this.#alone(async () => {
      if (this.#pending.length >= PENDING_MAX) throw devnetError('devnet.busy');
      // Real nodes ask the contract too before they pass a message on, and so answer at once to one that cannot succeed.
      await this.#machine.trial(message, { nowS: this.timeS() });
      this.#pending.push({ message, fromSeqno: this.headSeqno() + 1 + holdBlocks });
      if (this.#options.mode === 'instant' && holdBlocks === 0) await this.#makeBlock();
    });
  }

  /** Makes coins. An ordinary message, so that contracts see a deposit. */
  async faucet(to: Address, nanoton: bigint): Promise<void> {
    await this.#alone(async () => {
      const createdLt = this.#machine.lt + ++this.#minted;
      this.#waiting.push(faucetMessage(to, nanoton, { nowS: this.timeS(), createdLt }));
      if (this.#options.mode === 'instant') await this.#makeBlock();
    });
  }

  async mine(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.#alone(async () => await this.#makeBlock());
  }

  async #makeBlock(): Promise<void> {
    const seqno = this.headSeqno() + 1;
    const nowS = this.timeS();
    const due = this.#pending.filter(({ fromSeqno }) => fromSeqno <= seqno);
    this.#pending = this.#pending.filter(({ fromSeqno }) => fromSeqno > seqno);
    const externals = due.map(({ message }) => message);
    const queue = [...this.#waiting, ...externals];
    const before = new Map<string, ShardAccount | undefined>();
    const transactions: StoredTransaction[] = [];
    let next = 0;
    while (next < queue.length && transactions.length < BLOCK_TRANSACTIONS_MAX) {
      const message = queue[next++];
      if (message === undefined) break;
      const address = destinationOf(message);
      const key = address.toRawString();
      const was = this.#machine.account(address);
      const transaction = await this.#executeQuietly(message, nowS);
      if (transaction === undefined) continue;
      if (!before.has(key)) before.set(key, was);
      transactions.push(storedTransaction(transaction, key, seqno));
      for (const out of transaction.outMessages.values()) {
        if (out.info.type === 'internal') queue.push(out);
      }
    }
    this.#waiting = queue.slice(next);
    this.#pushBlock(seqno, { transactions, externals, before });
  }

  /** A message that its contract refuses disappears without a trace, as on the real network. */
  async #executeQuietly(message: Message, nowS: number) {
    try {
      return await this.#machine.execute(message, nowS);
    } catch (error) {
      if (hasCode(error, 'devnet.not_accepted')) return undefined;
      throw error;
    }
  }

  #pushBlock(
    seqno: number,
    made: {
      readonly transactions: readonly StoredTransaction[];
      readonly externals: readonly Message[];
      readonly before: ReadonlyMap<string, ShardAccount | undefined>;
    },
  ): void {
    const previous = this.#history.head()?.hash ?? new Uint8Array();
    const hash = blockHash(previous, seqno, made.transactions, this.#forks);
    this.#history.push({ ...made, seqno, timeS: this.timeS(), hash });
    this.#onChange(made.transactions.length === 0 ? 'height' : 'state');
  }

  /**
   * Undoes the last blocks and makes as many others in their place. Their messages from outside are lost, or wait again.
   * Logical time goes on: no two transactions ever share a place. Throws `devnet.request`.
   */
  async reorganise(depth: number, messages: 'lost' | 'again'): Promise<void> {
    if (
      !Number.isSafeInteger(depth) ||
      depth < 1 ||
      depth > Math.min(DEPTH_MAX, this.headSeqno() - 1)
    ) {
      throw devnetError('devnet.request', 'so many blocks cannot be undone');
    }
    await this.#alone(async () => {
      if (this.#history.newest(depth + 1).length <= depth) {
        throw devnetError('devnet.request', 'so many blocks are not kept');
      }
      const again: Message[] = [];
      for (let i = 0; i < depth; i++) {
        const block = this.#history.pop();
        if (block === undefined) break;
        for (const [address, account] of block.before) this.#machine.setAccount(address, account);
        again.unshift(...block.externals);
      }
      this.#waiting = [];
      this.#forks++;
      if (messages === 'again') {
        this.#pending.unshift(...again.map((message) => ({ message, fromSeqno: 0 })));
      }
      for (let i = 0; i < depth; i++) await this.#makeBlock();
      this.#onChange('state');
    });
  }

  /** Throws `devnet.request`. */
  async snapshot(name: string): Promise<void> {
    if (!this.#snapshots.has(name) && this.#snapshots.size >= SNAPSHOTS_MAX) {
      throw devnetError('devnet.request', 'too many snapshots');
    }
    await this.#alone(() => {
      const accounts = this.#machine.accounts();
      const waiting = [...this.#waiting, ...this.#pending.map(({ message }) => message)];
      this.#snapshots.set(name, { accounts, history: this.#history.copy(), waiting });
    });
  }

  /** The accounts and what was known then. Time, logical time and the number of blocks go on. Throws `devnet.unknown`. */
  async restore(name: string): Promise<void> {
    const found = this.#snapshots.get(name);
    if (found === undefined) throw devnetError('devnet.unknown', 'no such snapshot');
    await this.#alone(() => {
      const [seqno, timeS] = [this.headSeqno() + 1, this.timeS()];
      for (const [address] of this.#machine.accounts())
        this.#machine.setAccount(address, undefined);
      for (const [address, account] of found.accounts) this.#machine.setAccount(address, account);
      // Without its blocks: their numbers are taken.
      this.#history = History.of([], found.history.transactions);
      this.#aheadS = Math.max(this.#aheadS, timeS - this.#clockS());
      this.#pending = [];
      this.#waiting = [...found.waiting];
      this.#forks++;
      this.#pushBlock(seqno, { transactions: [], externals: [], before: new Map() });
      this.#onChange('state');
    });
  }

  async state(): Promise<ChainState> {
    return await this.#alone(() => ({
      lt: this.#machine.lt,
      seqno: this.headSeqno(),
      timeS: this.timeS(),
      accounts: this.#machine.accounts(),
      transactions: this.#history.transactions,
    }));
  }

  /** What is asked later waits: the emulator has one state. */
  #alone<T>(work: () => T | Promise<T>): Promise<T> {
    const done = this.#busy.then(work);
    this.#busy = done.catch(() => undefined);
    return done;
  }
}

/** Throws `devnet.message`. */
export function externalOf(boc: Cell): Message {
  try {
    const slice = boc.beginParse();
    const message = loadMessage(slice);
    if (message.info.type === 'external-in') return message;
  } catch (cause) {
    throw devnetError('devnet.message', 'not a message', { cause });
  }
  throw devnetError('devnet.message', 'not a message from outside');
}

function faucetMessage(
  to: Address,
  nanoton: bigint,
  { nowS, createdLt }: { readonly nowS: number; readonly createdLt: bigint },
): Message {
  const { info, body } = internal({ to, value: nanoton, bounce: false });
  if (info.type !== 'internal') throw devnetError('devnet.message');
  return {
    info: { ...info, src: FAUCET_ADDRESS, createdAt: nowS, createdLt },
    init: null,
    body,
  };
}
