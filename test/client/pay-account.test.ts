/**
 * The payer's count against a model of an honest gateway, with requests side by side, answers that get lost and crashes:
 * an honest gateway can always serve, is never blamed, and a voucher never runs ahead of what was asked for.
 * Spec: ton-settlement §4.2 (admission), §7 (L1, S1).
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { array, assert as holds, asyncProperty, constantFrom, nat, record } from 'fast-check';
import { randomBytes, generateEd25519 } from '#primitives';
import { fixed, toHex, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { hasCode } from '../../core/errors.ts';
import { STRANDED_MS, UNBILLED_MAX } from '../../client/limits.ts';
import { ChannelAccount, type ChannelKeys } from '../../client/pay/account.ts';
import { encodePayState, newPayState } from '../../client/pay/pay-state.ts';
import { amount } from '../../settlement/money.ts';
import { signStatement, type SignedStatement } from '../../settlement/statement.ts';
import { TestMemory } from '../support/paying.ts';

const PAYER = generateEd25519();
const CHANNEL = randomBytes(32);
const PER_REQUEST = { policy: 'per-request', spendMax: undefined } as const;
const UNSIGNED = fixed(new Uint8Array(64), 64);

interface Pending {
  readonly id: Bytes<16>;
  readonly max: bigint;
}

/** What the gateway knows and the client may not. */
class HonestBook {
  charged = 0n;
  n = 0n;
  readonly reserved = new Map<string, Pending>();
  readonly released = new Set<string>();
  readonly lines = new Map<string, SignedStatement>();

  admit(request: Pending, ceiling: bigint): boolean {
    const held = [...this.reserved.values()].reduce((sum, { max }) => sum + max, 0n);
    if (this.charged + held + request.max > ceiling) return false;
    this.reserved.set(toHex(request.id), request);
    return true;
  }

  release(request: Pending): void {
    if (this.reserved.delete(toHex(request.id))) this.released.add(toHex(request.id));
  }

  /** As `/v1/settlements` does. */
  tell(account: ChannelAccount, id: Bytes<16>): void {
    const name = toHex(id);
    const line = this.lines.get(name);
    if (line !== undefined) {
      assert.ok(!account.leavesRoom(id, line), 'an honest line was blamed');
      account.recalled(id, line);
    } else if (this.reserved.has(name)) account.stillOpen(id);
    else if (this.released.has(name)) account.released(id);
    else account.neverSeen(id);
  }

  tellAll(account: ChannelAccount): void {
    for (const { id } of account.lost) this.tell(account, id);
  }

  settle(request: Pending, share: number): SignedStatement {
    this.reserved.delete(toHex(request.id));
    const cost = (request.max * BigInt(share)) / 100n;
    this.charged += cost;
    this.n += 1n;
    const line = signStatement(
      {
        channel: CHANNEL,
        epoch: 0,
        n: this.n,
        requestId: request.id,
        receiptHash: randomBytes(32),
        amount: amount(cost),
        cum: amount(this.charged),
        atMs: 0,
        policyDigest: randomBytes(32),
      },
      () => UNSIGNED,
    );
    this.lines.set(toHex(request.id), line);
    return line;
  }
}

const STEP = record({
  act: constantFrom(
    'ask',
    'ask',
    'ask',
    'answer',
    'answer',
    'serve',
    'deliver',
    'lose',
    'vanish',
    'arrive',
    'refuse',
    'late',
    'crash',
  ),
  which: nat(7),
  size: nat(1000),
  share: nat(100),
});

interface Late extends Pending {
  readonly ceiling: bigint;
}

/** The client and its gateway. Whenever more is to be signed the gateway is asked about what got lost, as `Inquiry` does. */
class Pair {
  readonly book = new HonestBook();
  readonly #memory: TestMemory;
  /** At the client: under way, and with a line on its way. */
  asked: Pending[] = [];
  served: { readonly request: Pending; readonly line: SignedStatement }[] = [];
  /** The client has given up; the gateway has not, or has yet to see it. */
  lost: Pending[] = [];
  onTheWay: Late[] = [];
  account: ChannelAccount;
  highest = 0n;

  constructor(account: ChannelAccount, memory: TestMemory) {
    this.account = account;
    this.#memory = memory;
  }

