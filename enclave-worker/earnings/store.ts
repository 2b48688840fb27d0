/**
 * What a worker remembers of its money: what each receipt was worth, what the gateway has acknowledged, and the best
 * voucher of each channel. No content, and nothing about who paid. Implementation: sqlite.ts. Spec: ton-settlement §4.7.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { Asset } from '../../settlement/money.ts';
import type { ChannelTerms } from '../../settlement/channel-terms.ts';

/** Whose money with whom: sums of different gateways or owners are never mixed. */
export interface BookName {
  /** `gw1.…`. */
  readonly gateway: string;
  readonly workerId: Bytes<32>;
  readonly asset: Asset;
}

/** One receipt that the worker has signed. */
export interface EarnedReceipt {
  readonly atMs: number;
  readonly model: string;
  readonly statementHash: Bytes<32>;
  readonly workerSeq: bigint;
  /** Prompt, cached included. */
  readonly inputTokens: number;
  /** Completion, reasoning included. */
  readonly outputTokens: number;
  readonly amount: bigint;
  /** Without the gateway's fee. */
  readonly part: bigint;
}

/** What the newest notice said. */
export interface Acknowledged {
  readonly statementHash: Bytes<32>;
  readonly workerSeq: bigint;
  readonly earned: bigint;
  readonly paid: bigint;
  readonly atMs: number;
}

export interface KeptVoucher {
  readonly channel: Bytes<32>;
  readonly terms: ChannelTerms;
  readonly epoch: number;
  readonly ceiling: bigint;
  /** As sent, 115 bytes. */
  readonly voucher: Bytes<115>;
}

export interface BookSums {
  /** Parts of all receipts in this book. */
  readonly issued: bigint;
  /** What the gateway had counted before this book began; undefined until its first notice. */
  readonly before: bigint | undefined;
  readonly acknowledged: Acknowledged | undefined;
}

export interface Notice {
  readonly acknowledged: Acknowledged;
  readonly before: bigint;
  readonly voucher: KeptVoucher | undefined;
}

/** Every write is there, whatever becomes of the process, once the call returns. */
export interface EarningsStore {
  sums(book: BookName): BookSums;
  addReceipt(book: BookName, receipt: EarnedReceipt): void;
  /** In one step. */
  addNotice(book: BookName, notice: Notice): void;
  /** The best of each channel and epoch; the newest channel last. */
  vouchers(book: BookName): readonly KeptVoucher[];
  close(): void;
}

export interface DaySum {
  /** Of UTC, counted from 1970. */
  readonly day: number;
  readonly model: string;
  readonly requests: bigint;
  readonly inputTokens: bigint;
  readonly outputTokens: bigint;
  readonly amount: bigint;
  readonly part: bigint;
}

/** One book as a reader sees it. */
export interface BookReport {
  readonly book: BookName;
  readonly sums: BookSums;
  readonly vouchers: readonly KeptVoucher[];
  /** Oldest first. */
  readonly days: readonly DaySum[];
}
