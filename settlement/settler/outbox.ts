/**
 * What our wallet is told, once. An order is durable before it is sent, sent again and again as the same bytes, and ends
 * only by what the wallet's own transactions say: paid, failed, or provably out of time. One is on its way at once, so a
 * number that the wallet forgets is never the one that is waited for. Spec: ton-settlement §4.7, §4.11 (2); L8.
 * @module
 */

import { VeilError } from '../../core/errors.ts';
import type { Payout } from '../ledger/ledger.ts';
import type { Bytes } from '../../core/bytes.ts';
import { NOTHING, type Amount } from '../money.ts';
import type { SignedOrder, TreasuryOrder, TreasuryState } from '../ton/treasury.ts';
import type { WalletStep } from '../ton/wallet/highload.ts';
import { rawAddress, type Transfer } from '../ton/wallet/transfer.ts';
import { orderKey, type OrderKind, type OrderNote } from './notes.ts';
import type { SettlerParts } from './parts.ts';
import { selectPayees } from './payouts.ts';
import { ORDER_CLOCK_MARGIN_S, ORDER_FEE, ORDER_GRACE_S, ORDERS_MAX, PAID_FEE } from './policy.ts';

const MS_PER_S = 1000;

interface Wanted {
  readonly transfer: Transfer;
  readonly leaves: Amount;
}

export class Outbox {
  readonly #parts: SettlerParts;
  #order: OrderNote | undefined;
  /** Duties say each round what should be paid, by a name; what is paid they do not say again. */
  readonly #wanted = new Map<string, Wanted>();
  /** Names in orders that are over, with when that was: durable, or a restart would pay again what the chain is slow to show. */
  readonly #endedMs = new Map<string, number>();
  #isHalted = false;
  /** Of the order before. */
  #lastKind: OrderKind | undefined;

  constructor(parts: SettlerParts) {
    this.#parts = parts;
  }

  async load(): Promise<void> {
    const { notes } = this.#parts;
    for await (const [, order] of notes.orders.list()) this.#order = order;
    for await (const [, { names, atMs }] of notes.ended.list()) {
      for (const name of names) this.#endedMs.set(name, atMs);
    }
  }

  /** Our wallet did what this ledger does not explain: until somebody has looked, it pays nobody. */
  get isHalted(): boolean {
    return this.#isHalted;
  }

  get order(): OrderNote | undefined {
    return this.#order;
  }

