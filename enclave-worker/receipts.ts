/**
 * Receipts for a gateway that lost the stream that carried one, or that stopped between a receipt and its settlement:
 * until they are acknowledged, and a quarter of an hour in any case. Bounded: under a flood the oldest goes first.
 * Spec: P§15.1; gateways-and-e2ee §7.6; ton-settlement §4.7.
 * @module
 */

import { concat, toHex } from '../core/bytes.ts';
import type { SignedReceipt } from '../protocol/receipt.ts';
import {
  RECEIPT_KEEP_MS,
  RECEIPTS_MAX,
  RECEIPTS_PAGE,
  STATEMENTS_REMEMBERED_MAX,
} from './limits.ts';

interface Kept {
  readonly signed: SignedReceipt;
  readonly keptMs: number;
}

/** Of one `keys.sig`. */
interface Chain {
  issued: bigint;
  acknowledged: bigint;
  /** By workerSeq, which rises. */
  readonly kept: Map<bigint, Kept>;
}

export class ReceiptStore {
  readonly #maxEntries: number;
  /** Oldest first. */
  readonly #byId = new Map<string, Kept>();
  /** By statement, in hex; oldest first. What was acknowledged is remembered longer than the receipts. */
  readonly #chains = new Map<string, Chain>();

  constructor(maxEntries = RECEIPTS_MAX) {
    this.#maxEntries = maxEntries;
  }

  keep(signed: SignedReceipt, nowMs: number): void {
    const { receipt } = signed;
    const kept = { signed, keptMs: nowMs };
    this.#forget(nowMs);
    this.#byId.set(toHex(receipt.requestId), kept);
    const chain = this.#chainOf(toHex(receipt.statementHash));
    chain.kept.set(receipt.workerSeq, kept);
    if (receipt.workerSeq > chain.issued) chain.issued = receipt.workerSeq;
  }

  /** signature ‖ VGR1, as in frame 0x10. */
  get(msgIdHex: string, nowMs: number): Uint8Array | undefined {
    const kept = this.#byId.get(msgIdHex);
    return kept === undefined || this.#isOver(kept, nowMs) ? undefined : kept.signed.payload;
  }

  /** One page of payloads, in the order of workerSeq. Empty: there are no more. */
  after(statementHex: string, afterSeq: bigint): Uint8Array {
    const page: Uint8Array[] = [];
    for (const [seq, { signed }] of this.#chains.get(statementHex)?.kept ?? []) {
      if (seq > afterSeq) page.push(signed.payload);
      if (page.length === RECEIPTS_PAGE) break;
    }
    return concat(...page);
  }

  /** Undefined for a statement that has signed nothing, or that was too long ago. */
  standing(
    statementHex: string,
  ): { readonly issued: bigint; readonly acknowledged: bigint } | undefined {
    return this.#chains.get(statementHex);
  }

  acknowledge(statementHex: string, seq: bigint): void {
    const chain = this.#chains.get(statementHex);
    if (chain !== undefined && seq > chain.acknowledged) chain.acknowledged = seq;
  }

  unacknowledged(): readonly SignedReceipt[] {
    return [...this.#chains.values()].flatMap(({ kept, acknowledged }) =>
      [...kept].flatMap(([seq, { signed }]) => (seq > acknowledged ? [signed] : [])),
    );
  }

  #chainOf(statementHex: string): Chain {
    const known = this.#chains.get(statementHex);
    if (known !== undefined) return known;
    const chain: Chain = { issued: 0n, acknowledged: 0n, kept: new Map() };
    this.#chains.set(statementHex, chain);
    for (const [oldest, { kept }] of this.#chains) {
      if (this.#chains.size <= STATEMENTS_REMEMBERED_MAX) break;
      for (const { signed } of kept.values()) this.#byId.delete(toHex(signed.receipt.requestId));
      this.#chains.delete(oldest);
    }
    return chain;
  }

  #isOver({ signed, keptMs }: Kept, nowMs: number): boolean {
    if (nowMs < keptMs + RECEIPT_KEEP_MS) return false;
    const { statementHash, workerSeq } = signed.receipt;
    return workerSeq <= (this.#chains.get(toHex(statementHash))?.acknowledged ?? 0n);
  }

  #forget(nowMs: number): void {
    for (const [id, kept] of this.#byId) {
      if (this.#byId.size < this.#maxEntries && !this.#isOver(kept, nowMs)) return;
      this.#byId.delete(id);
      const { statementHash, workerSeq } = kept.signed.receipt;
      this.#chains.get(toHex(statementHash))?.kept.delete(workerSeq);
    }
  }
}
