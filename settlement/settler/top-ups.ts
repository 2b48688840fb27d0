/**
 * A transfer to the treasury with a memo, credited to the custodial account that the memo names: once, because the
 * transaction's hash is its reference. Spec: ton-settlement D8.
 * @module
 */

import { fixed, fromHex, type Bytes } from '../../core/bytes.ts';
import { AMOUNT_MAX, amount } from '../money.ts';
import type { TreasuryEvent } from '../ton/channels/treasury.ts';
import type { SettlerParts } from './parts.ts';

const MEMO = /^vg:([0-9a-z]{4,64})$/;
const ACCOUNT = /^[0-9a-f]{64}$/;

export async function creditTopUp(
  parts: SettlerParts,
  { value, comment, hash }: Extract<TreasuryEvent, { kind: 'transfer' }>,
): Promise<void> {
  const { policy, ledger, emit, now } = parts;
  if (policy.topUps === 'off' || value > AMOUNT_MAX) return;
  const memo = MEMO.exec(comment.trim())?.[1];
  // Whatever else is sent here is a gift: strangers' words make nobody look.
  if (memo === undefined) return;
  const unmatched = (reason: string): void =>
    emit('settler.top_up_unmatched', { transaction: hash, value, reason });
  if (value < policy.topUps.minimum) return unmatched('below_minimum');
  const account = await accountOf(parts, memo);
  if (account === undefined) return unmatched('memo_unknown');
  const answer = await ledger.credit({
    account,
    asset: 'TON',
    amount: amount(value),
    reference: hash,
    nowMs: now(),
  });
  if (answer.outcome === 'refused') return unmatched(answer.code);
  if (!answer.repeated) emit('settler.topped_up', { account, credited: value });
}

/** An account's id, or a short code that the gateway gave out. */
async function accountOf(parts: SettlerParts, memo: string): Promise<Bytes<32> | undefined> {
  return ACCOUNT.test(memo) ? fixed(fromHex(memo), 32) : await parts.accountOfMemo(memo);
}
