/** Gas constants are what the operations use, at most and exactly; the fee table of the wrapper is the contract's. @module */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CHANNEL_FEES } from '../../../settlement/ton/contracts/pay-channel.ts';
import { measureChannel } from '../../support/ton/measure-channel.ts';
import { measureJetton } from '../../support/ton/measure-jetton.ts';
import { measurePolicy } from '../../support/ton/measure-policy.ts';

function constants(path: string): ReadonlyMap<string, bigint> {
  const text = readFileSync(path, 'utf8');
  const ton = [...text.matchAll(/^const (\w+) = ton\("([\d.]+)"\)/gm)].map(
    ([, name = '', value = '']) => [name, BigInt(Math.round(Number(value) * 1e9))] as const,
  );
  const gas = [...text.matchAll(/^const (GAS_\w+) = (\d+)/gm)].map(
    ([, name = '', value = '']) => [name, BigInt(value)] as const,
  );
  return new Map([...ton, ...gas]);
}

/** Gas of other people's wallets: a bound, nothing that could be measured here. */
const ALLOWANCE = 'GAS_TRANSFER';

const MEASURED = [
  ['pay-channel', measureChannel],
  ['ledger-anchor', measurePolicy],
  ['jetton-pay-channel', measureJetton],
] as const;

for (const [folder, measure] of MEASURED) {
  test(`every gas constant of ${folder} is the most that its operation uses`, async () => {
    const written = constants(`settlement/ton/contracts/${folder}/fees.tolk`);
    const measured = await measure();
    const own = [...written].filter(([key]) => key.startsWith('GAS_') && key !== ALLOWANCE);
    for (const [name, gas] of own) {
      const most = measured
        .filter(({ constant }) => constant === name)
        .reduce((max, row) => (row.gas > max ? row.gas : max), 0n);
      assert.equal(gas, most, name);
    }
  });
}

test('the fee table of the wrapper is the one of the contract', () => {
  const written = constants('settlement/ton/contracts/pay-channel/fees.tolk');
  assert.deepEqual(CHANNEL_FEES, {
    rent: written.get('RENT'),
    depositFee: written.get('DEPOSIT_FEE'),
    minDeposit: written.get('MIN_DEPOSIT'),
    minExternal: written.get('MIN_EXTERNAL'),
    withdrawFloor: written.get('WITHDRAW_FLOOR'),
    notice: written.get('NOTICE'),
  });
});
