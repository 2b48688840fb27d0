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
import { STRANDED_MS } from '../../client/limits.ts';
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

  admit(request: Pending, ceiling: bigint): void {
    const held = [...this.reserved.values()].reduce((sum, { max }) => sum + max, 0n);
    assert.ok(this.charged + held + request.max <= ceiling, 'an honest gateway could not serve');
    this.reserved.set(toHex(request.id), request);
  }

  settle(request: Pending, share: number): SignedStatement {
    this.reserved.delete(toHex(request.id));
    const cost = (request.max * BigInt(share)) / 100n;
    this.charged += cost;
    this.n += 1n;
    return signStatement(
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
    'refuse',
    'late',
    'crash',
  ),
  which: nat(7),
  size: nat(1000),
  share: nat(100),
});

test('whatever order things happen in, an honest gateway can serve and is never blamed', async () => {
  await holds(
    asyncProperty(array(STEP, { minLength: 20, maxLength: 80, size: 'max' }), async (steps) => {
      const memory = new TestMemory(encodePayState(newPayState(CHANNEL, 'known')));
      const book = new HonestBook();
      /** At the client: under way, and with a line on its way. */
      let asked: Pending[] = [];
      let served: { readonly request: Pending; readonly line: SignedStatement }[] = [];
      /** The client has given up; the gateway has not. */
      const lost: Pending[] = [];
      let account = await opened(memory);
      let highest = 0n;
      for (const { act, which, size, share } of steps) {
        if (act === 'ask') {
          const request = { id: randomBytes(16), max: BigInt(size) };
          const { ceiling } = await account.authorise(request.id, request.max);
          assert.ok(ceiling >= highest, 'a ceiling never falls');
          highest = ceiling;
          book.admit(request, ceiling);
          asked.push(request);
        }
        if (act === 'crash') {
          await account.close();
          lost.push(...asked);
          [asked, served] = [[], []];
          account = await opened(memory);
        }
        const request = asked[which % Math.max(asked.length, 1)];
        if (act === 'late') {
          const [late] = lost.splice(which % Math.max(lost.length, 1), 1);
          if (late !== undefined && share > 20) book.settle(late, share);
          // Released: it was never charged.
          else if (late !== undefined) book.reserved.delete(toHex(late.id));
        }
        if (act === 'deliver') {
          const [next] = served.splice(which % Math.max(served.length, 1), 1);
          if (next !== undefined) take(account, next.request, next.line);
        }
        if (request === undefined || ['ask', 'crash', 'late', 'deliver'].includes(act)) continue;
        asked = asked.filter((each) => each !== request);
        if (act === 'answer') take(account, request, book.settle(request, share));
        if (act === 'serve') served.push({ request, line: book.settle(request, share) });
        if (act === 'lose') {
          account.stranded(request.id);
          lost.push(request);
        }
        if (act === 'refuse') {
          account.refused(request.id);
          book.reserved.delete(toHex(request.id));
        }
      }
      const open = [...asked, ...served.map((each) => each.request)];
      const inFlight = open.reduce((sum, { max }) => sum + max, 0n);
      assert.ok(account.accounted >= book.charged, 'nothing charged is forgotten');
      assert.ok(account.accounted >= inFlight);
    }),
    { numRuns: 300 },
  );
});

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
    if (nowMs <= 3 * STRANDED_MS) book.admit(request, ceiling);
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
