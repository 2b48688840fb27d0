/**
 * A gateway restores an older copy of its books, by mistake or to owe less, and goes on as if nothing had been. Its worker
 * is the witness: it stops working for it and says so. Spec: P§15.2; ton-settlement §4.7, §4.11 rule 5.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Acknowledger, type AcknowledgeReport } from '../../gateway/workers/acknowledge.ts';
import type { SignedReceipt } from '../../protocol/receipt.ts';
import { linkedWorker, TOKEN } from '../enclave-worker/paid-worker.ts';
import { until } from '../support/until.ts';

test('books that were set back are noticed by the next notice, and nothing more is worked', async () => {
  const time = { ms: 1_800_000_000_000 };
  const linked = await linkedWorker({ clock: () => time.ms });
  const reports: AcknowledgeReport[] = [];
  const books = { earned: 0n };
  const open = (): Acknowledger =>
    new Acknowledger({
      clock: () => time.ms,
      balanceOf: async () => await Promise.resolve({ earned: books.earned, paid: 0n }),
      onReport: (report) => reports.push(report),
    });
  const serve = async (acknowledger: Acknowledger): Promise<SignedReceipt> => {
    const { receipt } = await linked.ask(10);
    assert.ok(receipt !== undefined);
    books.earned += receipt.receipt.amount;
    const before = reports.length;
    acknowledger.settled(linked.live, receipt);
    await until(() => reports.length === before + 1);
    return receipt;
  };
  const before = open();
  await serve(before);
  const backup = { ...books };
  for (let count = 0; count < 3; count++) await serve(before);
  await before.close();
  assert.equal(linked.fixture.deps.earnings.isTrusted, true);

  Object.assign(books, backup);
  time.ms += 60_000;
  const after = open();
  await serve(after);
  assert.equal(reports.at(-1)?.outcome, 'rolled_back');
  assert.equal(linked.fixture.deps.earnings.isTrusted, false);
  assert.equal(await linked.link.probe(new AbortController().signal), 'unwell');
  const refused = await linked.ask(10);
  assert.deepEqual([refused.outerStatus, refused.outerBytes], [503, 0]);
  // What it is owed is still what it earned.
  assert.equal(linked.fixture.deps.earnings.exposure(), 50n * TOKEN);
  const alarm = linked.fixture.logLines.find((line) => line.includes('worker.gateway_rolled_back'));
  assert.match(alarm ?? '', /"known":"40000","said":"20000"/);
  await after.close();
  await linked.close();
});
