/** The book that tests of earnings write to. @module */

import { fixed } from '../../core/bytes.ts';
import type { BookName } from '../../enclave-worker/earnings/store.ts';

export const BOOK: BookName = {
  gateway: `gw1.${'B'.repeat(43)}`,
  workerId: fixed(new Uint8Array(32).fill(9), 32),
  asset: 'TON',
};