  /**
   * Asked again each round until the chain shows it. Lately paid, it is left alone until the chain had time to show it. What
   * would leave less than `leaves` in the treasury waits, and nobody is told.
   */
  want(name: string, transfer: Transfer, leaves: Amount = NOTHING): void {
    const endedMs = this.#endedMs.get(name);
    const { now, policy } = this.#parts;
    if (endedMs !== undefined && now() - endedMs < policy.settleMs) return;
    if (this.#order?.names.includes(name) === true || this.#wanted.size >= ORDERS_MAX) return;
    this.#wanted.set(name, { transfer, leaves });
  }

  /** What a transaction of the wallet says about an order; durable when it returns. */
  async note(step: WalletStep, lt: bigint): Promise<void> {
    const order = this.#order;
    const isOurs = order !== undefined && (await this.#isOf(order, step));
    if (!isOurs) {
      this.#isHalted = true;
      this.#parts.emit('settler.foreign_order', { lt });
      return;
    }
    const fate = fateOf(step);
    if (order.fate === 'paid' || (order.fate === 'failed' && fate === 'accepted')) return;
    this.#order = { ...order, fate };
    await this.#parts.notes.orders.save(orderKey(order.createdAtS), this.#order);
  }

  async #isOf(order: OrderNote, step: WalletStep): Promise<boolean> {
    if (step.step !== 'executed') {
      const queryId = this.#parts.treasury.queryIdOf(order.createdAtS);
      return step.queryId === queryId && step.createdAtS === order.createdAtS;
    }
    return (await this.#signed(order))?.orderHash === step.orderHash;
  }

  /** After the wallet's transactions up to `state` were noted. */
  async advance(state: TreasuryState): Promise<void> {
    if (this.#order !== undefined) await this.#resolve(this.#order, state);
    if (this.#order === undefined) await this.#begin(state);
    if (this.#order?.fate === 'none') await this.#send(this.#order);
  }

  async #resolve(order: OrderNote, { timeS }: TreasuryState): Promise<void> {
    const { treasury, emit } = this.#parts;
    const { createdAtS, kind, fate } = order;
    if (fate === 'accepted') return;
    if (fate === 'paid') {
      if (kind === 'payouts') await this.#confirm(order, timeS);
      emit('settler.order_paid', { order: createdAtS, kind });
      return await this.#end(order);
    }
    const isOver = timeS > treasury.expiresAtS(createdAtS) + ORDER_GRACE_S;
    // A plan stays one until its message cannot be carried out any more, whatever we believe about it.
    if (!isOver && !(fate === 'failed' && kind === 'transfers')) return;
    if (kind === 'payouts' && !(await this.#expire(order, timeS))) return;
    emit('settler.order_failed', {
      order: createdAtS,
      kind,
      why: fate === 'none' ? 'expired' : fate,
    });
    await this.#end(order);
  }

  async #confirm({ createdAtS }: OrderNote, timeS: number): Promise<void> {
    const { ledger, emit } = this.#parts;
    const answer = await ledger.confirmPayout(BigInt(createdAtS), timeS * MS_PER_S);
    if (answer.outcome === 'confirmed') {
      emit('settler.payouts_paid', { order: createdAtS, late: answer.late });
    }
  }

  async #expire({ createdAtS }: OrderNote, timeS: number): Promise<boolean> {
    const answer = await this.#parts.ledger.expirePayout(BigInt(createdAtS), timeS * MS_PER_S);
    return answer.outcome === 'expired' || answer.code !== 'payout_pending';
  }

  async #end({ createdAtS, names, kind }: OrderNote): Promise<void> {
    const { notes, now } = this.#parts;
    const atMs = now();
    if (names.length > 0) await notes.ended.save(orderKey(createdAtS), { names, atMs });
    for (const name of names) this.#endedMs.set(name, atMs);
    await notes.orders.drop(orderKey(createdAtS));
    this.#order = undefined;
    this.#lastKind = kind;
    await this.#forgetEnded();
  }

  async #forgetEnded(): Promise<void> {
    const { notes, now, policy } = this.#parts;
    const old: Bytes<32>[] = [];
    for await (const [key, { atMs }] of notes.ended.list()) {
      if (now() - atMs >= policy.settleMs) old.push(key);
    }
    for (const key of old) await notes.ended.drop(key);
    for (const [name, atMs] of this.#endedMs) {
      if (now() - atMs >= policy.settleMs) this.#endedMs.delete(name);
    }
  }

  async #begin(state: TreasuryState): Promise<void> {
    const { progress } = this.#parts;
    if (this.#isHalted) return;
    const createdAtS = Math.max(
      state.timeS - ORDER_CLOCK_MARGIN_S,
      (progress.now?.orderS ?? 0) + 1,
    );
    if (createdAtS > state.timeS) return;
    const wallet = state.isDeployed ? 'deployed' : 'new';
    const order = { createdAtS, wallet, transfers: [], names: [], fate: 'none' } as const;
    // In turn: strangers can have transfers wanted without end, and workers are paid all the same.
    const isPayoutsTurn = this.#lastKind === 'transfers';
    if (isPayoutsTurn) await this.#beginPayouts(order, state);
    if (this.#order === undefined) await this.#beginTransfers(order, state);
    if (this.#order === undefined && !isPayoutsTurn) await this.#beginPayouts(order, state);
  }

  async #beginTransfers(order: Omit<OrderNote, 'kind'>, state: TreasuryState): Promise<void> {
    const names: string[] = [];
    const transfers: Transfer[] = [];
    let left = state.balance - ORDER_FEE;
    let needed = 0n;
    for (const [name, { transfer, leaves }] of this.#wanted) {
      const cost = transfer.nanoton + PAID_FEE;
      if (cost + leaves > left) {
        if (leaves === 0n) needed += transfer.nanoton;
        continue;
      }
      left -= cost;
      names.push(name);
      transfers.push(transfer);
      if (names.length >= TRANSFERS_MAX) break;
    }
    this.#wanted.clear();
    if (names.length > 0) await this.#keep({ ...order, kind: 'transfers', names, transfers });
    else if (needed > 0n) {
      this.#parts.emit('settler.treasury_low', { needed, balance: state.balance });
    }
  }

  async #beginPayouts(order: Omit<OrderNote, 'kind'>, state: TreasuryState): Promise<void> {
    const { ledger, treasury, emit, progress, now } = this.#parts;
    const selected = await selectPayees(this.#parts, state.balance - ORDER_FEE);
    try {
      if (selected.payees.length > 0) {
        await this.#keep({ ...order, kind: 'payouts' });
        const { createdAtS } = order;
        await ledger.planPayouts({
          queryId: BigInt(createdAtS),
          asset: 'TON',
          payees: selected.payees,
          minimum: selected.minimum,
          validUntilMs: treasury.expiresAtS(createdAtS) * MS_PER_S,
        });
        emit('settler.payouts_planned', { order: createdAtS, workers: selected.payees.length });
      }
    } finally {
      selected.release();
    }
    if (selected.isSweepDone) await progress.save({ sweptMs: now() });
  }

  async #keep(order: OrderNote): Promise<void> {
    const { notes, progress } = this.#parts;
    await progress.save({ orderS: order.createdAtS });
    await notes.orders.save(orderKey(order.createdAtS), order);
    this.#order = order;
  }

  async #send(order: OrderNote): Promise<void> {
    const { chain, emit, signal } = this.#parts;
    const signed = await this.#signed(order);
    // Nothing was planned before the crash, or nobody is owed what was thought.
    if (signed === undefined) return await this.#end(order);
    try {
      await chain.send(signed.message, { signal });
      emit('settler.order_sent', { order: order.createdAtS, kind: order.kind });
    } catch (error) {
      // It may be there already, or the wallet may be empty: its transactions tell.
      if (!(error instanceof VeilError) || error.code !== 'ton.not_accepted') throw error;
    }
  }

  /** The same every time. Undefined for an order of nothing. */
  async #signed(order: OrderNote): Promise<SignedOrder | undefined> {
    const transfers = order.kind === 'payouts' ? await this.#planned(order) : order.transfers;
    if (transfers.length === 0) return undefined;
    const { createdAtS, wallet } = order;
    const whole: TreasuryOrder = { createdAtS, wallet, transfers };
    return this.#parts.treasury.sign(whole);
  }

  /** Planning nobody under a number that is taken tells what was planned under it, in one order. */
  async #planned({ createdAtS }: OrderNote): Promise<readonly Transfer[]> {
    const { payouts } = await this.#parts.ledger.planPayouts({
      queryId: BigInt(createdAtS),
      asset: 'TON',
      payees: [],
      minimum: NOTHING,
      validUntilMs: 0,
    });
    return payouts.map(payment);
  }
}

/** With the code of a contract in each, a note of the ledger holds eighty. */
const TRANSFERS_MAX = 50;

function payment({ destination, amount: nanoton }: Payout): Transfer {
  return { to: rawAddress(destination) ?? destination, nanoton, body: null, init: null };
}

function fateOf(step: WalletStep): OrderNote['fate'] {
  if (step.step === 'executed') return step.isPaid ? 'paid' : 'failed';
  return step.step === 'accepted' ? 'accepted' : 'failed';
}
