/**
 * What has happened on the devnet, newest last, and not for ever: blocks with what each changed, and transactions by
 * account, by place and by message.
 * @module
 */

import type { Message, ShardAccount, Transaction } from '@ton/core';
import { sha256 } from '#primitives';
import { u64be, utf8 } from '../../../core/bytes.ts';
import { BLOCKS_KEPT, DEPTH_MAX, TRANSACTIONS_KEPT } from './limits.ts';
import { transactionShape, type TransactionShape } from './shapes.ts';

export interface StoredTransaction {
  /** Raw, such as `0:…`. */
  readonly account: string;
  readonly lt: bigint;
  /** Base64. */
  readonly hash: string;
  readonly seqno: number;
  /** Of the message that came in and of those that went out. */
  readonly messageIn: string;
  readonly messagesOut: readonly string[];
  readonly shape: TransactionShape;
}

export function storedTransaction(
  transaction: Transaction,
  account: string,
  seqno: number,
): StoredTransaction {
  const { inMessage } = transaction;
  return {
    account,
    lt: transaction.lt,
    hash: transaction.hash().toString('base64'),
    seqno,
    messageIn: inMessage === null || inMessage === undefined ? '' : keyOf(inMessage),
    messagesOut: [...transaction.outMessages.values()].map(keyOf),
    shape: transactionShape(transaction),
  };
}

/** Empty for messages that come from or leave to outside: nobody can name them so. */
function keyOf({ info }: Message): string {
  if (info.type !== 'internal') return '';
  return messageKey(info.src.toRawString(), info.dest.toRawString(), info.createdLt);
}

export function messageKey(source: string, destination: string, createdLt: bigint): string {
  return `${source} ${destination} ${createdLt}`;
}

export interface Block {
  readonly seqno: number;
  readonly timeS: number;
  readonly hash: Uint8Array;
  readonly transactions: readonly StoredTransaction[];
  /** The messages from outside that it executed, for a reorganisation that plays them again. */
  readonly externals: readonly Message[];
  /** What the accounts it touched were before. */
  readonly before: ReadonlyMap<string, ShardAccount | undefined>;
}

/** `salt` differs between two blocks of one height, so that a fork is seen as one. */
export function blockHash(
  previous: Uint8Array,
  seqno: number,
  transactions: readonly StoredTransaction[],
  salt: bigint,
): Uint8Array {
  const places = transactions.map(({ hash }) => hash).join(' ');
  return sha256(
    utf8('veilgate devnet block'),
    previous,
    u64be(BigInt(seqno)),
    u64be(salt),
    utf8(places),
  );
}

export class History {
  #blocks: Block[] = [];
  #transactions: StoredTransaction[] = [];

  static of(blocks: readonly Block[], transactions: readonly StoredTransaction[]): History {
    const history = new History();
    history.#blocks = [...blocks];
    history.#transactions = [...transactions];
    return history;
  }

  copy(): History {
    return History.of(this.#blocks, this.#transactions);
  }

  get transactions(): readonly StoredTransaction[] {
    return this.#transactions;
  }

  push(block: Block): void {
    this.#blocks.push(block);
    this.#transactions.push(...block.transactions);
    // In larger steps, so that no block pays for moving everything.
    if (this.#blocks.length > BLOCKS_KEPT + DEPTH_MAX) {
      this.#blocks = this.#blocks.slice(-BLOCKS_KEPT);
    }
    const deep = this.#blocks.at(-DEPTH_MAX - 1);
    if (deep !== undefined && (deep.before.size > 0 || deep.externals.length > 0)) {
      this.#blocks[this.#blocks.length - DEPTH_MAX - 1] = {
        ...deep,
        before: new Map(),
        externals: [],
      };
    }
    if (this.#transactions.length > TRANSACTIONS_KEPT * 1.1) {
      this.#transactions = this.#transactions.slice(-TRANSACTIONS_KEPT);
    }
  }

  pop(): Block | undefined {
    const block = this.#blocks.pop();
    if (block === undefined) return undefined;
    const kept = this.#transactions.length - block.transactions.length;
    this.#transactions.length = Math.max(0, kept);
    return block;
  }

  head(): Block | undefined {
    return this.#blocks.at(-1);
  }

  block(seqno: number): Block | undefined {
    const first = this.#blocks[0]?.seqno ?? 0;
    return this.#blocks[seqno - first];
  }

  /** Newest first. */
  newest(count: number): readonly Block[] {
    return count === 0 ? [] : this.#blocks.slice(-count).reverse();
  }

  /** Newest first, from `from` on, which is among them. */
  ofAccount(
    account: string,
    page: {
      readonly limit: number;
      readonly seqnoMax: number;
      readonly from?: { readonly lt: bigint; readonly hash?: string };
      readonly afterLt?: bigint;
    },
  ): readonly StoredTransaction[] {
    const out: StoredTransaction[] = [];
    let found = page.from === undefined;
    for (let at = this.#transactions.length - 1; at >= 0 && out.length < page.limit; at--) {
      const transaction = this.#transactions[at];
      if (transaction === undefined || transaction.account !== account) continue;
      if (transaction.seqno > page.seqnoMax) continue;
      if (page.afterLt !== undefined && transaction.lt <= page.afterLt) break;
      found ||=
        transaction.lt === page.from?.lt &&
        (page.from.hash === undefined || page.from.hash === transaction.hash);
      if (found) out.push(transaction);
    }
    return out;
  }

  byMessageIn(key: string): StoredTransaction | undefined {
    return this.#transactions.findLast(({ messageIn }) => messageIn === key);
  }

  byMessageOut(key: string): StoredTransaction | undefined {
    return this.#transactions.findLast(({ messagesOut }) => messagesOut.includes(key));
  }
}
