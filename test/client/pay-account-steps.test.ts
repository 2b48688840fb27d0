/**
 * The payer's count of answers that are paid as they go, against a model of an honest gateway that knows before the client
 * how far each is and serves with whatever the ceiling has room for: once the client has heard everything, all that is under
 * way is covered; nobody is blamed; and a ceiling is never further ahead than what covers the requests under way.
 * Spec: ton-settlement §4.2, §4.4, §7 (L1, S1).
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { array, assert as holds, asyncProperty, constantFrom, nat, record } from 'fast-check';
import { generateEd25519, randomBytes } from '#primitives';
import { fixed, toHex, type Bytes } from '../../core/bytes.ts';
import { UNBILLED_MAX } from '../../client/limits.ts';
import { ChannelAccount, type ChannelKeys } from '../../client/pay/account.ts';
import { decodePayState, encodePayState, newPayState } from '../../client/pay/pay-state.ts';
import { amount } from '../../settlement/money.ts';
import { signStatement, type SignedStatement } from '../../settlement/statement.ts';
import { TestMemory } from '../support/paying.ts';

const PAYER = generateEd25519();
const CHANNEL = randomBytes(32);
const UNSIGNED = fixed(new Uint8Array(64), 64);
const AHEAD = 30n;
const AT_FIRST = 50n;
const STEPPING = { policy: { chunkTokens: 20 }, spendMax: undefined } as const;

interface Stream {
  readonly id: Bytes<16>;
  readonly most: bigint;
  /** By the worker's METER, as the gateway knows it, and as the client has heard it. */
  used: bigint;
  heard: bigint;
  held: bigint;
}

/** What an answer needs reserved: what it has used, and three steps, and never more than it may cost. */
function needOf({ used, most }: Stream): bigint {
  const need = used + AHEAD > AT_FIRST ? used + AHEAD : AT_FIRST;
  return need < most ? need : most;
}

class SteppingBook {
  charged = 0n;
  n = 0n;
  ceiling = 0n;
  readonly open = new Set<Stream>();
  readonly #lines = new Map<string, SignedStatement>();

  /** What a client is told of what it has lost. */
  tellAll(account: ChannelAccount): void {
    const names = new Set([...this.open].map(({ id }) => toHex(id)));
    for (const { id } of account.lost) {
      const line = this.#lines.get(toHex(id));
      if (line === undefined && names.has(toHex(id))) account.stillOpen(id);
      if (line === undefined && !names.has(toHex(id))) account.released(id);
      if (line === undefined) continue;
      assert.ok(!account.leavesRoom(id, line), 'an honest line was blamed');
      account.recalled(id, line);
    }
  }

  get reserved(): bigint {
    return [...this.open].reduce((sum, { held }) => sum + held, 0n);
  }

  reserve(stream: Stream, need: bigint): boolean {
    const more = need > stream.held ? need - stream.held : 0n;
    if (this.charged + this.reserved + more > this.ceiling) return false;
    stream.held += more;
    return true;
  }

  /** As far as the ceiling allows. For an answer whose client has left nothing more is reserved. */
  extendAll(streams: readonly Stream[]): boolean {
    return streams.map((stream) => this.reserve(stream, needOf(stream))).every(Boolean);
  }

  settle(stream: Stream): SignedStatement {
    this.open.delete(stream);
    const cost = stream.used < stream.held ? stream.used : stream.held;
    this.charged += cost;
    this.n += 1n;
    const line = signStatement(
      {
        channel: CHANNEL,
        epoch: 0,
        n: this.n,
        requestId: stream.id,
        receiptHash: randomBytes(32),
        amount: amount(cost),
        cum: amount(this.charged),
        atMs: 0,
        policyDigest: randomBytes(32),
      },
      () => UNSIGNED,
    );
    this.#lines.set(toHex(stream.id), line);
    return line;
  }
}

