/** Answers of providers that are not what they should be. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { beginCell, Cell, type TupleItem } from '@ton/core';
import { hasCode } from '../../../core/errors.ts';
import { encodeStack as toncenterStack } from '../../../settlement/ton/devnet/stack.ts';
import {
  decodeAccount,
  decodeRun,
  decodeTransactions,
  encodeStack,
  refusalOf,
  stackDigest,
} from '../../../settlement/ton/toncenter/decode.ts';

const CELL = beginCell().storeUint(5, 32).endCell();
const HASH = Buffer.alloc(32, 7).toString('base64');
const ACCOUNT = {
  balance: '17',
  state: 'active',
  code: CELL.toBoc().toString('base64'),
  data: '',
  last_transaction_id: { '@type': 'internal.transactionId', lt: '3', hash: HASH },
  block_id: { workchain: -1, seqno: 9 },
  sync_utime: 1,
  more: 'of it',
};

test('an account is taken apart; what is not ours is ignored', () => {
  const account = decodeAccount(ACCOUNT);
  assert.equal(account.balanceNanoton, 17n);
  assert.equal(account.last?.hash, '07'.repeat(32));
  assert.ok(account.code?.equals(CELL));
  assert.equal(account.data, undefined);
});

test('an account that is not there holds nothing, in either spelling', () => {
  for (const balance of ['0', '-1', 0, -1]) {
    assert.equal(decodeAccount({ ...ACCOUNT, balance }).balanceNanoton, 0n);
  }
});

const SPOILT: readonly (readonly [what: string, with_: Readonly<Record<string, unknown>>])[] = [
  ['a block of a shard, which may be undone', { block_id: { workchain: 0, seqno: 9 } }],
  ['no block', { block_id: undefined }],
  ['a negative balance', { balance: '-2' }],
  ['a balance beyond all coins', { balance: '9'.repeat(21) }],
  ['a fraction', { balance: 1.5 }],
  ['another state', { state: 'rich' }],
  ['code that is no cell', { code: 'AAAA' }],
  ['code without end', { code: 'A'.repeat(3_000_000) }],
  ['a short hash', { last_transaction_id: { lt: '3', hash: 'AAAA' } }],
  ['a time that is none', { sync_utime: 'now' }],
];

for (const [what, change] of SPOILT) {
  test(`an account with ${what} is refused`, () => {
    assert.throws(() => decodeAccount({ ...ACCOUNT, ...change }), { code: 'ton.answer' });
  });
}

test('whatever a provider says, the only error is ours', () => {
  fc.assert(
    fc.property(
      fc.anything(),
      fc.constantFrom(decodeAccount, decodeRun, decodeTransactions),
      (value, decode) => {
        try {
          decode(value);
        } catch (error) {
          assert.ok(hasCode(error, 'ton.answer'));
        }
      },
    ),
    { numRuns: 500 },
  );
});

const ITEM = fc.letrec<{ item: TupleItem }>((tie) => ({
  item: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({
      type: fc.constant('int' as const),
      value: fc.bigInt({ min: -(2n ** 256n), max: 2n ** 256n - 1n }),
    }),
    fc.record({ type: fc.constant('cell' as const), cell: fc.constant(CELL) }),
    fc.record({ type: fc.constant('slice' as const), cell: fc.constant(CELL) }),
    fc.record({ type: fc.constant('null' as const) }),
    fc.record({
      type: fc.constant('tuple' as const),
      items: fc.array(tie('item'), { minLength: 1, maxLength: 3 }),
    }),
  ),
}));

test('a stack comes back as it left', () => {
  fc.assert(
    fc.property(fc.array(ITEM.item, { maxLength: 5 }), (stack) => {
      const { stack: back } = decodeRun({
        gas_used: 1,
        exit_code: 0,
        stack: toncenterStack(stack),
      });
      assert.equal(stackDigest(back), stackDigest(stack));
    }),
    { numRuns: 200 },
  );
});

test('a tuple that never ends is refused', () => {
  let list: unknown = { '@type': 'tvm.stackEntryList', list: { elements: [] } };
  for (let i = 0; i < 1000; i++) {
    list = { '@type': 'tvm.stackEntryTuple', tuple: { elements: [list] } };
  }
  const answer = { gas_used: 1, exit_code: 0, stack: [['tuple', { elements: [list] }]] };
  assert.throws(() => decodeRun(answer), { code: 'ton.answer' });
});

test('what toncenter has no spelling for is not asked', () => {
  assert.throws(() => encodeStack([{ type: 'null' }]), { code: 'ton.config' });
  assert.deepEqual(encodeStack([{ type: 'int', value: -3n }]), [['num', '-3']]);
  assert.equal(encodeStack([{ type: 'slice', cell: Cell.EMPTY }])[0]?.[0], 'tvm.Slice');
});

test('a refusal is told from trouble, and its exit code found', () => {
  const words =
    'LITE_SERVER_UNKNOWN: cannot apply external message to current state : External message was not accepted\nCannot run message on account: inbound external message rejected by transaction AB: exitcode=33, steps=18, gas_used=0';
  assert.deepEqual(refusalOf(words)?.facts, { exitCode: 33 });
  assert.deepEqual(refusalOf('External message was not accepted')?.facts, {});
  assert.equal(refusalOf('LITE_SERVER_NETWORK: timeout'), undefined);
});
