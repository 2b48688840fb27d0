/**
 * What toncenter v2 answers, taken apart with bounds. Members we do not use are ignored: providers add some.
 * Spec: ton-settlement §6, table of methods; §9 (slices may come as cells).
 * @module
 */

import { Cell, loadTransaction, type Transaction, type TupleItem } from '@ton/core';
import { z } from 'zod';
import type { VeilError } from '../../../core/errors.ts';
import { tonError } from '../errors.ts';
import { CELL_TEXT_MAX, PAGE_SIZE, STACK_DEPTH_MAX, STACK_ITEMS_MAX } from '../limits.ts';

const DIGITS = z
  .union([z.string().regex(/^\d{1,20}$/), z.int().min(0)])
  .transform((value) => BigInt(value));
/** Lite servers say −1 of an account that is not there, and not every toncenter makes 0 of it. */
const BALANCE = z.union([z.literal(['-1', -1]).transform(() => 0n), DIGITS]);
const HASH_TEXT = z.string().regex(/^[A-Za-z0-9+/]{43}=$/);
const CELL_TEXT = z.string().max(CELL_TEXT_MAX);
const SEQNO = z.int().min(0).max(0xffff_ffff);

export const ENVELOPE = z.union([
  z.object({ ok: z.literal(true), result: z.unknown() }),
  z.object({ ok: z.literal(false), error: z.string().max(65_536).default('') }),
]);

export const MASTERCHAIN_INFO = z.object({
  init: z.object({ root_hash: HASH_TEXT, file_hash: HASH_TEXT }),
  last: z.object({ seqno: SEQNO }),
});

const ACCOUNT = z.object({
  balance: BALANCE,
  state: z.enum(['uninitialized', 'active', 'frozen']),
  code: CELL_TEXT,
  data: CELL_TEXT,
  last_transaction_id: z.object({ lt: DIGITS, hash: HASH_TEXT }),
  // Only the masterchain commits: a state at a shard's own block may still be undone.
  block_id: z.object({ workchain: z.literal(-1), seqno: SEQNO }),
  sync_utime: z.int().min(0).max(0xffff_ffff),
});

const RUN_RESULT = z.object({
  gas_used: z.int().min(0),
  exit_code: z.int(),
  stack: z.array(z.unknown()).max(STACK_ITEMS_MAX),
});

const TRANSACTIONS = z.array(z.object({ data: CELL_TEXT })).max(PAGE_SIZE + 1);

export interface AccountAnswer {
  readonly state: 'uninitialized' | 'active' | 'frozen';
  readonly balanceNanoton: bigint;
  readonly code: Cell | undefined;
  readonly data: Cell | undefined;
  readonly last: { readonly lt: bigint; readonly hash: string } | undefined;
  readonly seqno: number;
  readonly timeS: number;
}

/** Throws `ton.answer`. */
export function decodeWith<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  what: string,
): z.output<Schema> {
  const decoded = schema.safeParse(value);
  if (decoded.success) return decoded.data;
  const path = decoded.error.issues[0]?.path.map(String).join('.') ?? '';
  throw tonError('ton.answer', `${what}: ${path === '' ? 'form' : path}`);
}

/** Throws `ton.answer`. */
export function decodeAccount(value: unknown): AccountAnswer {
  const account = decodeWith(ACCOUNT, value, 'account');
  const { lt, hash } = account.last_transaction_id;
  return {
    state: account.state,
    balanceNanoton: account.balance,
    code: account.code === '' ? undefined : cellOf(account.code, 'code'),
    data: account.data === '' ? undefined : cellOf(account.data, 'data'),
    last: lt === 0n ? undefined : { lt, hash: Buffer.from(hash, 'base64').toString('hex') },
    seqno: account.block_id.seqno,
    timeS: account.sync_utime,
  };
}

export interface RunAnswer {
  readonly exitCode: number;
  readonly stack: readonly TupleItem[];
}

/** Throws `ton.answer`. */
export function decodeRun(value: unknown): RunAnswer {
  const { exit_code: exitCode, stack } = decodeWith(RUN_RESULT, value, 'run');
  return { exitCode, stack: stack.map(decodeItem) };
}

/** Newest first, as they come. Throws `ton.answer`. */
export function decodeTransactions(value: unknown): readonly Transaction[] {
  return decodeWith(TRANSACTIONS, value, 'transactions').map(({ data }) => {
    const cell = cellOf(data, 'transaction');
    try {
      return loadTransaction(cell.beginParse());
    } catch (cause) {
      throw tonError('ton.answer', 'not a transaction', { cause });
    }
  });
}