function keysOver(memory: TestMemory): ChannelKeys {
  return {
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
}

function freshMemory(): TestMemory {
  return new TestMemory(encodePayState(newPayState(CHANNEL, 'known')));
}

function opened(memory: TestMemory, spendMax?: bigint): Promise<ChannelAccount> {
  return ChannelAccount.open(keysOver(memory), { ...STEPPING, spendMax }, () => 0);
}

/** The client hears how far this one is, and follows. */
async function hear(account: ChannelAccount, book: SteppingBook, stream: Stream): Promise<void> {
  stream.heard = stream.used;
  const voucher = await account.raise(stream.id, needOf(stream));
  if (voucher !== undefined && voucher.ceiling > book.ceiling) book.ceiling = voucher.ceiling;
}

const STEP = record({
  act: constantFrom(
    'ask',
    'ask',
    'make',
    'make',
    'make',
    'hear',
    'hear',
    'answer',
    'serve',
    'deliver',
    'lose',
    'late',
    'crash',
  ),
  which: nat(7),
  size: nat(40),
});

test('whatever order things happen in, an honest gateway that runs ahead is served and never blamed', async () => {
  await holds(
    asyncProperty(array(STEP, { minLength: 30, maxLength: 120, size: 'max' }), async (steps) => {
      const memory = freshMemory();
      const book = new SteppingBook();
      let streams: Stream[] = [];
      let served: { readonly stream: Stream; readonly line: SignedStatement }[] = [];
      const lost: Stream[] = [];
      let account = await opened(memory);
      const take = (stream: Stream, line: SignedStatement): void => {
        assert.ok(!account.leavesRoom(stream.id, line), 'an honest line was blamed');
        account.settled(stream.id, line);
      };
      for (const { act, which, size } of steps) {
        const stream = streams[which % Math.max(streams.length, 1)];
        if (act === 'ask') {
          // Everything that has come is heard before the next voucher of ours is refused for good.
          for (const each of streams) await hear(account, book, each);
          book.extendAll(streams);
          const next = {
            id: randomBytes(16),
            most: 60n + BigInt(size) * 10n,
            used: 0n,
            heard: 0n,
            held: 0n,
          };
          book.tellAll(account);
          // Where too many of them still run the gateway has the receipts of those whose client has left in the end.
          const open = account.lost.filter(({ word }) => word === 'open').length;
          if (open >= UNBILLED_MAX)
            for (const late of lost) if (book.open.has(late)) book.settle(late);
          book.tellAll(account);
          const { ceiling } = await account.authorise(next.id, next.most, needOf(next));
          assert.ok(ceiling >= book.ceiling, 'a ceiling never falls');
          book.ceiling = ceiling;
          assert.ok(book.reserve(next, needOf(next)), 'an honest gateway could not admit');
          book.open.add(next);
          streams.push(next);
        }
        if (act === 'crash') {
          await account.close();
          lost.push(...streams, ...served.map((each) => each.stream));
          [streams, served] = [[], []];
          account = await opened(memory);
        }
        if (act === 'late') {
          const [late] = lost.splice(which % Math.max(lost.length, 1), 1);
          if (late !== undefined && book.open.has(late)) {
            if (size % 2 === 0) book.settle(late);
            else book.open.delete(late);
          }
        }
        if (act === 'deliver') {
          const [next] = served.splice(which % Math.max(served.length, 1), 1);
          if (next !== undefined) take(next.stream, next.line);
        }
        if (stream === undefined) continue;
        if (act === 'make') {
          const more = stream.used + BigInt(size % 11);
          stream.used = more < stream.held ? more : stream.held;
          // At once, with whatever another has left over, before the client hears of it.
          book.reserve(stream, needOf(stream));
        }
        if (act === 'hear') await hear(account, book, stream);
        if (act === 'answer' || act === 'serve' || act === 'lose') {
          streams = streams.filter((each) => each !== stream);
        }
        if (act === 'answer') take(stream, book.settle(stream));
        if (act === 'serve') served.push({ stream, line: book.settle(stream) });
        if (act === 'lose') {
          account.stranded(stream.id);
          lost.push(stream);
        }
        assert.ok(
          account.accounted >= book.charged - unheard(streams, served),
          'nothing is forgotten',
        );
      }
      for (const each of streams) await hear(account, book, each);
      assert.ok(book.extendAll(streams), 'everything was heard, and not everything is covered');
    }),
    { numRuns: 400 },
  );
});

/** What a gateway may have charged beyond what this client had covered for the same requests by then. */
function unheard(
  streams: readonly Stream[],
  served: readonly { readonly stream: Stream }[],
): bigint {
  const all = [...streams, ...served.map(({ stream }) => stream)];
  return all.reduce((sum, { most }) => sum + most, 0n);
}

test('a request is covered for what it has used and three steps, whatever else is under way', async () => {
  const account = await opened(freshMemory());
  const [one, other] = [randomBytes(16), randomBytes(16)];
  assert.equal((await account.authorise(one, 1000n, 50n)).ceiling, 50n);
  assert.equal((await account.authorise(other, 1000n, 50n)).ceiling, 100n);
  assert.equal((await account.raise(one, 80n))?.ceiling, 130n);
  assert.equal((await account.raise(other, 90n))?.ceiling, 170n);
  // Not lowered, and signed again for whoever lost it.
  assert.equal((await account.raise(other, 60n))?.ceiling, 170n);
});

test('a request is never covered for more than it may cost, nor once it has ended', async () => {
  const account = await opened(freshMemory());
  const id = randomBytes(16);
  await account.authorise(id, 70n, 50n);
  assert.equal((await account.raise(id, 500n))?.ceiling, 70n);
  account.refused(id);
  assert.equal(await account.raise(id, 500n), undefined);
  assert.equal(account.ceiling, 70n);
});

test('a raise above spendMax is not signed, and what was covered stays', async () => {
  const account = await opened(freshMemory(), 100n);
  const id = randomBytes(16);
  await account.authorise(id, 1000n, 50n);
  await assert.rejects(account.raise(id, 101n), { code: 'client.pay_limit' });
  assert.deepEqual([account.ceiling, account.accounted], [50n, 50n]);
  assert.equal((await account.raise(id, 100n))?.ceiling, 100n);
});

test('a raise that cannot be written covers nothing', async () => {
  const memory = freshMemory();
  const account = await opened(memory);
  const id = randomBytes(16);
  await account.authorise(id, 1000n, 50n);
  memory.before = () => Promise.reject(new Error('the disk is full'));
  await assert.rejects(account.raise(id, 80n), /full/);
  assert.equal(account.accounted, 50n);
});

test('nothing is raised after a fault, nor while a bill is being looked at', async () => {
  const account = await opened(freshMemory());
  const id = randomBytes(16);
  await account.authorise(id, 1000n, 50n);
  const judged = Promise.withResolvers<void>();
  const looking = account.during(judged.promise);
  let isSigned = false;
  const raised = account.raise(id, 80n).then(() => (isSigned = true));
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(!isSigned);
  judged.resolve();
  await Promise.all([looking, raised]);
  await account.blame(['metered']);
  await assert.rejects(account.raise(id, 90n), { code: 'client.pay_halted' });
  assert.equal(account.ceiling, 80n);
});

test('what another answer left over is counted once when one breaks off', async () => {
  const memory = freshMemory();
  const book = new SteppingBook();
  const account = await opened(memory);
  const [one, other] = [0, 1].map(() => ({
    id: randomBytes(16),
    most: 500n,
    used: 10n,
    heard: 0n,
    held: 50n,
  }));
  assert.ok(one && other);
  await account.authorise(one.id, 500n, 50n);
  await account.authorise(other.id, 500n, 50n);
  account.settled(one.id, book.settle(one));
  // 40 left over of the first: the second may have been served with it.
  account.stranded(other.id);
  assert.equal(account.accounted, 100n);
  await account.close();
  await account.authorise(randomBytes(16), 500n, 50n);
  const [state] = memory.saved.slice(-1);
  assert.ok(state);
  assert.equal(decodePayState(state, CHANNEL).ceiling, 150n);
});

test('after a crash what another answer left over counts with what was under way', async () => {
  const memory = freshMemory();
  const book = new SteppingBook();
  const account = await opened(memory);
  const one = { id: randomBytes(16), most: 500n, used: 10n, heard: 0n, held: 50n };
  await account.authorise(one.id, 500n, 50n);
  await account.authorise(randomBytes(16), 500n, 50n);
  account.settled(one.id, book.settle(one));
  await account.close();
  const again = await opened(memory);
  assert.deepEqual([again.ceiling, again.accounted], [100n, 100n]);
});

test('what is being written when somebody is found out is not signed any more', async () => {
  const memory = freshMemory();
  const account = await opened(memory);
  const id = randomBytes(16);
  await account.authorise(id, 1000n, 50n);
  const [saving, written] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  memory.before = () => {
    saving.resolve();
    return written.promise;
  };
  const raised = assert.rejects(account.raise(id, 80n), { code: 'client.pay_halted' });
  const begun = assert.rejects(account.authorise(randomBytes(16), 1n), {
    code: 'client.pay_halted',
  });
  await saving.promise;
  const blamed = account.blame(['metered']);
  written.resolve();
  await Promise.all([raised, begun, blamed]);
  assert.equal(account.accounted, 50n);
});
