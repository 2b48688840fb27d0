/**
 * In whatever order requests that run side by side end, one after the other or at once, an account comes to the same sums,
 * and so does its worker. Spec: ton-settlement §7 L10.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { LEDGERS } from '../../../settlement/ledger/ledgers.ts';
import type { Ledger } from '../../../settlement/ledger/ledger.ts';
import { parseStatementUnverified } from '../../../settlement/statement.ts';
import { fundedChannel, openLab, reserveOf, settleOf, WORKER } from '../../support/ledger-lab.ts';

const RUNS = process.env['SLOW'] === '1' ? 200 : 12;
const NEED = 60n;

interface Run {
  /** Above the need it is clamped; undefined: let go. */
  readonly cost: bigint | undefined;
  readonly early: number;
  readonly late: number;
}

const runs: fc.Arbitrary<readonly Run[]> = fc.array(
  fc.record({
    cost: fc.option(fc.bigInt({ min: 0n, max: 2n * NEED }), { nil: undefined }),
    early: fc.nat(),
    late: fc.nat(),
  }),
  { minLength: 2, maxLength: 12 },
);

/** What a history comes to, and how far the lines reached on the way. */
async function endOf(ledger: Ledger, some: readonly Run[], way: 'in turn' | 'at once') {
  const channel = await fundedChannel(ledger);
  const earnedBefore = (await ledger.findWorker(WORKER, 'TON')).earned;
  const requests = some.map(({ cost }) => ({ cost, request: reserveOf(channel.id, NEED) }));
  for (const { request } of requests) await ledger.reserve(request);
  const ended: bigint[] = [];
  const end = async ({ cost, request }: (typeof requests)[number]): Promise<void> => {
    if (cost === undefined) {
      await ledger.release(request.requestId);
      return;
    }
    const settled = await ledger.settle(settleOf(request.requestId, cost));
    assert.ok(settled.outcome === 'settled');
    ended.push(parseStatementUnverified(settled.statement).statement.cum);
  };
  if (way === 'at once') await Promise.all(requests.map(end));
  else for (const each of requests) await end(each);
  const account = await ledger.findAccount(channel.id);
  const { earned } = await ledger.findWorker(WORKER, 'TON');
  const highest = ended.reduce((most, cum) => (cum > most ? cum : most), 0n);
  assert.equal(highest, account?.charged, 'the last line says all of it');
  return [account?.charged, account?.reserved, account?.n, earned - earnedBefore];
}

for (const driver of LEDGERS) {
  test(`${driver.name}: the sums do not depend on the order in which requests end`, async (context) => {
    const lab = await openLab(driver);
    context.after(() => lab.end());
    const ledger = lab.ledger();
    await fc.assert(
      fc.asyncProperty(runs, async (some) => {
        const early = some.toSorted((one, other) => one.early - other.early);
        const late = some.toSorted((one, other) => one.late - other.late);
        const ends = [
          await endOf(ledger, early, 'in turn'),
          await endOf(ledger, late, 'in turn'),
          await endOf(ledger, late, 'at once'),
        ];
        const charged = some.reduce((sum, { cost = 0n }) => sum + (cost < NEED ? cost : NEED), 0n);
        assert.equal(ends[0]?.[0], charged);
        assert.deepEqual(ends[1], ends[0]);
        assert.deepEqual(ends[2], ends[0]);
      }),
      { numRuns: RUNS },
    );
  });
}
