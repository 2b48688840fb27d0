/** Every operation of a channel once, with its gas and fees: for the gas constants and for `npm run bench -- ton`. @module */

import {
  cancelWithdrawBody,
  destroyBody,
  finalizeWithdrawBody,
} from '../../../settlement/ton/contracts/pay-channel.ts';
import type { Outcome } from './chain.ts';
import { ChannelLab, DELAY_S, STRANGER, TON } from './channel-lab.ts';

export interface Measured {
  readonly operation: string;
  /** The constant in fees.tolk that must cover it. */
  readonly constant?: string;
  readonly gas: bigint;
  readonly fees: bigint;
}

const CEILING = TON;

export async function measureChannel(): Promise<readonly Measured[]> {
  const rows: Measured[] = [];
  const add = (operation: string, outcome: Outcome, constant?: string) => {
    const { exitCode, actionCode, skippedActions, gas, fees } = outcome;
    if (exitCode !== 0 || actionCode !== 0 || skippedActions !== 0) {
      throw new Error(`${operation}: exit ${exitCode}, action ${actionCode}/${skippedActions}`);
    }
    rows.push({ operation, gas, fees, ...(constant === undefined ? {} : { constant }) });
  };
  await measureClaims(add);
  await measureWithdraws(add);
  return rows;
}

type Add = (operation: string, outcome: Outcome, constant?: string) => void;

async function measureClaims(add: Add): Promise<void> {
  const lab = await ChannelLab.create();
  add('deploy and first deposit', await lab.deposit(2n * TON));
  add('top-up', await lab.deposit(2n * TON));
  const claim = (part: bigint, ends: 'final' | 'open') => ({
    charged: TON / part,
    ceiling: CEILING,
    ends,
  });
  add('claim, external', await lab.claimExternal(claim(10n, 'open')), 'GAS_CLAIM_EXTERNAL');
  add('claim, internal', await lab.claim(claim(5n, 'open')), 'GAS_CLAIM_INTERNAL');
  add('close, external', await lab.claimExternal(claim(4n, 'final')), 'GAS_CLAIM_EXTERNAL');
  const second = await ChannelLab.open();
  add('close, internal', await second.claim(claim(4n, 'final')), 'GAS_CLAIM_INTERNAL');
  const single = await ChannelLab.open(2n * TON, { payeeKey: 'single-lock' });
  const whole = { charged: CEILING };
  add('claim, external, single lock', await single.claimExternal(whole), 'GAS_CLAIM_EXTERNAL');
}

async function measureWithdraws(add: Add): Promise<void> {
  const lab = await ChannelLab.open();
  add('request withdraw', await lab.requestWithdraw(), 'GAS_REQUEST_WITHDRAW');
  add('cancel withdraw', await lab.send(cancelWithdrawBody(1n)), 'GAS_CANCEL');
  const signed = lab.signedWithdraw(TON, lab.chain.now + 600);
  add('request withdraw, external', await lab.external(signed), 'GAS_WITHDRAW_EXTERNAL');
  lab.chain.pass(DELAY_S + 600);
  add('finalize, external, part', await lab.finalizeExternal(), 'GAS_FINALIZE_EXTERNAL');
  add('request withdraw, part', await lab.requestWithdraw(TON / 2n), 'GAS_REQUEST_WITHDRAW');
  lab.chain.pass(DELAY_S);
  const finalize = () => lab.send(finalizeWithdrawBody(1n), STRANGER);
  add('finalize, internal, part', await finalize(), 'GAS_FINALIZE_INTERNAL');
  const all = lab.signedWithdraw(0n, lab.chain.now + 600);
  add('request withdraw, external, all', await lab.external(all), 'GAS_WITHDRAW_EXTERNAL');
  lab.chain.pass(DELAY_S + 600);
  add('finalize, external', await lab.finalizeExternal(), 'GAS_FINALIZE_EXTERNAL');
  const second = await ChannelLab.open();
  await second.requestWithdraw();
  second.chain.pass(DELAY_S);
  const whole = await second.send(finalizeWithdrawBody(1n), STRANGER);
  add('finalize, internal', whole, 'GAS_FINALIZE_INTERNAL');
  add('destroy', await second.send(destroyBody(1n)));
}
