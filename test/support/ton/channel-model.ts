/**
 * The model of a channel in plain numbers beside the channel itself, written from the rules and not from the contract.
 * @module
 */

import assert from 'node:assert/strict';
import { Cell } from '@ton/core';
import { CHANNEL_EXIT } from '../../../settlement/ton/contracts/exit-codes.ts';
import {
  cancelWithdrawBody,
  CHANNEL_FEES,
  claimBody,
  claimExternalBody,
  EPOCH_RETIRED,
  finalizeExternalBody,
  finalizeWithdrawBody,
  requestWithdrawBody,
  WITHDRAW_WINDOW_S,
} from '../../../settlement/ton/contracts/pay-channel.ts';
import { Chain, type Outcome } from './chain.ts';
import {
  ChannelLab,
  DELAY_S,
  PAYEE,
  PAYER,
  PAYER_SEED,
  STRANGER,
  STRANGER_SEED,
  TON,
} from './channel-lab.ts';

type Way = 'internal' | 'external';
type Flaw = 'none' | 'voucher' | 'charge' | 'ceiling' | 'salt';

export type Step =
  | { kind: 'deposit'; value: bigint }
  | {
      kind: 'claim';
      way: Way;
      more: bigint;
      slack: bigint;
      isFinal: boolean;
      epochSkew: number;
      flaw: Flaw;
    }
  | { kind: 'replay'; pick: number }
  | {
      kind: 'withdraw';
      way: Way;
      amount: bigint;
      epochSkew: number;
      ahead: number;
      by: 'payer' | 'stranger';
    }
  | { kind: 'cancel'; by: 'payer' | 'stranger' }
  | { kind: 'finalize'; way: Way }
  | { kind: 'donate'; value: bigint }
  | { kind: 'bounced'; value: bigint }
  | { kind: 'pass'; seconds: number };

interface Numbers {
  status: 'idle' | 'open' | 'closing';
  epoch: number;
  deposited: bigint;
  claimed: bigint;
  refunded: bigint;
  withdrawing: bigint;
  unlockAt: number;
}

/** What can be sent again: everything that was ever signed, and how it came. */
interface Sent {
  readonly way: Way;
  readonly body: Cell;
}

const ATTACHED = TON / 5n;
const EXTERNAL_FEES_MAX = 10_000_000n;

export async function channelWorld(): Promise<ChannelWorld> {
  const chain = await Chain.create();
  const lab = await ChannelLab.create({}, chain);
  const other = await ChannelLab.create({ salt: 8n }, chain);
  await other.deposit(2n * TON);
  const world = new ChannelWorld(lab, other);
  await world.take({ kind: 'deposit', value: 2n * TON });
  return world;
}

