/**
 * Asks before coins leave. On mainnet the name of the network is typed, because a y comes too easily. A program says
 * beforehand what it agrees to.
 * @module
 */

import type { TonNetwork } from '../../settlement/ton/network.ts';
import { moneyError } from './errors.ts';
import type { MoneyIo } from './io.ts';

export interface ConsentOptions {
  readonly yes?: true;
  readonly yesMainnet?: true;
}

/** Throws `money.consent`. */
export async function consentToSend(
  question: string,
  network: TonNetwork,
  { yes, yesMainnet, io }: ConsentOptions & { readonly io: MoneyIo },
): Promise<void> {
  const isMainnet = network.name === 'mainnet';
  if (isMainnet ? yesMainnet === true : yes === true || yesMainnet === true) return;
  if (io.ask === undefined) {
    const option = isMainnet ? '--yes-mainnet' : '--yes';
    throw moneyError('money.consent', `nobody is here to ask; ${option} says yes beforehand`);
  }
  const wanted = isMainnet ? /^mainnet$/ : /^y(?:es)?$/i;
  const hint = isMainnet ? 'These are real coins. Type mainnet to go on:' : '[y/N]';
  if (wanted.test(await io.ask(`\n${question} ${hint} `))) return;
  throw moneyError('money.consent', 'you did not say yes: nothing was sent');
}
