/** The client's check of a ledger line: honest runs pass, each changed field is its own fault. Spec: ton-settlement §7 S1. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519, randomBytes } from '#primitives';
import {
  statementFaults,
  type StatementExpectation,
  type StatementFault,
} from '../../settlement/check-statement.ts';
import { amount } from '../../settlement/money.ts';
import { signStatement, statementSigner, type Statement } from '../../settlement/statement.ts';
import { LEDGERS } from '../../settlement/ledger/ledgers.ts';
import { parseStatementUnverified } from '../../settlement/statement.ts';
import {
  fundedChannel,
  LEDGER_KEY,
  NOW_MS,
  openLab,
  POLICY,
  receiptOf,
  reserveOf,
} from '../support/ledger-lab.ts';

test('what a ledger says about an honest run has no fault, in whatever order it is read', async (context) => {
  const lab = await openLab(LEDGERS[0]);
  context.after(() => lab.end());
  const ledger = lab.ledger();
  const channel = await fundedChannel(ledger);
  const run = async (cost: bigint) => {
    const { requestId, ...rest } = reserveOf(channel.id, 100n);
    await ledger.reserve({ requestId, ...rest });
    const receipt = receiptOf(requestId, cost);
    const settled = await ledger.settle({ receipt, policyDigest: POLICY, nowMs: NOW_MS });
    assert.ok(settled.outcome === 'settled');
    return { receipt, signed: parseStatementUnverified(settled.statement) };
  };
  const lines = await Promise.all([1n, 100n, 150n, 0n].map(run));
  const seen: Statement[] = [];
  for (const { receipt, signed } of lines.toReversed()) {
    const expected = {
      ledgerKeys: [randomBytes(32), LEDGER_KEY.publicKey],
      channel: channel.id,
      epoch: 0,
      receipt,
      maxAmount: 100n,
      ceiling: amount(1000n),
      seen,
    };
    assert.deepEqual(statementFaults(signed, expected), []);
    seen.push(signed.statement);
  }
});

test('each field that was changed is exactly its own fault', () => {
  const requestId = randomBytes(16);
  const receipt = receiptOf(requestId, 60n);
  const honest: Statement = {
    channel: randomBytes(32),
    epoch: 1,
    n: 2n,
    requestId,
    receiptHash: receipt.hash,
    amount: amount(60n),
    cum: amount(100n),
    atMs: NOW_MS,
    policyDigest: POLICY,
  };
  const before = { ...honest, n: 1n, requestId: randomBytes(16), amount: amount(40n) };
  const expected: StatementExpectation = {
    ledgerKeys: [LEDGER_KEY.publicKey],
    channel: honest.channel,
    epoch: 1,
    receipt,
    maxAmount: 60n,
    ceiling: amount(100n),
    seen: [{ ...before, cum: amount(40n) }],
  };
  const faultsOf = (
    change: Partial<Statement>,
    want: Partial<StatementExpectation> = {},
    key = LEDGER_KEY.secretKey,
  ) =>
    statementFaults(signStatement({ ...honest, ...change }, statementSigner(key)), {
      ...expected,
      ...want,
    });
  assert.deepEqual(faultsOf({}), []);
  const stranger = generateEd25519();
  const cases: readonly (readonly [StatementFault, readonly StatementFault[]])[] = [
    ['signature', faultsOf({}, {}, stranger.secretKey)],
    ['channel', faultsOf({ channel: randomBytes(32) })],
    ['epoch', faultsOf({ epoch: 2 })],
    ['request', faultsOf({ requestId: randomBytes(16) })],
    ['receipt', faultsOf({ receiptHash: randomBytes(32) })],
    ['amount', faultsOf({ amount: amount(61n), cum: amount(101n) }, { ceiling: amount(101n) })],
    ['amount', faultsOf({}, { maxAmount: 59n })],
    ['ceiling', faultsOf({}, { ceiling: amount(99n) })],
    ['contradiction', faultsOf({ amount: amount(59n) })],
    ['contradiction', faultsOf({ n: 1n })],
  ];
  for (const [fault, found] of cases) assert.deepEqual(found, [fault]);
});
