/**
 * Random histories of a ledger against a model of a page, with a crash between any two steps or in the middle of one; and
 * a real process that is killed again and again. What was acknowledged is there, and nothing is charged twice.
 * More with SLOW=1. Spec: ton-settlement §7, L1 to L10.
 * @module
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { fixed, fromHex, toHex, type Bytes } from '../../core/bytes.ts';
import type { JournalEntry, Ledger } from '../../settlement/ledger/ledger.ts';
import { LEDGERS } from '../../settlement/ledger/ledgers.ts';
import { amount, AMOUNT_MAX } from '../../settlement/money.ts';
import { splitAmount } from '../../settlement/price.ts';
import { parseStatementUnverified } from '../../settlement/statement.ts';
import {
  idOf,
  isLost,
  LEDGER_KEY,
  NOW_MS,
  openLab,
  reserveOf,
  settleOf,
  testChannel,
  WORKER,
  type LedgerLab,
  type TestChannel,
} from '../support/ledger-lab.ts';

const SLOW = process.env['SLOW'] === '1';
const HISTORIES = SLOW ? 300 : 10;
const STEPS_MAX = 30;
const KILLS = SLOW ? 20 : 3;
const ACKNOWLEDGED_PER_KILL = 400;
const REQUESTS = 8;
const FEE_BPS = 500;

type Step =
  | { readonly kind: 'reserve'; readonly request: number; readonly need: bigint }
  | { readonly kind: 'extend'; readonly request: number; readonly need: bigint }
  | { readonly kind: 'burst'; readonly needs: readonly bigint[] }
  | { readonly kind: 'settle'; readonly request: number; readonly cost: bigint }
  | { readonly kind: 'release'; readonly request: number }
  | { readonly kind: 'voucher'; readonly ceiling: bigint }
  | { readonly kind: 'deposit'; readonly sum: bigint }
  | { readonly kind: 'withdraw'; readonly sum: bigint }
  | { readonly kind: 'payout'; readonly end: 'confirm' | 'expire' | 'both' }
  | { readonly kind: 'restart' };

const request = fc.nat(REQUESTS - 1);
const sum = fc.bigInt({ min: 0n, max: 60n });
const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('reserve' as const), request, need: sum }),
  fc.record({ kind: fc.constant('extend' as const), request, need: sum }),
  fc.record({ kind: fc.constant('burst' as const), needs: fc.array(sum, { maxLength: 6 }) }),
  fc.record({ kind: fc.constant('settle' as const), request, cost: sum }),
  fc.record({ kind: fc.constant('release' as const), request }),
  fc.record({ kind: fc.constant('voucher' as const), ceiling: fc.bigInt({ min: 0n, max: 400n }) }),
  fc.record({ kind: fc.constant('deposit' as const), sum }),
  fc.record({ kind: fc.constant('withdraw' as const), sum }),
  fc.record({
    kind: fc.constant('payout' as const),
    end: fc.constantFrom('confirm' as const, 'expire' as const, 'both' as const),
  }),
  fc.record({ kind: fc.constant('restart' as const) }),
);

/** Whether the process dies while the step is on its way, and after how many turns of the loop. */
const crashArbitrary = fc.oneof(
  { weight: 6, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.nat(6) },
);

interface ModelRequest {
  need: bigint;
  state: 'reserved' | 'released' | 'settled';
  statement?: Uint8Array;
}

/** The page. Everything that a ledger may say about money follows from these numbers. */
class Model {
  deposited = 100n;
  withdrawing = 0n;
  ceiling = 0n;
  charged = 0n;
  reserved = 0n;
  earned = 0n;
  paid = 0n;
  block = 1;
  queries = 0n;
  readonly requests = new Map<string, ModelRequest>();

  room(): bigint {
    const funded = this.deposited - this.withdrawing;
    return (this.ceiling < funded ? this.ceiling : funded) - this.charged - this.reserved;
  }
}

class History {
  readonly model = new Model();
  readonly channel: TestChannel = testChannel();
  readonly lab: LedgerLab;

  constructor(lab: LedgerLab) {
    this.lab = lab;
  }

  async begin(): Promise<void> {
    await this.lab.ledger().openAccount(this.channel.terms);
    await this.sync();
  }

