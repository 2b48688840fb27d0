/** Operations of a jetton channel once each, with gas and fees; the jetton's own are those of our test jetton. @module */

import {
  cancelWithdrawBody,
  destroyBody,
  finalizeWithdrawBody,
  requestWithdrawBody,
} from '../../../settlement/ton/contracts/pay-channel.ts';
import { DELAY_S } from './channel-lab.ts';
import type { Outcome } from './chain.ts';
import { JettonLab } from './jetton-lab.ts';
import type { Measured } from './measure-channel.ts';

const UNIT = 1_000_000n;
const CONSTANT = 'GAS_JETTON_MAX';

export async function measureJetton(): Promise<readonly Measured[]> {
  const rows: Measured[] = [];
  const add = (operation: string, { exitCode, skippedActions, gas, fees }: Outcome) => {
    if (exitCode !== 0 || skippedActions !== 0) throw new Error(`${operation}: ${exitCode}`);
    rows.push({ operation: `jetton: ${operation}`, constant: CONSTANT, gas, fees });
  };
  const lab = await JettonLab.create();
  add('deploy and init', await lab.init());
  await lab.deposit(100n * UNIT);
  add('claim', await lab.claim({ charged: UNIT, ceiling: 9n * UNIT }));
  add('request withdraw', await lab.send(requestWithdrawBody(0n, 1n)));
  add('cancel withdraw', await lab.send(cancelWithdrawBody(1n)));
  add('request withdraw again', await lab.send(requestWithdrawBody(UNIT, 1n)));
  lab.chain.pass(DELAY_S);
  add('finalize', await lab.send(finalizeWithdrawBody(1n)));
  add('close', await lab.claim({ charged: 2n * UNIT, ceiling: 9n * UNIT, ends: 'final' }));
  add('destroy', await lab.send(destroyBody(1n)));
  return rows;
}
