/** Writes earnings until it is killed, and says what was acknowledged: `R seq part`, `N seq ceiling`. @module */

import { fixed } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { openEarnings } from '../../enclave-worker/earnings/sqlite.ts';
import { channelWith, termsOf } from '../enclave-worker/paid-worker.ts';
import { BOOK } from './earnings-book.ts';

const [dir = '', from = '0'] = process.argv.slice(2);
const store = openEarnings(dir, systemClock());
const statementHash = fixed(new Uint8Array(32).fill(3), 32);
const { channel, voucher } = channelWith(0n);

for (let seq = BigInt(from) + 1n; ; seq++) {
  const part = (seq % 9n) + 1n;
  const atMs = systemClock();
  store.addReceipt(BOOK, {
    atMs,
    model: 'demo',
    statementHash,
    workerSeq: seq,
    inputTokens: 1,
    outputTokens: 2,
    amount: part + 1n,
    part,
  });
  process.stdout.write(`R ${seq} ${part}\n`);
  if (seq % 10n !== 0n || voucher === null) continue;
  store.addNotice(BOOK, {
    acknowledged: { statementHash, workerSeq: seq, earned: seq, paid: 0n, atMs },
    before: 0n,
    voucher: { channel, terms: termsOf(), epoch: 0, ceiling: seq, voucher },
  });
  process.stdout.write(`N ${seq} ${seq}\n`);
}
