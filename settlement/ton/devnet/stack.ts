/**
 * Stacks of get-methods as toncenter v2 writes them. Spec: ton-settlement §6; `serializeStack` and `parseStack` of
 * @ton/ton 16.3.
 * @module
 */

import { Cell, type TupleItem } from '@ton/core';
import { z } from 'zod';
import { devnetError } from './errors.ts';
import { REQUEST_MAX_BYTES, STACK_MAX } from './limits.ts';

const NUMBER = z.string().regex(/^-?(?:0x[0-9a-fA-F]{1,65}|\d{1,80})$/);
const BOC = z.base64().min(4).max(REQUEST_MAX_BYTES);

export const STACK = z
  .array(
    z.union([
      z.tuple([z.enum(['num', 'int']), z.union([NUMBER, z.int()])]),
      z.tuple([z.enum(['tvm.Cell', 'tvm.Slice', 'tvm.Builder', 'cell', 'slice', 'builder']), BOC]),
      z.tuple([z.literal('null'), z.unknown()]),
    ]),
  )
  .max(STACK_MAX);

export function decodeStack(stack: z.output<typeof STACK>): TupleItem[] {
  return stack.map(([kind, value]): TupleItem => {
    if (kind === 'null') return { type: 'null' };
    if (kind === 'num' || kind === 'int')
      return { type: 'int', value: decodeNumber(String(value)) };
    const cell = decodeCell(String(value), 'stack');
    if (kind.toLowerCase().endsWith('slice')) return { type: 'slice', cell };
    if (kind.toLowerCase().endsWith('builder')) return { type: 'builder', cell };
    return { type: 'cell', cell };
  });
}

function decodeNumber(text: string): bigint {
  return text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text);
}

/** Throws `devnet.request` for what is no single cell. */
export function decodeCell(text: string, what: string): Cell {
  try {
    const [root, second] = Cell.fromBoc(Buffer.from(text, 'base64'));
    if (root !== undefined && second === undefined) return root;
  } catch (cause) {
    throw devnetError('devnet.request', `${what}: not a bag of cells`, { cause });
  }
  throw devnetError('devnet.request', `${what}: want one cell`);
}

export function encodeStack(stack: readonly TupleItem[]): readonly unknown[] {
  return stack.map(encodeItem);
}

function encodeItem(item: TupleItem): readonly unknown[] {
  switch (item.type) {
    case 'int':
      return [
        'num',
        item.value < 0n ? `-0x${(-item.value).toString(16)}` : `0x${item.value.toString(16)}`,
      ];
    case 'nan':
      return ['num', 'NaN'];
    case 'null':
      return ['list', { '@type': 'tvm.list', elements: [] }];
    case 'cell':
    case 'slice':
    case 'builder':
      return [item.type, { bytes: bocOf(item.cell) }];
    case 'tuple':
      return ['tuple', { '@type': 'tvm.tuple', elements: item.items.map(encodeElement) }];
    default:
      return item satisfies never;
  }
}

/** Inside tuples everything is spelled differently. */
function encodeElement(item: TupleItem): unknown {
  switch (item.type) {
    case 'int':
    case 'nan': {
      const number = item.type === 'int' ? item.value.toString() : 'NaN';
      return {
        '@type': 'tvm.stackEntryNumber',
        number: { '@type': 'tvm.numberDecimal', number },
      };
    }
    case 'null':
      return { '@type': 'tvm.stackEntryList', list: { '@type': 'tvm.list', elements: [] } };
    case 'cell':
      return {
        '@type': 'tvm.stackEntryCell',
        cell: { '@type': 'tvm.cell', bytes: bocOf(item.cell) },
      };
    case 'slice':
    case 'builder':
      return {
        '@type': 'tvm.stackEntrySlice',
        slice: { '@type': 'tvm.slice', bytes: bocOf(item.cell) },
      };
    case 'tuple':
      return {
        '@type': 'tvm.stackEntryTuple',
        tuple: { '@type': 'tvm.tuple', elements: item.items.map(encodeElement) },
      };
    default:
      return item satisfies never;
  }
}

function bocOf(cell: Cell): string {
  return cell.toBoc().toString('base64');
}