  async sync(): Promise<void> {
    const { deposited, withdrawing, block: blockSeqno } = this.model;
    const sums = { deposited: amount(deposited), withdrawing: amount(withdrawing) };
    const answer = await this.lab
      .ledger()
      .recordChainState(this.channel.state({ ...sums, blockSeqno }));
    assert.equal(answer.outcome, 'recorded');
  }

  /** Asks; with a crash, asks again afterwards. `first` is what was acknowledged before it, if anything was. */
  async ask<Answer>(
    crash: number | undefined,
    call: (ledger: Ledger) => Promise<Answer>,
  ): Promise<{
    readonly answer: Answer;
    readonly first: Answer | undefined;
    readonly isAgain: boolean;
  }> {
    const asked = call(this.lab.ledger());
    if (crash === undefined) return { answer: await asked, first: undefined, isAgain: false };
    const first = asked.catch((error: unknown) => {
      assert.ok(isLost(error), String(error));
      return undefined;
    });
    for (let turn = 0; turn < crash; turn++) await new Promise(setImmediate);
    await this.lab.ledger().abandon();
    await this.lab.reopen();
    await this.sync();
    const answer = await call(this.lab.ledger());
    return { answer, first: await first, isAgain: true };
  }

  async run(step: Step, crash: number | undefined): Promise<void> {
    switch (step.kind) {
      case 'reserve':
        await this.reserve(idOf(step.request), step.need, crash);
        break;
      case 'extend':
        await this.extend(idOf(step.request), step.need, crash);
        break;
      case 'burst':
        await this.burst(step.needs);
        break;
      case 'settle':
        await this.settle(idOf(step.request), step.cost, crash);
        break;
      case 'release':
        await this.release(idOf(step.request), crash);
        break;
      case 'voucher':
        await this.raise(step.ceiling, crash);
        break;
      case 'deposit':
        this.model.deposited += step.sum;
        this.model.block++;
        await this.sync();
        break;
      case 'withdraw':
        this.model.withdrawing = step.sum;
        this.model.block++;
        await this.sync();
        break;
      case 'payout':
        await this.payout(step.end, crash);
        break;
      case 'restart':
        await this.lab.ledger().close();
        await this.lab.reopen();
        await this.sync();
        break;
    }
    await this.compare();
  }

  async reserve(id: Bytes<16>, need: bigint, crash: number | undefined): Promise<void> {
    const { model } = this;
    const known = model.requests.get(toHex(id));
    const fits = known === undefined && need <= model.room();
    const reserve = reserveOf(this.channel.id, need, { requestId: id });
    const { answer, first, isAgain } = await this.ask(crash, (ledger) => ledger.reserve(reserve));
    if (fits) {
      model.requests.set(toHex(id), { need, state: 'reserved' });
      model.reserved += need;
    }
    if (first?.outcome === 'reserved') assert.equal(answer.outcome, 'replayed', 'acknowledged');
    if (known !== undefined) {
      assert.ok(answer.outcome === 'replayed' && answer.request.state === known.state);
    } else if (!fits) assert.equal(answer.outcome, 'refused');
    else if (!isAgain) assert.equal(answer.outcome, 'reserved');
    else assert.ok(answer.outcome === 'reserved' || answer.outcome === 'replayed');
  }

  /** All at once, in whatever order: what was admitted fits, and what was refused would not have. */
  async extend(requestId: Bytes<16>, need: bigint, crash: number | undefined): Promise<void> {
    const { model } = this;
    const known = model.requests.get(toHex(requestId));
    const held = known?.state === 'reserved' ? known.need : undefined;
    const fits = held !== undefined && (need <= held || need - held <= model.room());
    const { answer } = await this.ask(crash, (ledger) =>
      ledger.extend({ requestId, need: amount(need) }),
    );
    assert.equal(answer.outcome, fits ? 'extended' : 'refused');
    if (known === undefined || held === undefined || !fits || need <= held) return;
    model.reserved += need - held;
    known.need = need;
  }