export class ChannelWorld {
  readonly #lab: ChannelLab;
  /** The same terms but for the salt: nothing that it signs may count. */
  readonly #other: ChannelLab;
  readonly #sent: Sent[] = [];
  #model: Numbers = {
    status: 'idle',
    epoch: 0,
    deposited: 0n,
    claimed: 0n,
    refunded: 0n,
    withdrawing: 0n,
    unlockAt: 0,
  };
  /** The most that was ever signed, by whom it binds; whether it was sent or not. */
  #promised = 0n;
  #charged = 0n;

  constructor(lab: ChannelLab, other: ChannelLab) {
    this.#lab = lab;
    this.#other = other;
  }

  /** Takes the step in both, compares, and says what it came to. */
  async take(step: Step): Promise<string> {
    const before = { ...this.#model };
    const balanceBefore = await this.#lab.balance();
    const expected = await this.#expect(step);
    if (expected.outcome !== undefined) {
      const { exitCode, actionCode, skippedActions } = expected.outcome;
      assert.equal(exitCode, expected.code, `${step.kind} ${JSON.stringify(step, text)}`);
      assert.deepEqual([actionCode, skippedActions], [0, 0], 'nothing fails after the rules'); // I9
      if (expected.way === 'external' && exitCode !== 0) {
        assert.equal(await this.#lab.balance(), balanceBefore, 'a refused external costs nothing');
      }
      if (exitCode === 0) await this.#checkMoney(expected.outcome, before, balanceBefore);
    }
    if (expected.code !== 0) this.#model = before;
    await this.#check(before);
    return `${step.kind} ${expected.code}`;
  }

  /** I5: whatever happened, the payer has everything back after one delay, without anybody's help. */
  async payerLeaves(): Promise<void> {
    const model = this.#model;
    if (model.status === 'idle') return;
    if (model.status === 'open') await this.#must(this.#lab.requestWithdraw());
    this.#lab.chain.pass(DELAY_S + WITHDRAW_WINDOW_S);
    await this.#must(this.#lab.send(finalizeWithdrawBody(1n), PAYER));
    const { status } = await this.#lab.state();
    if (status === 'idle') return;
    await this.#must(this.#lab.requestWithdraw());
    this.#lab.chain.pass(DELAY_S + WITHDRAW_WINDOW_S);
    await this.#must(this.#lab.send(finalizeWithdrawBody(1n), PAYER));
    assert.equal((await this.#lab.state()).status, 'idle');
  }

  /** I6: with both signatures in hand the payee has everything, at any time before it unlocks. */
  async payeeCollects(): Promise<void> {
    const { status, unlockAt, claimed, epoch } = this.#model;
    const { now } = this.#lab.chain;
    const available = this.#available();
    if (status === 'idle' || available === 0n) return;
    if (status === 'closing' && now >= unlockAt) return;
    if (status === 'closing') this.#lab.chain.pass(unlockAt - 1 - now);
    const charged = claimed + available;
    const before = await this.#lab.chain.balance(PAYEE);
    const claim = claimBody(this.#lab.signed({ charged, epoch }), 1n);
    await this.#must(this.#lab.send(claim, STRANGER, ATTACHED));
    const got = (await this.#lab.chain.balance(PAYEE)) - before;
    assert.ok(got + EXTERNAL_FEES_MAX >= available, `I6: ${got} of ${available}`);
    this.#model.claimed = charged;
  }

  /** I10: every coin that came in is in an account of somebody, or was a fee. */
  async conserved(): Promise<void> {
    const { chain, address } = this.#lab;
    const accounts = [address, this.#other.address, PAYER, PAYEE, STRANGER];
    const held = await Promise.all(accounts.map((account) => chain.balance(account)));
    const total = held.reduce((sum, balance) => sum + balance, 0n);
    assert.equal(total, chain.circulating, 'I10');
  }

  async #must(outcome: Promise<Outcome>): Promise<void> {
    assert.equal((await outcome).exitCode, 0);
  }

  #available(): bigint {
    const { deposited, claimed, refunded } = this.#model;
    return deposited - claimed - refunded;
  }

  async #expect(
    step: Step,
  ): Promise<{ readonly outcome?: Outcome; readonly code: number; readonly way?: Way }> {
    switch (step.kind) {
      case 'pass':
        this.#lab.chain.pass(step.seconds);
        return { code: 0 };
      case 'deposit':
        return await this.#deposit(step.value);
      case 'claim':
        return await this.#claim(step);
      case 'replay':
        return await this.#replay(step.pick);
      case 'withdraw':
        return await this.#withdraw(step);
      case 'cancel':
        return await this.#cancel(step.by);
      case 'finalize':
        return await this.#finalize(step.way);
      case 'donate':
        return { outcome: await this.#stranger(Cell.EMPTY, step.value), code: CHANNEL_EXIT.sender };
      case 'bounced':
        break;
    }
    return await this.#bounced(step.value);
  }

  /** Nothing that bounces back is an operation. */
  async #bounced(value: bigint) {
    const message = { from: PAYER, to: this.#lab.address, body: requestWithdrawBody(0n, 1n) };
    await this.#lab.chain.send({ ...message, bounced: true, value: value + TON / 50n });
    return { code: 0 };
  }

  async #stranger(body: Cell, value: bigint): Promise<Outcome> {
    return await this.#lab.send(body, STRANGER, value + TON / 50n);
  }

  async #deposit(wish: bigint) {
    const value = wish + 5_000_000n; // enough gas to be heard
    const { rent, depositFee, minDeposit } = CHANNEL_FEES;
    const balance = await this.#lab.balance();
    const outcome = await this.#lab.deposit(value, STRANGER);
    // What storage costs until now is the sandbox's own figure: read it off what the account had left.
    const state = await this.#lab.state().catch(() => undefined);
    const beyond = balance + value - rent - this.#available();
    const most = (beyond < value ? beyond : value) - depositFee;
    if (outcome.exitCode !== 0) {
      assert.ok(most < minDeposit + 1_000_000n, 'refused only when it is too little');
      return { outcome, code: CHANNEL_EXIT.value };
    }
    const credited = (state?.deposited ?? 0n) - this.#model.deposited;
    assert.ok(
      credited >= minDeposit && credited <= value - depositFee,
      'credited at most its value',
    );
    this.#model.deposited += credited;
    if (this.#model.status === 'idle') this.#model.status = 'open';
    return { outcome, code: 0 };
  }

  async #claim(step: Extract<Step, { kind: 'claim' }>) {
    const model = this.#model;
    const charged = model.claimed + step.more;
    const ceiling = step.flaw === 'ceiling' ? charged - 1n : charged + step.slack;
    if (ceiling < 0n) return { code: 0 };
    const epoch = Math.max(0, model.epoch + step.epochSkew);
    const ends = step.isFinal ? 'final' : 'open';
    const wish = { charged, ceiling, epoch, ends } as const;
    const signer = step.flaw === 'salt' ? this.#other : this.#lab;
    let signed = signer.signed(wish);
    const strange = this.#lab.signed({ ...wish, ceiling: ceiling + 1n, charged: charged + 1n });
    if (step.flaw === 'voucher') {
      signed = { ...signed, voucherSignature: strange.voucherSignature };
    }
    if (step.flaw === 'charge' && strange.chargeSignature !== undefined) {
      signed = { ...signed, chargeSignature: strange.chargeSignature };
    }
    const body = step.way === 'internal' ? claimBody(signed, 1n) : claimExternalBody(signed);
    const expected = this.#claimCode(step, { charged, ceiling, epoch });
    if (step.flaw !== 'salt') {
      this.#promised = most(this.#promised, step.flaw === 'voucher' ? ceiling + 1n : ceiling);
      this.#charged = most(this.#charged, step.flaw === 'charge' ? charged + 1n : charged);
    }
    if (step.flaw === 'none') this.#sent.push({ way: step.way, body });
    const outcome = await this.#send({ way: step.way, body });
    const code = this.#covered(outcome, expected, step.way);
    if (code === 0) this.#applyClaim(charged, step.isFinal);
    return { outcome, code, way: step.way };
  }

  #claimCode(
    step: Extract<Step, { kind: 'claim' }>,
    { charged, ceiling, epoch }: { charged: bigint; ceiling: bigint; epoch: number },
  ): number {
    const model = this.#model;
    if (model.status === 'idle') return CHANNEL_EXIT.status;
    if (epoch !== model.epoch) return CHANNEL_EXIT.epoch;
    if (charged > ceiling) return CHANNEL_EXIT.ceiling;
    if (step.more === 0n && !step.isFinal) return CHANNEL_EXIT.stale;
    if (step.more > this.#available()) return CHANNEL_EXIT.available;
    if (step.flaw === 'voucher' || step.flaw === 'salt') return CHANNEL_EXIT.payerSignature;
    if (step.flaw === 'charge') return CHANNEL_EXIT.chargeSignature;
    if (step.way === 'external' && step.more < CHANNEL_FEES.minExternal) return CHANNEL_EXIT.dust;
    return 0;
  }

  #applyClaim(charged: bigint, isFinal: boolean): void {
    const model = this.#model;
    model.claimed = charged;
    if (!isFinal) return;
    model.refunded += this.#available();
    this.#becomeIdle();
  }

  #becomeIdle(): void {
    this.#model = { ...this.#model, status: 'idle', withdrawing: 0n, epoch: this.#model.epoch + 1 };
    assert.ok(this.#model.epoch < EPOCH_RETIRED);
  }

  /** From outside, rent that storage has eaten may make a small one refused; nothing else may. */
  #covered(outcome: Outcome, expected: number, way: Way): number {
    if (expected !== 0 || way === 'internal') return expected;
    return outcome.exitCode === CHANNEL_EXIT.cover ? CHANNEL_EXIT.cover : 0;
  }

  /** I4: of all that was ever sent, nothing counts again; a message of this epoch that never counted still may. */
  async #replay(pick: number) {
    const message = this.#sent[pick % Math.max(1, this.#sent.length)];
    if (message === undefined) return { code: 0 };
    const state = await this.#lab.state();
    const outcome = await this.#send(message);
    if (outcome.exitCode !== 0) return { outcome, code: outcome.exitCode, way: message.way };
    const after = await this.#lab.state();
    assert.ok(after.claimed > state.claimed || after.refunded > state.refunded, 'it was new');
    this.#model = { ...after };
    return { outcome, code: 0, way: message.way };
  }

  async #send({ way, body }: Sent): Promise<Outcome> {
    if (way === 'external') return await this.#lab.external(body);
    return await this.#lab.send(body, STRANGER, ATTACHED);
  }

  async #withdraw(step: Extract<Step, { kind: 'withdraw' }>) {
    const model = this.#model;
    const now = this.#lab.chain.now;
    const amount = step.amount === 0n ? this.#available() : step.amount;
    if (step.way === 'internal') {
      const from = step.by === 'payer' ? PAYER : STRANGER;
      const outcome = await this.#lab.send(requestWithdrawBody(step.amount, 1n), from, ATTACHED);
      const code = step.by === 'payer' ? this.#withdrawCode(amount) : CHANNEL_EXIT.sender;
      if (code === 0) this.#close(amount, Math.max(model.unlockAt, now + DELAY_S));
      return { outcome, code, way: step.way };
    }
    const validUntil = now + step.ahead;
    const epoch = Math.max(0, model.epoch + step.epochSkew);
    const signer = step.by === 'payer' ? PAYER_SEED : STRANGER_SEED;
    const body = this.#lab.signedWithdraw(step.amount, validUntil, epoch, signer);
    const outcome = await this.#lab.external(body);
    const expected = this.#signedWithdrawCode({ step, epoch, validUntil, amount });
    const code = this.#covered(outcome, expected, step.way);
    if (code === 0) this.#close(amount, validUntil + DELAY_S);
    return { outcome, code, way: step.way };
  }

  #withdrawCode(amount: bigint): number {
    if (this.#model.status !== 'open') return CHANNEL_EXIT.status;
    return amount > this.#available() ? CHANNEL_EXIT.available : 0;
  }

  #signedWithdrawCode(wish: {
    readonly step: Extract<Step, { kind: 'withdraw' }>;
    readonly epoch: number;
    readonly validUntil: number;
    readonly amount: bigint;
  }): number {
    const { step, epoch, validUntil, amount } = wish;
    if (epoch !== this.#model.epoch) return CHANNEL_EXIT.epoch;
    const isWithin = step.ahead >= 0 && step.ahead <= WITHDRAW_WINDOW_S;
    if (!isWithin || validUntil + DELAY_S <= this.#model.unlockAt) return CHANNEL_EXIT.window;
    if (step.by === 'stranger') return CHANNEL_EXIT.payerSignature;
    const code = this.#withdrawCode(amount);
    return code === 0 && amount < CHANNEL_FEES.minExternal ? CHANNEL_EXIT.dust : code;
  }

  #close(amount: bigint, unlockAt: number): void {
    this.#model = { ...this.#model, status: 'closing', withdrawing: amount, unlockAt };
  }

  async #cancel(by: 'payer' | 'stranger') {
    const from = by === 'payer' ? PAYER : STRANGER;
    const outcome = await this.#lab.send(cancelWithdrawBody(1n), from, ATTACHED);
    const { status } = this.#model;
    const code =
      by === 'payer' ? (status === 'closing' ? 0 : CHANNEL_EXIT.status) : CHANNEL_EXIT.sender;
    if (code === 0) this.#model = { ...this.#model, status: 'open', withdrawing: 0n };
    return { outcome, code };
  }

  async #finalize(way: Way) {
    const { status, unlockAt, withdrawing } = this.#model;
    const available = this.#available();
    const amount = withdrawing < available ? withdrawing : available;
    const body = way === 'internal' ? finalizeWithdrawBody(1n) : finalizeExternalBody();
    const outcome = await this.#send({ way, body });
    let expected = 0;
    if (way === 'external' && amount < CHANNEL_FEES.minExternal) expected = CHANNEL_EXIT.dust;
    if (this.#lab.chain.now < unlockAt) expected = CHANNEL_EXIT.locked;
    if (status !== 'closing') expected = CHANNEL_EXIT.status;
    const code = this.#covered(outcome, expected, way);
    if (code !== 0) return { outcome, code, way };
    this.#model.refunded += amount;
    this.#model = { ...this.#model, status: 'open', withdrawing: 0n };
    if (this.#available() === 0n) this.#becomeIdle();
    return { outcome, code, way };
  }

  /** I10: what the counters say went out did go out: in full by message, less fees and missing rent from outside. */
  async #checkMoney(outcome: Outcome, before: Numbers, balanceBefore: bigint): Promise<void> {
    const { claimed, refunded } = await this.#lab.state();
    const held = CHANNEL_FEES.rent + before.deposited - before.claimed - before.refunded;
    const isExternal = outcome.isExternal;
    const missing = isExternal ? EXTERNAL_FEES_MAX + positive(held - balanceBefore) : 0n;
    const got = (party: typeof PAYER) =>
      outcome.sent.reduce((sum, { to, value }) => (to.equals(party) ? sum + value : sum), 0n);
    assert.ok(got(PAYEE) + missing >= claimed - before.claimed, 'the payee got what it claimed');
    assert.ok(got(PAYER) + missing >= refunded - before.refunded, 'the payer got its refund');
  }

  async #check(before: Numbers): Promise<void> {
    const state = await this.#lab.state().catch(() => undefined);
    if (state === undefined) return;
    const { deposited, claimed, refunded } = state;
    assert.deepEqual(state, this.#model);
    assert.ok(claimed + refunded <= deposited, 'I1');
    assert.ok(deposited >= before.deposited, 'I1: deposited only rises');
    assert.ok(claimed >= before.claimed && refunded >= before.refunded, 'I1: counters only rise');
    assert.ok(state.epoch >= before.epoch && state.unlockAt >= before.unlockAt, 'I8');
    assert.ok(claimed <= this.#promised && claimed <= this.#charged, 'I3');
    const balance = await this.#lab.balance();
    assert.ok(balance + EXTERNAL_FEES_MAX >= deposited - claimed - refunded, 'I2');
  }
}

function most(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}

function positive(value: bigint): bigint {
  return value > 0n ? value : 0n;
}

function text(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
