/** Bills from files, with a bound on their size. @module */

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { VeilError } from '../../core/errors.ts';
import { systemCodeOf } from '../../core/node/private-files.ts';
import { BILL_MAX_BYTES } from '../../client/limits.ts';
import { parseBill, type Bill } from '../../client/pay/bill.ts';

export interface ReadBill {
  readonly file: string;
  readonly bill: Bill;
}

export interface Unreadable {
  readonly path: string;
  readonly why: string;
}

export function readBills(paths: readonly string[]): {
  readonly bills: readonly ReadBill[];
  readonly unreadable: readonly Unreadable[];
} {
  const bills: ReadBill[] = [];
  const unreadable: Unreadable[] = [];
  for (const path of paths) {
    const read = readBill(path);
    if (typeof read === 'string') unreadable.push({ path, why: read });
    else bills.push({ file: path, bill: read });
  }
  return { bills, unreadable };
}

/** Or why not. */
function readBill(path: string): Bill | string {
  try {
    const bytes = readBounded(path, BILL_MAX_BYTES);
    return bytes === undefined ? 'no file, or larger than a bill' : parseBill(bytes);
  } catch (error) {
    if (error instanceof VeilError && error.code === 'client.bill') return error.message;
    const code = systemCodeOf(error);
    if (code === 'unknown') throw error;
    return code;
  }
}

/** Undefined for what is no file, and for one above the bound. Throws the system's error. */
export function readBounded(path: string, maxBytes: number): Uint8Array | undefined {
  // Without waiting for whoever might write to a pipe.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = fstatSync(file);
    if (!found.isFile() || found.size > maxBytes) return undefined;
    const bytes = new Uint8Array(found.size);
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(file);
  }
}
