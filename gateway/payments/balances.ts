/**
 * Balances that the operator holds for API keys. Credited once per transfer, whatever names it: the reference.
 * Spec: ton-settlement D8, §4.12 (custodial operator).
 * @module
 */

import { sha256 } from '#primitives';
import { utf8, type Bytes } from '../../core/bytes.ts';
import type { Account, Ledger } from '../../settlement/ledger/ledger.ts';
import type { Amount, Asset } from '../../settlement/money.ts';
import { paymentError } from './errors.ts';

export interface BalanceCredit {
  /** SHA-256 of the API key. */
  readonly account: Bytes<32>;
  readonly asset: Asset;
  readonly amount: Amount;
  /** Names the reason: the same one is counted once. */
  readonly reference: string;
  readonly nowMs: number;
}

/** Opens the account where there is none. Throws `payment.account_differs`, `ledger.*`. */
export async function creditBalance(ledger: Ledger, credit: BalanceCredit): Promise<Account> {
  const { account: id, asset, amount, nowMs } = credit;
  const opened = await ledger.openAccount({ kind: 'custodial', id, asset });
  if (opened.outcome === 'refused') throw paymentError('payment.account_differs', opened.code);
  const reference = sha256(utf8(credit.reference));
  const credited = await ledger.credit({ account: id, asset, amount, reference, nowMs });
  if (credited.outcome === 'refused') throw paymentError('payment.account_differs', credited.code);
  return credited.account;
}