  /** Recovery: a gateway has every receipt in the end, or lets go. */
  recover(share: number): void {
    for (const request of this.lost.splice(0)) this.finish(request, share);
  }

  finish(request: Pending, share: number): void {
    if (!this.book.reserved.has(toHex(request.id))) return;
    if (share > 20) this.book.settle(request, share);
    else this.book.release(request);
  }

  async authorise(request: Pending, share: number): Promise<bigint> {
    this.book.tellAll(this.account);
    try {
      return (await this.account.authorise(request.id, request.max)).ceiling;
    } catch (error) {
      assert.ok(hasCode(error, 'client.pay_unbilled'));
      const open = this.account.lost.filter(({ id }) => this.book.reserved.has(toHex(id)));
      assert.ok(open.length >= UNBILLED_MAX, 'blocked although the gateway has answered');
    }
    this.recover(share);
    this.book.tellAll(this.account);
    return (await this.account.authorise(request.id, request.max)).ceiling;
  }

  async ask(request: Pending, share: number): Promise<void> {
    let ceiling = await this.authorise(request, share);
    assert.ok(ceiling >= this.highest, 'a ceiling never falls');
    if (share % 2 === 0) this.arrive(share);
    if (!this.book.admit(request, ceiling)) {
      // What had never been seen has arrived since.
      this.account.refused(request.id);
      ceiling = await this.authorise(request, share);
      assert.ok(this.book.admit(request, ceiling), 'an honest gateway could not serve');
    }
    this.highest = ceiling;
    this.asked.push(request);
  }