function cellOf(text: string, what: string): Cell {
  try {
    const [root, second] = Cell.fromBoc(Buffer.from(text, 'base64'));
    if (root !== undefined && second === undefined) return root;
  } catch (cause) {
    throw tonError('ton.answer', `${what}: not a bag of cells`, { cause });
  }
  throw tonError('ton.answer', `${what}: want one cell`);
}

const NUMBER_TEXT = z.string().regex(/^-?(?:0x[0-9a-fA-F]{1,65}|\d{1,80})$/);
const BYTES = z.object({ bytes: CELL_TEXT });
const ELEMENTS = z.object({ elements: z.array(z.unknown()).max(STACK_ITEMS_MAX) });
const ITEM = z.union([
  z.tuple([z.literal('num'), NUMBER_TEXT]),
  z.tuple([z.enum(['cell', 'slice', 'builder']), BYTES]),
  z.tuple([z.enum(['tuple', 'list']), ELEMENTS]),
  z.tuple([z.literal('null')]).rest(z.unknown()),
]);

function decodeItem(value: unknown): TupleItem {
  const item = decodeWith(ITEM, value, 'stack');
  switch (item[0]) {
    case 'num':
      return { type: 'int', value: numberOf(item[1]) };
    case 'cell':
    case 'slice':
    case 'builder':
      return { type: item[0], cell: cellOf(item[1].bytes, 'stack') };
    case 'tuple':
    case 'list':
      return listOf(item[1].elements, 0);
    case 'null':
      return { type: 'null' };
    default:
      return item satisfies never;
  }
}

function listOf(elements: readonly unknown[], depth: number): TupleItem {
  if (depth > STACK_DEPTH_MAX) throw tonError('ton.answer', 'stack: too deep');
  if (elements.length === 0) return { type: 'null' };
  return { type: 'tuple', items: elements.map((element) => decodeElement(element, depth + 1)) };
}

const ELEMENT = z.discriminatedUnion('@type', [
  z.object({
    '@type': z.literal('tvm.stackEntryNumber'),
    number: z.object({ number: NUMBER_TEXT }),
  }),
  z.object({ '@type': z.literal('tvm.stackEntryCell'), cell: BYTES }),
  z.object({ '@type': z.literal('tvm.stackEntrySlice'), slice: BYTES }),
  z.object({ '@type': z.literal('tvm.stackEntryTuple'), tuple: ELEMENTS }),
  z.object({ '@type': z.literal('tvm.stackEntryList'), list: ELEMENTS }),
]);

function decodeElement(value: unknown, depth: number): TupleItem {
  const element = decodeWith(ELEMENT, value, 'stack');
  switch (element['@type']) {
    case 'tvm.stackEntryNumber':
      return { type: 'int', value: numberOf(element.number.number) };
    case 'tvm.stackEntryCell':
      return { type: 'cell', cell: cellOf(element.cell.bytes, 'stack') };
    case 'tvm.stackEntrySlice':
      return { type: 'slice', cell: cellOf(element.slice.bytes, 'stack') };
    case 'tvm.stackEntryTuple':
      return listOf(element.tuple.elements, depth);
    case 'tvm.stackEntryList':
      return listOf(element.list.elements, depth);
    default:
      return element satisfies never;
  }
}

function numberOf(text: string): bigint {
  return text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text);
}

/** Throws `ton.config` for what toncenter has no spelling for. */
export function encodeStack(stack: readonly TupleItem[]): readonly (readonly [string, string])[] {
  return stack.map((item) => {
    if (item.type === 'int') return ['num', item.value.toString()];
    if (item.type === 'cell') return ['tvm.Cell', item.cell.toBoc().toString('base64')];
    if (item.type === 'slice') return ['tvm.Slice', item.cell.toBoc().toString('base64')];
    throw tonError('ton.config', `${item.type} cannot be handed to a get-method`);
  });
}

/** The same for two answers that mean the same; slices that come as cells are no difference, also not to `TupleReader`. */
export function stackDigest(stack: readonly TupleItem[]): string {
  return stack
    .map((item) => {
      if (item.type === 'int') return `int ${item.value}`;
      if (item.type === 'tuple') return `[${stackDigest(item.items)}]`;
      if (item.type === 'null' || item.type === 'nan') return item.type;
      return `cell ${item.cell.hash().toString('hex')}`;
    })
    .join(',');
}

const EXIT_CODE = /exit ?code\s*[=:]\s*(-?\d{1,6})/i;

/** Undefined when the text does not say that the contract refused. */
export function refusalOf(text: string): VeilError | undefined {
  if (!/not accepted|rejected by transaction|cannot apply external message/i.test(text)) {
    return undefined;
  }
  const found = EXIT_CODE.exec(text)?.[1];
  return tonError('ton.not_accepted', found === undefined ? '' : `exit code ${found}`, {
    facts: found === undefined ? {} : { exitCode: Number(found) },
  });
}