  async burst(needs: readonly bigint[]): Promise<void> {
    const { model } = this;
    const asked = needs.map((need) => reserveOf(this.channel.id, need));
    const answers = await Promise.all(asked.map((one) => this.lab.ledger().reserve(one)));
    const refused: bigint[] = [];
    asked.forEach(({ requestId, need }, at) => {
      if (answers[at]?.outcome === 'reserved') {
        model.requests.set(toHex(requestId), { need, state: 'reserved' });
        model.reserved += need;
      } else refused.push(need);
    });
    if (model.reserved > 0n && refused.length < needs.length) assert.ok(model.room() >= 0n);
    for (const need of refused) assert.ok(need > model.room());
    const admitted = asked.filter(({ requestId }) => model.requests.has(toHex(requestId)));
    await Promise.all(admitted.map(({ requestId }) => this.release(requestId, undefined)));
  }

  async settle(id: Bytes<16>, cost: bigint, crash: number | undefined): Promise<void> {
    const { model } = this;
    const known = model.requests.get(toHex(id));
    const settle = settleOf(id, cost);
    const { answer, first } = await this.ask(crash, (ledger) => ledger.settle(settle));
    if (known === undefined || known.state === 'released') {
      assert.equal(answer.outcome, 'refused');
      return;
    }
    assert.ok(answer.outcome === 'settled');
    if (first?.outcome === 'settled') assert.deepEqual(first.statement, answer.statement);
    if (known.state === 'settled') {
      assert.deepEqual(answer.statement, known.statement);
      return;
    }
    const part = cost < known.need ? cost : known.need;
    model.reserved -= known.need;
    model.charged += part;
    model.earned += splitAmount(part, FEE_BPS).worker;
    known.state = 'settled';
    known.statement = answer.statement;
    const { cum, amount: said } = parseStatementUnverified(answer.statement).statement;
    assert.deepEqual([cum, said], [model.charged, part]);
  }

  async release(id: Bytes<16>, crash: number | undefined): Promise<void> {
    const { model } = this;
    const known = model.requests.get(toHex(id));
    const { answer } = await this.ask(crash, (ledger) => ledger.release(id));
    const isOpen = known !== undefined && known.state !== 'settled';
    assert.equal(answer.outcome, isOpen ? 'released' : 'refused');
    if (known?.state !== 'reserved') return;
    known.state = 'released';
    model.reserved -= known.need;
  }

  async raise(ceiling: bigint, crash: number | undefined): Promise<void> {
    const voucher = this.channel.voucher(ceiling);
    const { answer } = await this.ask(crash, (ledger) => ledger.acceptVoucher(voucher));
    assert.equal(answer.outcome, ceiling >= this.model.ceiling ? 'accepted' : 'refused');
    if (ceiling > this.model.ceiling) this.model.ceiling = ceiling;
  }

  async payout(end: 'confirm' | 'expire' | 'both', crash: number | undefined): Promise<void> {
    const { model } = this;
    model.queries += 1n;
    const queryId = model.queries;
    const payees = [{ workerId: WORKER, destination: 'EQ' }];
    const plan = { queryId, asset: 'TON', payees, minimum: amount(1n), validUntilMs: 1 } as const;
    const planned = await this.ask(crash, (ledger) => ledger.planPayouts(plan));
    const owed = model.earned > model.paid ? model.earned - model.paid : 0n;
    const total = planned.answer.payouts.reduce((all, { amount: part }) => all + part, 0n);
    assert.equal(total, owed);
    if (owed === 0n) return;
    if (end !== 'confirm') {
      const { answer } = await this.ask(crash, (ledger) => ledger.expirePayout(queryId, 2));
      assert.equal(answer.outcome, 'expired');
    }
    if (end === 'expire') return;
    const confirmed = await this.ask(crash, (ledger) => ledger.confirmPayout(queryId, 3));
    assert.equal(confirmed.answer.outcome, 'confirmed');
    model.paid += owed;
  }

  async compare(): Promise<void> {
    const { model } = this;
    const ledger = this.lab.ledger();
    const account = await ledger.findAccount(this.channel.id);
    const worker = await ledger.findWorker(WORKER, 'TON');
    const { charged, reserved, ceiling } = account ?? assert.fail('the account is gone');
    assert.deepEqual([charged, reserved, ceiling], [model.charged, model.reserved, model.ceiling]);
    assert.deepEqual([worker.earned, worker.paid, worker.planned], [model.earned, model.paid, 0n]);
  }