  async crash(): Promise<void> {
    await this.account.close();
    this.lost.push(...this.asked);
    [this.asked, this.served] = [[], []];
    this.account = await opened(this.#memory);
  }

  /** The voucher came with it. */
  arrive(which: number): void {
    const [late] = this.onTheWay.splice(which % Math.max(this.onTheWay.length, 1), 1);
    if (late === undefined) return;
    const ceiling = late.ceiling > this.highest ? late.ceiling : this.highest;
    if (this.book.admit(late, ceiling)) this.lost.push(late);
  }
}

test('whatever order things happen in, an honest gateway can serve and is never blamed', async () => {
  await holds(
    asyncProperty(array(STEP, { minLength: 20, maxLength: 80, size: 'max' }), async (steps) => {
      const memory = new TestMemory(encodePayState(newPayState(CHANNEL, 'known')));
      const pair = new Pair(await opened(memory), memory);
      for (const step of steps) await act(pair, step);
      const { asked, served, account, book } = pair;
      const open = [...asked, ...served.map((each) => each.request)];
      const inFlight = open.reduce((sum, { max }) => sum + max, 0n);
      book.tellAll(account);
      assert.ok(account.accounted >= book.charged, 'nothing charged is forgotten');
      assert.ok(account.accounted >= inFlight);
      pair.recover(100);
      for (const { request, line } of served) take(account, request, line);
      for (const request of asked)
        if (book.reserved.has(toHex(request.id))) take(account, request, book.settle(request, 50));
      book.tellAll(account);
      assert.equal(account.accounted, book.charged, 'and nothing else is left once all is told');
    }),
    { numRuns: 300 },
  );
});

interface Step {
  readonly act: string;
  readonly which: number;
  readonly size: number;
  readonly share: number;
}

async function act(pair: Pair, { act: what, which, size, share }: Step): Promise<void> {
  const { account, book } = pair;
  if (what === 'ask') return pair.ask({ id: randomBytes(16), max: BigInt(size) }, share);
  if (what === 'crash') return pair.crash();
  if (what === 'arrive') return pair.arrive(which);
  if (what === 'late') {
    const [late] = pair.lost.splice(which % Math.max(pair.lost.length, 1), 1);
    if (late !== undefined) pair.finish(late, share);
    return;
  }
  if (what === 'deliver') {
    const [next] = pair.served.splice(which % Math.max(pair.served.length, 1), 1);
    if (next !== undefined) take(account, next.request, next.line);
    return;
  }
  const request = pair.asked[which % Math.max(pair.asked.length, 1)];
  if (request === undefined) return;
  pair.asked = pair.asked.filter((each) => each !== request);
  if (what === 'answer') take(account, request, book.settle(request, share));
  if (what === 'serve') pair.served.push({ request, line: book.settle(request, share) });
  if (what === 'lose' || what === 'vanish') account.stranded(request.id);
  if (what === 'lose') pair.lost.push(request);
  if (what === 'vanish') {
    // It had not got there when the client gave up.
    book.reserved.delete(toHex(request.id));
    pair.onTheWay.push({ ...request, ceiling: pair.highest });
  }
  if (what === 'refuse') {
    account.refused(request.id);
    book.reserved.delete(toHex(request.id));
  }
}

function opened(memory: TestMemory, clock: Clock = () => 0): Promise<ChannelAccount> {
  const keys: ChannelKeys = {
    channel: CHANNEL,
    terms: {
      network: 'tvm:-3',
      payer: `0:${'0'.repeat(64)}`,
      payee: `0:${'0'.repeat(64)}`,
      payerKey: PAYER.publicKey,
      payeeKey: PAYER.publicKey,
      withdrawDelayS: 1,
      salt: 0n,
    },
    secretKey: PAYER.secretKey,
    memory,
  };
  return ChannelAccount.open(keys, PER_REQUEST, clock);
}

function take(account: ChannelAccount, { id }: Pending, line: SignedStatement): void {
  assert.ok(!account.leavesRoom(id, line), 'an honest line was blamed');
  account.settled(id, line);
}

test('a line that counts one nanoTON more than all that was asked for leaves room', async () => {
  const memory = new TestMemory(encodePayState(newPayState(CHANNEL, 'known')));
  const account = await opened(memory);
  const book = new HonestBook();
  const [one, other] = [randomBytes(16), randomBytes(16)];
  await account.authorise(one, 100n);
  await account.authorise(other, 50n);
  book.charged = 50n;
  assert.ok(!account.leavesRoom(one, book.settle({ id: one, max: 100n }, 100)));
  book.charged = 51n;
  assert.ok(account.leavesRoom(one, book.settle({ id: one, max: 100n }, 100)));
});

test('what a token may spend is no surprise while it lasts, nor after it, nor is it forgotten by a crash', async () => {
  const memory = new TestMemory(encodePayState(newPayState(CHANNEL, 'known')));
  const book = new HonestBook();
  let nowMs = 0;
  let account = await opened(memory, () => nowMs);
  assert.equal((await account.endow(100n, 3 * STRANDED_MS)).ceiling, 100n);
  const ask = async (spent: bigint): Promise<boolean> => {
    const request = { id: randomBytes(16), max: 10n };
    book.charged += spent;
    book.n += 1n;
    const { ceiling } = await account.authorise(request.id, request.max);
    if (nowMs <= 3 * STRANDED_MS) assert.ok(book.admit(request, ceiling));
    const line = book.settle(request, 100);
    const isBlamed = account.leavesRoom(request.id, line);
    account.settled(request.id, line);
    return isBlamed;
  };
  assert.equal(await ask(60n), false);
  // What was stranded for a shorter time does not end it early.
  await account.authorise(randomBytes(16), 10n);
  await account.close();
  account = await opened(memory, () => nowMs);
  nowMs = 2 * STRANDED_MS;
  assert.equal(await ask(20n), false);
  nowMs = 3 * STRANDED_MS;
  assert.equal(await ask(20n), false);
  assert.equal(account.accounted, 130n, 'what was charged, and no more');
  nowMs++;
  assert.equal(await ask(1n), true, 'the token has ended');
});

test('writes that pile up become one, and each waits for its own', async () => {
  const memory = new TestMemory(encodePayState(newPayState(CHANNEL, 'known')));
  const account = await opened(memory);
  const gate = Promise.withResolvers<void>();
  memory.before = () => gate.promise;
  const vouchers = Array.from({ length: 20 }, () => account.authorise(randomBytes(16), 1n));
  gate.resolve();
  const ceilings = (await Promise.all(vouchers)).map(({ ceiling }) => ceiling);
  assert.deepEqual(
    ceilings,
    Array.from({ length: 20 }, (_, at) => BigInt(at + 1)),
  );
  // The first state, the first write, and one for the nineteen behind it.
  assert.equal(memory.saved.length, 3);
});
