/** What the embedded ledger refuses to open, and what a changed file looks like to it. Spec: ton-settlement §4.11, §5. @module */

import assert from 'node:assert/strict';
import { copyFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { randomBytes } from '#primitives';
import { LEDGERS } from '../../../settlement/ledger/ledgers.ts';
import { amount } from '../../../settlement/money.ts';
import {
  fundedChannel,
  NOW_MS,
  openLab,
  reserveOf,
  settleOf,
  WORKER,
  type LedgerLab,
} from '../../support/ledger-lab.ts';

const [SQLITE] = LEDGERS;

/** Three settled requests, one open, a credit, and one payout that is planned; closed. */
async function usedLedger(context: TestContext): Promise<LedgerLab> {
  const lab = await openLab(SQLITE);
  context.after(async () => {
    await lab.end();
  });
  const ledger = lab.ledger();
  const channel = await fundedChannel(ledger);
  for (const cost of [10n, 20n, 30n]) {
    const { requestId, ...rest } = reserveOf(channel.id, cost);
    await ledger.reserve({ requestId, ...rest });
    await ledger.settle(settleOf(requestId, cost));
  }
  await ledger.reserve(reserveOf(channel.id, 5n));
  const id = randomBytes(32);
  await ledger.openAccount({ kind: 'custodial', id, asset: 'TON' });
  const reference = randomBytes(32);
  const credit = { account: id, asset: 'TON', amount: amount(9n) } as const;
  await ledger.credit({ ...credit, reference, nowMs: NOW_MS });
  const payees = [{ workerId: WORKER, destination: 'EQ' }];
  const minimum = amount(1n);
  await ledger.planPayouts({ queryId: 1n, asset: 'TON', payees, minimum, validUntilMs: 1 });
  await ledger.close();
  return lab;
}

function edit(lab: LedgerLab, sql: string): void {
  const database = new DatabaseSync(join(lab.dir, 'ledger.sqlite'));
  database.exec(sql);
  database.close();
}

const CHANGES: readonly (readonly [what: string, sql: string])[] = [
  ['a smaller charge', 'UPDATE account SET charged = charged - 1 WHERE charged > 0'],
  ['a smaller reservation', 'UPDATE account SET reserved = reserved - 1 WHERE reserved > 0'],
  ['a larger balance', 'UPDATE account SET deposited = deposited + 1 WHERE kind = 1'],
  ['a number taken back', 'UPDATE account SET n = n - 1 WHERE n > 0'],
  ['a dropped account', 'DELETE FROM account WHERE charged > 0'],
  ['a changed amount', 'UPDATE journal SET amount = amount + 1 WHERE seq = 2'],
  ['a changed receipt', 'UPDATE journal SET receipt = zeroblob(445) WHERE seq = 2'],
  ['a changed statement', 'UPDATE journal SET statement = zeroblob(230) WHERE seq = 2'],
  ['a changed time', 'UPDATE journal SET at_ms = at_ms + 1 WHERE seq = 1'],
  ['a dropped entry', 'DELETE FROM journal WHERE seq = 2'],
  ['a dropped end', 'DELETE FROM journal WHERE seq = 4'],
  ['a dropped reservation', 'DELETE FROM request WHERE state = 0'],
  ['a reservation released by hand', 'UPDATE request SET state = 1 WHERE state = 0'],
  ['a settled request forgotten', 'DELETE FROM request WHERE seq = 1'],
  ['a settled request repointed', 'UPDATE request SET seq = 2 WHERE seq = 1'],
  ['a larger debt to a worker', 'UPDATE worker SET earned = earned + 1'],
  ['a payout taken back', 'UPDATE worker SET planned = 0'],
  ['a dropped payout', 'DELETE FROM payout'],
];

for (const [what, sql] of CHANGES) {
  test(`a file with ${what} is refused`, async (context) => {
    const lab = await usedLedger(context);
    edit(lab, sql);
    await assert.rejects(lab.reopen(), { code: 'ledger.inconsistent' });
  });
}

test('a file that nobody changed opens, and only its owner can read it', async (context) => {
  const lab = await usedLedger(context);
  const ledger = await lab.reopen();
  assert.equal((await ledger.journalHead()).seq, 4n);
  assert.equal(statSync(join(lab.dir, 'ledger.sqlite')).mode & 0o777, 0o600);
});

test('a file of another version, or that is none, is refused', async (context) => {
  const lab = await usedLedger(context);
  for (const version of [99, -1]) {
    edit(lab, `PRAGMA user_version = ${version}`);
    await assert.rejects(lab.reopen(), { code: 'ledger.schema' });
  }
  copyFileSync(import.meta.filename, join(lab.dir, 'ledger.sqlite'));
  await assert.rejects(lab.reopen(), { code: 'ledger.store' });
});

test('a file whose table is gone fails once, loudly, and answers nothing after that', async (context) => {
  const lab = await usedLedger(context);
  const ledger = await lab.reopen();
  edit(lab, 'DROP TABLE nullifier');
  const nullifier = { epoch: 1, hash: randomBytes(32) };
  await assert.rejects(ledger.spendNullifier(nullifier), { code: 'ledger.store' });
  await assert.rejects(ledger.journalHead(), { code: 'ledger.store' });
});

for (const [version, sql] of [
  [1, 'DROP INDEX request_released; DROP TABLE note'],
  [2, 'DROP INDEX request_released'],
] as const) {
  test(`a ledger of schema ${version} is taken over with everything in it`, async (context) => {
    const lab = await usedLedger(context);
    edit(lab, `${sql}; PRAGMA user_version = ${version}`);
    const ledger = await lab.reopen();
    const note = { kind: 'a', key: randomBytes(32), value: Uint8Array.of(1) };
    await ledger.saveNote(note);
    assert.deepEqual(await ledger.findNote('a', note.key), note);
    assert.equal((await ledger.journalHead()).seq, 4n);
    assert.match(planOf(lab, 'DELETE FROM request WHERE state = 1 AND expires_ms <= 5'), /USING/);
  });
}

function planOf(lab: LedgerLab, sql: string): string {
  const database = new DatabaseSync(join(lab.dir, 'ledger.sqlite'), { readOnly: true });
  const [step] = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
  database.close();
  return String(step?.['detail']);
}