  /** L2, L5, L6: the journal adds up, reservations drain, and numbers rise. */
  async finish(): Promise<void> {
    const ledger = this.lab.ledger();
    for (const { requestId } of await ledger.listReservations(undefined, 1000)) {
      await ledger.release(requestId);
    }
    assert.equal((await ledger.findAccount(this.channel.id))?.reserved, 0n);
    const entries = await ledger.readJournal(1n, 1000);
    const settled = entries.filter(({ kind }) => kind === 'settle');
    const total = (of: (entry: JournalEntry) => bigint) =>
      settled.reduce((all, entry) => all + of(entry), 0n);
    assert.equal(
      total((entry) => entry.amount),
      this.model.charged,
    );
    assert.equal(
      total((entry) => entry.workerPart),
      this.model.earned,
    );
    settled.forEach(({ n }, at) => assert.equal(n, BigInt(at + 1)));
    await ledger.close();
    await this.lab.reopen();
  }
}

for (const driver of LEDGERS) {
  const { name } = driver;

  test(`${name}: no history, wherever it is cut, leads anywhere but where the model is`, async () => {
    const historyArbitrary = fc.array(fc.tuple(stepArbitrary, crashArbitrary), {
      minLength: 5,
      maxLength: STEPS_MAX,
      size: 'max',
    });
    await fc.assert(
      fc.asyncProperty(historyArbitrary, async (steps) => {
        const history = new History(await openLab(driver));
        try {
          await history.begin();
          for (const [step, crash] of steps) await history.run(step, crash);
          await history.finish();
        } finally {
          await history.lab.end();
        }
      }),
      { numRuns: HISTORIES, endOnFailure: !SLOW },
    );
  });

  test(`${name}: what was acknowledged survives kill -9, and is never charged again`, async (context) => {
    const lab = await openLab(driver);
    context.after(() => lab.end());
    const channel = testChannel();
    const ledger = lab.ledger();
    await ledger.openAccount(channel.terms);
    const state = channel.state({ deposited: amount(AMOUNT_MAX) });
    await ledger.recordChainState(state);
    await ledger.acceptVoucher(channel.voucher(AMOUNT_MAX));
    await ledger.close();
    const args = [name, lab.dir, toHex(LEDGER_KEY.secretKey), toHex(channel.id)];
    const reserved = new Set<string>();
    const settled = new Map<string, string>();
    for (let kill = 0; kill < KILLS; kill++) {
      for (const line of await linesUntilKilled(args, ACKNOWLEDGED_PER_KILL)) {
        const [what, id = '', statement = ''] = line.split(' ');
        if (what === 'R') reserved.add(id);
        else settled.set(id, statement);
      }
      const survivor = await lab.reopen();
      await checkAcknowledged(survivor, reserved, settled);
      await survivor.close();
    }
    await lab.reopen();
    const account = await lab.ledger().findAccount(channel.id);
    const open = await lab.ledger().listReservations(undefined, 1000);
    assert.equal(account?.reserved, BigInt(open.length) * 10n);
    assert.ok((account?.n ?? 0n) >= BigInt(settled.size));
  });
}

async function checkAcknowledged(
  ledger: Ledger,
  reserved: ReadonlySet<string>,
  settled: ReadonlyMap<string, string>,
): Promise<void> {
  await Promise.all(
    [...reserved].map(async (hex) => {
      const id = fixed(fromHex(hex), 16);
      const state = await ledger.findRequest(id);
      assert.ok(state !== undefined && state.state !== 'released', 'a reservation was lost');
      const statement = settled.get(hex);
      if (statement === undefined) return;
      assert.equal(state.state, 'settled', 'a settlement was lost');
      const again = await ledger.settle({ ...settleOf(id, 99n), nowMs: NOW_MS + 9 });
      assert.ok(again.outcome === 'settled' && again.repeated);
      assert.equal(toHex(again.statement), statement);
    }),
  );
}

/** What the child said before it was killed in the middle of its work; a line that was cut off is not counted. */
async function linesUntilKilled(
  args: readonly string[],
  count: number,
): Promise<readonly string[]> {
  const child = spawn(process.execPath, ['test/support/ledger-child.ts', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  let rest = '';
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      const parts = (rest + chunk.toString('latin1')).split('\n');
      rest = parts.pop() ?? '';
      lines.push(...parts);
      if (lines.length >= count) child.kill('SIGKILL');
    });
    child.once('close', () => resolve());
  });
  assert.ok(lines.length >= count, 'the child ended by itself');
  return lines;
}
